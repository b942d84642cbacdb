// Keeps one WebSocket alive and notices when it is dead: sends HEARTBEAT and waits for an answer, or
// for any other message. A HEARTBEAT with an epoch is a question to the page (`prove`).

import type { Env, Timer } from "./env.ts";
import { numberIn } from "./payload.ts";

export interface KeepAliveHooks {
  /** Returns whether the text was sent. */
  send(text: string): boolean;
  /** The page answered `prove(epoch)`. */
  proved(epoch: number): void;
  /** The server does not answer any more. */
  dead(): void;
}

/** How long a socket that may be dead has to answer a heartbeat. */
const CHECK_MS = 2_500;
/** Interval of heartbeats if the server does not tell `pingMs`, and its lower bound. */
const PING_MS = 5_000;
const MIN_PING_MS = 500;

export class KeepAlive {
  readonly #env: Env;
  readonly #hooks: KeepAliveHooks;
  #pingMs = PING_MS;
  /** Timer for the next heartbeat, or for the end of a check. */
  #timer: Timer;
  #tickDue = 0;
  #heardAt = 0;

  constructor(env: Env, hooks: KeepAliveHooks) {
    this.#env = env;
    this.#hooks = hooks;
  }

  /** Begins with a new socket. `pingMs`: interval of heartbeats, as the server tells it. */
  start(pingMs: number | undefined): void {
    this.#pingMs = Math.max(pingMs ?? this.#pingMs, MIN_PING_MS);
    this.#schedule();
  }

  stop(): void {
    this.#env.cancel(this.#timer);
  }

  /** Called for every message of the server. */
  heard(): void {
    this.#heardAt = this.#env.now();
  }

  /** Called for every HEARTBEAT of the server. A plain one shows only that the socket lives. */
  answered(payload: unknown): void {
    const epoch = numberIn(payload, "epoch");
    if (epoch !== undefined) this.#hooks.proved(epoch);
  }

  /**
   * Asks the page whether this member hosts in `epoch`. If it does, the page answers behind all that
   * it said before, and `proved(epoch)` is called.
   */
  prove(epoch: number): void {
    this.#hooks.send(JSON.stringify({ type: "HEARTBEAT", payload: { epoch } }));
  }

  /**
   * Checks with a heartbeat whether the socket is alive. Without an answer within 2.5 s, `dead` is
   * called.
   */
  check(): void {
    if (!this.#beat()) return;
    this.#env.cancel(this.#timer);
    const checkedAt = this.#env.now();
    this.#timer = this.#env.after(CHECK_MS, () => {
      if (this.#heardAt >= checkedAt) this.#schedule();
      else this.#hooks.dead();
    });
  }

  #beat(): boolean {
    return this.#hooks.send('{"type":"HEARTBEAT"}');
  }

  #schedule(): void {
    this.#env.cancel(this.#timer);
    this.#tickDue = this.#env.now() + this.#pingMs;
    this.#timer = this.#env.after(this.#pingMs, () => this.#tick());
  }

  #tick(): void {
    const now = this.#env.now();
    // A page that slept has heard nothing either: messages that wait for it come before the answer
    // to the check.
    if (now - this.#tickDue > this.#pingMs) return this.check();
    if (now - this.#heardAt > 2 * this.#pingMs) return this.#hooks.dead();
    this.#beat();
    this.#schedule();
  }
}
