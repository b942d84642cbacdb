// The page's side: what the machine has for it is handed over, one after another, and what it was promised is kept.

import { pack, unpack } from "./codec.ts";
import type { Teller } from "./debug.ts";
import { Desk } from "./desk.ts";
import type { Env } from "./env.ts";
import { PeerstarError, type PeerstarErrorCode } from "./errors.ts";
import type { Effect, Event } from "./group/index.ts";
import { lostIn } from "./lost.ts";
import { LONGEST, quotedChars } from "./pieces.ts";
import type { RestoreInfo } from "./restore-info.ts";

export interface FrontHooks {
  message(
    data: unknown,
    about: { readonly from: string; readonly seq: number; readonly epoch: number },
  ): void;
  snapshot(): (() => unknown) | undefined;
  /** A promise if that takes time. */
  restore(state: unknown, about: RestoreInfo): unknown;
  error(error: PeerstarError): void;
}

type Handed = Extract<Effect, { type: "deliver" | "settle" | "askSnapshot" | "restore" }>;

interface Promised {
  readonly resolve: () => void;
  readonly reject: (error: PeerstarError) => void;
}

/** Of a state as it stands in a message: beside it are the tables of senders and members. */
const STATE_CHARS = LONGEST - (8 << 20);
/** A page that takes longer for its state than that has lost its turn; what waits must not grow without end. */
const PAGE_MS = 30_000;

export class Front {
  readonly #env: Env;
  readonly #hooks: FrontHooks;
  readonly #tell: Teller;
  readonly #feed: (event: Event) => void;
  readonly #desk = new Desk();
  readonly #promises = new Map<number, Promised>();
  /** What is rejected because it ends is rejected with this. */
  end = new PeerstarError("Closed");
  #closed = false;

  constructor(env: Env, hooks: FrontHooks, tell: Teller, feed: (event: Event) => void) {
    this.#env = env;
    this.#hooks = hooks;
    this.#tell = tell;
    this.#feed = feed;
  }

  /** In its turn, unless it has ended by then. */
  do(job: () => void | Promise<void>): void {
    this.#desk.do(() => (this.#closed ? undefined : job()));
  }

  hand(effect: Handed): void {
    switch (effect.type) {
      case "deliver":
        return this.do(() => this.#deliver(effect));
      // What was promised is kept to the last.
      case "settle":
        return this.#desk.do(() => this.#settle(effect.token, effect.error));
      case "askSnapshot":
        return this.do(() => this.#askSnapshot(effect.token));
      case "restore":
        return this.do(() => this.#restore(effect));
    }
  }

  /** Kept or broken as the machine settles it. */
  promise(token: number): Promise<void> {
    const promise = new Promise<void>((resolve, reject) =>
      this.#promises.set(token, { resolve, reject }),
    );
    // Who does not look at it has the `error` event.
    promise.catch(() => {});
    return promise;
  }

  error(error: PeerstarError): void {
    this.do(() => this.#hooks.error(error));
  }

  /** From now on the page hears of nothing but the end, which is for this reason. */
  hush(end: PeerstarError): void {
    this.#closed = true;
    this.end = end;
  }

  /** What waits is rejected, and the page hears of it last; its onSnapshot and onRestore are not waited for. */
  close(closed: () => void): void {
    this.#desk.last(() => {
      // Whatever the machine no longer knows of.
      for (const token of [...this.#promises.keys()]) this.#settle(token, "Closed");
      if (this.end.code !== "Closed") this.#hooks.error(this.end);
      closed();
    });
  }

  #deliver({ from, seq, epoch, data }: Extract<Effect, { type: "deliver" }>): void {
    let unpacked: unknown;
    try {
      unpacked = unpack(data);
    } catch (error) {
      console.error(`peerstar: a message of ${from} cannot be read:`, error);
      return;
    }
    this.#hooks.message(unpacked, { from, seq, epoch });
  }

  #settle(token: number, code: PeerstarErrorCode | undefined): void {
    const promised = this.#promises.get(token);
    if (!promised) return;
    this.#promises.delete(token);
    if (code === undefined) return promised.resolve();
    const error = code === "Closed" ? this.end : new PeerstarError(code);
    promised.reject(error);
    // What the end rejects is told once, by the end.
    if (code !== "Closed") this.#hooks.error(error);
  }

  #askSnapshot(token: number): void | Promise<void> {
    const give = this.#hooks.snapshot();
    if (!give) return this.#feed({ type: "snapshot", token, given: false, size: 0 });
    const given = (state: unknown): void => {
      const { text, size } = pack(state);
      const chars = quotedChars(text);
      if (chars > STATE_CHARS)
        throw new RangeError(
          `a state may have ${STATE_CHARS} characters of JSON (quotes and backslashes are two), and this has ${chars}`,
        );
      this.#tell(() => `gave a snapshot of ${size} bytes`);
      this.#feed({ type: "snapshot", token, given: true, state: text, size });
    };
    const failed = (error: unknown): void => {
      console.error("peerstar: onSnapshot failed:", error);
      this.#feed({ type: "snapshot", token, given: false, size: 0 });
    };
    try {
      const state = give();
      if (isPromise(state)) return this.#limited(state.then(given), "onSnapshot").catch(failed);
      given(state);
    } catch (error) {
      failed(error);
    }
  }

  #restore({ state, about }: Extract<Effect, { type: "restore" }>): void | Promise<void> {
    try {
      const done = this.#hooks.restore(unpack(state), { ...about, lost: lostIn(about.lost) });
      if (isPromise(done)) {
        return this.#limited(done, "onRestore").catch((error: unknown) =>
          console.error("peerstar: onRestore failed:", error),
        );
      }
    } catch (error) {
      console.error("peerstar: onRestore failed:", error);
    }
  }

  #limited(work: Promise<unknown>, name: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.#env.after(PAGE_MS, () =>
        reject(new Error(`${name} took longer than ${PAGE_MS / 1000} s`)),
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
