// Calls the application on its channels: hands it messages, asks it for its states, and gives it
// those of other pages.

import { pack, unpack } from "../codec.ts";
import type { DebugLog } from "../debug-log.ts";
import type { Env } from "../env.ts";
import type { Effect, Event, Notice } from "../group/index.ts";
import { lostOn } from "../lost.ts";
import { LONGEST } from "../pieces.ts";
import type { RestoreInfo } from "../restore-info.ts";
import type { ChannelApp } from "./channel.ts";
import { ChannelTable, type Callbacks, type Handed, type Restoration } from "./table.ts";

type Deliver = Extract<Effect, { type: "deliver" }>;
type Restore = Extract<Effect, { type: "restore" }>;
type Recovered = Extract<Notice, { kind: "recovered" }>;
type Later = void | Promise<void>;

/**
 * Maximum length of a snapshot's states in its message. The rest of the message holds the tables of
 * senders and members.
 */
const STATE_CHARS = LONGEST - (8 << 20);
/**
 * Timeout of a page's onSnapshot and onRestore. Everything else waits meanwhile, so they must end.
 */
const CALLBACK_MS = 30_000;

export class ChannelCallbacks {
  readonly #env: Env;
  readonly #log: DebugLog;
  readonly #feed: (event: Event) => void;
  readonly #table = new ChannelTable();
  /** The channels that the application has opened, by name. */
  readonly #apps = new Map<string, ChannelApp>();
  /** Results of the last snapshot for each channel, until `recovered` tells them. */
  #restored: readonly Restoration[] = [];
  /** Whether the state machine was told that this page gives snapshots. */
  #gives = false;

  constructor(env: Env, page: ChannelApp, log: DebugLog, feed: (event: Event) => void) {
    this.#env = env;
    this.#log = log;
    this.#feed = feed;
    this.#apps.set("", page);
    this.#table.open("", callbacksOf(page), env.now());
  }

  /** Opens a channel and hands the application what was kept of it. */
  open(channel: string, app: ChannelApp): Later {
    this.#apps.set(channel, app);
    const { channels, messages } = this.#table.open(channel, callbacksOf(app), this.#env.now());
    this.#sayGives();
    const [about] = channels;
    if (!about || (about.complete && !about.replaces && messages.length === 0)) return;
    const info = { reason: "join", lost: [], lostMore: false } as const;
    const { complete, via } = about;
    const finish = (): void => {
      this.#hand(messages);
      app.emit("recovered", { complete, via, awayMs: 0, ...info });
    };
    return inTurn([() => this.#restoreEach(channels, () => info), finish]);
  }

  /** The application has set or removed a callback of a channel. */
  changed(channel: string): void {
    const app = this.#apps.get(channel);
    if (!app) return;
    this.#table.callbacksChanged(channel, callbacksOf(app));
    // Said also without a change: pages that failed are asked again.
    this.#gives = this.#table.gives;
    this.#feed({ type: "snapshots", able: this.#gives });
  }

  deliver({ from, n, seq, epoch, data }: Deliver): void {
    if (typeof data !== "string") return unreadable(from, new TypeError("not a packed value"));
    const handed = this.#table.take({ from, n, seq, epoch, text: data }, this.#env.now());
    if (handed) this.#emit(handed);
    this.#sayGives();
  }

  /** Asks the application for the state of each channel, and feeds them to the state machine. */
  askSnapshot(token: number): Later {
    const states = new Map<string, string>();
    let size = 0;
    const failed = (error: unknown): void => {
      console.error("peerstar: onSnapshot failed:", error);
      this.#feed({ type: "snapshot", token, given: false, size: 0 });
    };
    const finish = (): void => {
      const given = this.#table.snapshot(states, this.#env.now());
      if (!given) return this.#feed({ type: "snapshot", token, given: false, size: 0 });
      const { state, parts, chars, kept } = given;
      if (chars > STATE_CHARS)
        throw new RangeError(
          `a state may have ${STATE_CHARS} characters of JSON (quotes and backslashes are two), and this has ${chars}`,
        );
      size += kept;
      this.#log(() => `gave a snapshot of ${size} bytes`);
      this.#feed({ type: "snapshot", token, given: true, state, parts, size });
    };
    const asks = this.#table.givers.map((name) => (): Later => {
      const take = (state: unknown): void => {
        const packed = pack(state);
        states.set(name, packed.text);
        size += packed.size;
      };
      const state = this.#apps.get(name)?.onSnapshot?.();
      return isPromise(state) ? state.then(take) : take(state);
    });
    try {
      const done = inTurn([...asks, finish]);
      if (done) return this.#withTimeout(done, "onSnapshot").catch(failed);
    } catch (error) {
      failed(error);
    }
  }

  /** Gives the application the state of each channel, then the messages that follow them. */
  restore({ state, parts, about }: Restore): Later {
    const { reason, lostMore } = about;
    const { channels, messages } = this.#table.restore(state, parts, reason, this.#env.now());
    this.#restored = channels;
    this.#sayGives();
    const infoOf = (channel: string): RestoreInfo => ({
      reason,
      lost: lostOn(channel, about.lost),
      lostMore,
    });
    return inTurn([() => this.#restoreEach(channels, infoOf), () => this.#hand(messages)]);
  }

  /** Tells the application on each channel that the page is up to date again. */
  recovered({ complete, via, awayMs, reason, lost, lostMore }: Recovered): void {
    const restored = new Map(this.#restored.map((about) => [about.channel, about]));
    this.#restored = [];
    if (via !== "snapshot" && !complete) this.#table.incomplete();
    for (const [name, app] of [...this.#apps]) {
      const about = restored.get(name);
      app.emit("recovered", {
        complete: complete && about?.complete !== false,
        via: about?.via ?? via,
        awayMs,
        reason,
        lost: lostOn(name, lost),
        lostMore,
      });
    }
  }

  #restoreEach(channels: readonly Restoration[], infoOf: (channel: string) => RestoreInfo): Later {
    return inTurn(
      channels.map(({ channel, replaces, state }) => (): Later => {
        const onRestore = this.#apps.get(channel)?.onRestore;
        if (!replaces || !onRestore) return;
        const failed = (error: unknown): void =>
          console.error("peerstar: onRestore failed:", error);
        try {
          const value = state === undefined ? undefined : unpack(state);
          const done = onRestore(value, infoOf(channel));
          if (isPromise(done)) return this.#withTimeout(done, "onRestore").catch(failed);
        } catch (error) {
          failed(error);
        }
      }),
    );
  }

  #hand(messages: readonly Handed[]): void {
    for (const message of messages) this.#emit(message);
  }

  #emit({ channel, message, payload }: Handed): void {
    const { from, seq, epoch } = message;
    let data: unknown;
    try {
      data = unpack(payload);
    } catch (error) {
      return unreadable(from, error);
    }
    this.#apps.get(channel)?.emit("message", data, { from, seq, epoch });
  }

  #sayGives(): void {
    const { gives } = this.#table;
    if (gives === this.#gives) return;
    this.#gives = gives;
    this.#feed({ type: "snapshots", able: gives });
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

function callbacksOf({ onSnapshot, onRestore }: ChannelApp): Callbacks {
  return { gives: onSnapshot !== undefined, restores: onRestore !== undefined };
}

function unreadable(from: string, error: unknown): void {
  console.error(`peerstar: a message of ${from} cannot be read:`, error);
}

/** Runs the jobs one after another: at once, as long as none returns a promise. */
function inTurn(jobs: readonly (() => Later)[]): Later {
  for (const [i, job] of jobs.entries()) {
    const done = job();
    if (done) return done.then(() => inTurn(jobs.slice(i + 1)));
  }
}

function isPromise(value: unknown): value is Promise<unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    typeof (value as { then?: unknown }).then === "function"
  );
}
