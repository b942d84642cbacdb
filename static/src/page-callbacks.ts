// Hands the page what the state machine has for it, one callback after another, and settles the
// promises of `send`.

import { CallbackQueue } from "./callback-queue.ts";
import type { ChannelApp } from "./channels/channel.ts";
import { ChannelCallbacks } from "./channels/channel-callbacks.ts";
import type { DebugLog } from "./debug-log.ts";
import type { Env } from "./env.ts";
import { PeerstarError, type PeerstarErrorCode } from "./errors.ts";
import type { Effect, Event, Notice } from "./group/index.ts";

/** Effects that concern the page. */
type PageEffect = Extract<Effect, { type: "deliver" | "settle" | "askSnapshot" | "restore" }>;

interface PendingSend {
  readonly resolve: () => void;
  readonly reject: (error: PeerstarError) => void;
}

export class PageCallbacks {
  readonly #page: ChannelApp;
  readonly #channels: ChannelCallbacks;
  readonly #queue = new CallbackQueue();
  readonly #sends = new Map<number, PendingSend>();
  #lastToken = 0;
  /** Error of the sends that the end of the group rejects. */
  #endError = new PeerstarError("Closed");
  #isClosed = false;

  constructor(env: Env, page: ChannelApp, log: DebugLog, feed: (event: Event) => void) {
    this.#page = page;
    this.#channels = new ChannelCallbacks(env, page, log, feed);
  }

  /** Runs a job in its turn, unless the group has ended by then. */
  push(job: () => void | Promise<void>): void {
    this.#queue.push(() => (this.#isClosed ? undefined : job()));
  }

  /** Carries out an effect in its turn. */
  perform(effect: PageEffect): void {
    switch (effect.type) {
      case "deliver":
        return this.push(() => this.#channels.deliver(effect));
      case "settle":
        // Promises are settled also after the end.
        return this.#queue.push(() => this.#settle(effect.token, effect.error));
      case "askSnapshot":
        return this.push(() => this.#channels.askSnapshot(effect.token));
      case "restore":
        return this.push(() => this.#channels.restore(effect));
    }
  }

  /** Opens a channel once the application has set its callbacks and listeners. */
  openChannel(name: string, app: ChannelApp): void {
    queueMicrotask(() => this.push(() => this.#channels.open(name, app)));
  }

  /** The application has set or removed a callback of a channel. */
  callbacksChanged(channel: string): void {
    this.#channels.changed(channel);
  }

  /** Tells the application on each channel that the page is up to date again. */
  recovered(notice: Extract<Notice, { kind: "recovered" }>): void {
    this.#channels.recovered(notice);
  }

  /** Returns the promise of a new send, and the token by which the state machine settles it. */
  addSend(): { readonly token: number; readonly promise: Promise<void> } {
    const token = ++this.#lastToken;
    const promise = new Promise<void>((resolve, reject) =>
      this.#sends.set(token, { resolve, reject }),
    );
    // A page that does not handle the promise has the `error` event.
    promise.catch(() => {});
    return { token, promise };
  }

  /**
   * Returns the promise of a send after the end. The browser does not report it if nobody handles
   * it.
   */
  rejectedSend(): Promise<void> {
    const promise = Promise.reject(this.#endError);
    promise.catch(() => {});
    return promise;
  }

  error(error: PeerstarError): void {
    this.push(() => this.#page.emit("error", error));
  }

  /**
   * From now on the page hears of nothing but the end. Sends that wait are rejected with `error`.
   */
  silence(error: PeerstarError): void {
    this.#isClosed = true;
    this.#endError = error;
  }

  /**
   * Rejects the sends that wait and runs `closed` last. The page's onSnapshot and onRestore are not
   * waited for.
   */
  close(closed: () => void): void {
    this.#queue.pushWithoutWaiting(() => {
      for (const token of [...this.#sends.keys()]) this.#settle(token, "Closed");
      if (this.#endError.code !== "Closed") this.#page.emit("error", this.#endError);
      closed();
    });
  }

  #settle(token: number, code: PeerstarErrorCode | undefined): void {
    const send = this.#sends.get(token);
    if (!send) return;
    this.#sends.delete(token);
    if (code === undefined) return send.resolve();
    const error = code === "Closed" ? this.#endError : new PeerstarError(code);
    send.reject(error);
    // The end is reported once, not once for each send that it rejects.
    if (code !== "Closed") this.#page.emit("error", error);
  }
}
