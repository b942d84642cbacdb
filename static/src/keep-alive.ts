// Keeps one WebSocket alive and notices when it is dead: sends HEARTBEAT and counts the answers.

import type { Env, Timer } from "./env.ts";

export interface KeepAliveHooks {
  /** Returns whether the text was sent. */
  send(text: string): boolean;
  /** The server answered the heartbeat of `prove(token)`. */
  proved(token: number): void;
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
  /** Heartbeats sent and answered on this socket. The answers come in order. */
  #sent = 0;
  #answered = 0;
  /** Heartbeats whose answer somebody waits for, by their number. */
  #proofs: { readonly token: number; readonly heartbeat: number }[] = [];

  constructor(env: Env, hooks: KeepAliveHooks) {
    this.#env = env;
    this.#hooks = hooks;
  }

  /** Begins with a new socket. `pingMs`: interval of heartbeats, as the server tells it. */
  start(pingMs: number | undefined): void {
    this.#sent = this.#answered = 0;
    this.#proofs = [];
    this.#pingMs = Math.max(pingMs ?? this.#pingMs, MIN_PING_MS);
    this.#schedule();
  }

  stop(): void {
    this.#env.cancel(this.#timer);
    this.#proofs = [];
  }

  /** Called for every message of the server. */
  heard(): void {
    this.#heardAt = this.#env.now();
  }

  /** Called for every HEARTBEAT of the server. */
  answered(): void {
    this.#answered++;
    while (this.#proofs[0] && this.#proofs[0].heartbeat <= this.#answered)
      this.#hooks.proved((this.#proofs.shift() as { token: number }).token);
  }

  /**
   * Sends a heartbeat. When the server has answered it on this socket, `proved(token)` is called.
   */
  prove(token: number): void {
    if (this.#beat()) this.#proofs.push({ token, heartbeat: this.#sent });
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
    if (!this.#hooks.send('{"type":"HEARTBEAT"}')) return false;
    this.#sent++;
    return true;
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
