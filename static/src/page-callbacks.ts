// Hands the page what the state machine has for it, one callback after another, and settles the
// promises of `send`.

import { CallbackQueue } from "./callback-queue.ts";
import type { ChannelApp } from "./channels/channel.ts";
import { PURPOSE, unwrap } from "./channels/envelope.ts";
import { pack, unpack } from "./codec.ts";
import type { DebugLog } from "./debug-log.ts";
import type { Env } from "./env.ts";
import { PeerstarError, type PeerstarErrorCode } from "./errors.ts";
import type { Effect, Event } from "./group/index.ts";
import { lostOn } from "./lost.ts";
import { LONGEST, quotedChars } from "./pieces.ts";

/** Effects that concern the page. */
type PageEffect = Extract<Effect, { type: "deliver" | "settle" | "askSnapshot" | "restore" }>;

interface PendingSend {
  readonly resolve: () => void;
  readonly reject: (error: PeerstarError) => void;
}

/**
 * Maximum length of a snapshot's state in its message. The rest of the message holds the tables of
 * senders and members.
 */
const STATE_CHARS = LONGEST - (8 << 20);
/**
 * Timeout of a page's onSnapshot and onRestore. Everything else waits meanwhile, so they must end.
 */
const CALLBACK_MS = 30_000;

export class PageCallbacks {
  readonly #env: Env;
  readonly #page: ChannelApp;
  readonly #log: DebugLog;
  readonly #feed: (event: Event) => void;
  readonly #queue = new CallbackQueue();
  readonly #sends = new Map<number, PendingSend>();
  /** The channels that the page has opened, by name. */
  readonly #channels = new Map<string, ChannelApp>();
  #lastToken = 0;
  /** Error of the sends that the end of the group rejects. */
  #endError = new PeerstarError("Closed");
  #isClosed = false;

  constructor(env: Env, page: ChannelApp, log: DebugLog, feed: (event: Event) => void) {
    this.#env = env;
    this.#page = page;
    this.#log = log;
    this.#feed = feed;
    this.#channels.set("", page);
  }

  openChannel(name: string, app: ChannelApp): void {
    this.#channels.set(name, app);
  }

  /** Runs a job in its turn, unless the group has ended by then. */
  push(job: () => void | Promise<void>): void {
    this.#queue.push(() => (this.#isClosed ? undefined : job()));
  }

  /** Carries out an effect in its turn. */
  perform(effect: PageEffect): void {
    switch (effect.type) {
      case "deliver":
        return this.push(() => this.#deliver(effect));
      case "settle":
        // Promises are settled also after the end.
        return this.#queue.push(() => this.#settle(effect.token, effect.error));
      case "askSnapshot":
        return this.push(() => this.#askSnapshot(effect.token));
      case "restore":
        return this.push(() => this.#restore(effect));
    }
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

  #deliver({ from, seq, epoch, data }: Extract<Effect, { type: "deliver" }>): void {
    const envelope = unwrap(data);
    if (envelope && envelope.purpose !== PURPOSE.message) return;
    const app = this.#channels.get(envelope?.channel ?? "");
    if (!app) return;
    let unpacked: unknown;
    try {
      unpacked = unpack(envelope?.payload);
    } catch (error) {
      console.error(`peerstar: a message of ${from} cannot be read:`, error);
      return;
    }
    app.emit("message", unpacked, { from, seq, epoch });
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

  #askSnapshot(token: number): void | Promise<void> {
    const { onSnapshot } = this.#page;
    if (!onSnapshot) return this.#feed({ type: "snapshot", token, given: false, size: 0 });
    const given = (state: unknown): void => {
      const { text, size } = pack(state);
      const chars = quotedChars(text);
      if (chars > STATE_CHARS)
        throw new RangeError(
          `a state may have ${STATE_CHARS} characters of JSON (quotes and backslashes are two), and this has ${chars}`,
        );
      this.#log(() => `gave a snapshot of ${size} bytes`);
      this.#feed({ type: "snapshot", token, given: true, state: text, size });
    };
    const failed = (error: unknown): void => {
      console.error("peerstar: onSnapshot failed:", error);
      this.#feed({ type: "snapshot", token, given: false, size: 0 });
    };
    try {
      const state = onSnapshot();
      if (isPromise(state)) return this.#withTimeout(state.then(given), "onSnapshot").catch(failed);
      given(state);
    } catch (error) {
      failed(error);
    }
  }

  #restore({ state, about }: Extract<Effect, { type: "restore" }>): void | Promise<void> {
    const failed = (error: unknown): void => console.error("peerstar: onRestore failed:", error);
    try {
      const lost = lostOn("", about.lost);
      const done = this.#page.onRestore?.(unpack(state), { ...about, lost });
      if (isPromise(done)) return this.#withTimeout(done, "onRestore").catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  #withTimeout(work: Promise<unknown>, name: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.#env.after(CALLBACK_MS, () =>
        reject(new Error(`${name} took longer than ${CALLBACK_MS / 1000} s`)),
      );
      work.then(() => resolve(), reject).finally(() => this.#env.cancel(timer));
    });
  }
}

function isPromise(value: unknown): value is Promise<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as { then?: unknown }).then === "function"
  );
}
