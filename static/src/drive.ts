// Keeps the machine going: events go in, in batches under load, its effects are carried out, and its clock rings.

import type { Env, Timer } from "./env.ts";
import type { Effect, Event, Group } from "./group/index.ts";

export interface DriveHooks {
  perform(effect: Effect): void;
  /** After every step: what follows from where the machine stands now. */
  stepped(): void;
}

/** More steps than that in so short a time are load. */
const STEPS = 16;
const STEPS_MS = 4;

export class Drive {
  readonly #env: Env;
  readonly #machine: Group;
  readonly #hooks: DriveHooks;
  #events: Event[] = [];
  #scheduled = false;
  #cooling = false;
  /** Effects are being carried out. */
  #performing = false;
  #afterwards: (() => void) | undefined;
  /** Steps since then. */
  #steps = 0;
  #stepsSince = -Infinity;
  #timer: Timer;
  #timerAt = Infinity;
  #stopped = false;

  constructor(env: Env, machine: Group, hooks: DriveHooks) {
    this.#env = env;
    this.#machine = machine;
    this.#hooks = hooks;
  }

  /** Soon, together with what else comes. */
  feed(event: Event): void {
    this.#events.push(event);
    if (this.#scheduled || this.#cooling) return;
    this.#scheduled = true;
    queueMicrotask(() => this.flush());
  }

  /** A timer may be late in a hidden tab: whatever wakes the page lets it ring. */
  kick(): void {
    if (this.#machine.nextDeadline() <= this.#now()) this.feed({ type: "timer" });
  }

  /** Now, and this last of all, if given. */
  flush(last?: Event): void {
    if (last) this.#events.push(last);
    this.#scheduled = false;
    while (this.#events.length > 0) {
      const events = this.#events;
      this.#events = [];
      this.#step(events);
    }
    this.#hooks.stepped();
    // What the page answers at once may leave nothing to wait for: a timer costs more than a step.
    queueMicrotask(() => this.#wake());
    if (this.#cooling || !this.#loaded()) return;
    // What comes before the browser has a moment goes together in one batch.
    this.#cooling = true;
    this.#env.soon(() => {
      this.#cooling = false;
      if (this.#events.length > 0) this.flush();
    });
  }

  /** Now; or in the middle of a step, once all of that is carried out. */
  afterStep(job: () => void): void {
    if (this.#performing) this.#afterwards ??= job;
    else job();
  }

  stop(): void {
    this.#stopped = true;
    this.#env.cancel(this.#timer);
  }

  /** Whole milliseconds: the machine's times go over the wire. */
  #now(): number {
    return Math.floor(this.#env.now());
  }

  /** Without load nothing waits. */
  #loaded(): boolean {
    const now = this.#env.now();
    if (now - this.#stepsSince > STEPS_MS) {
      this.#stepsSince = now;
      this.#steps = 0;
    }
    return ++this.#steps > STEPS;
  }

  #step(events: readonly Event[]): void {
    let effects: Effect[];
    try {
      effects = this.#machine.handleAll(events, this.#now());
    } catch (error) {
      console.error("peerstar: the group's machine failed; please report this:", error);
      return;
    }
    this.#performing = true;
    for (const effect of effects) {
      try {
        this.#hooks.perform(effect);
      } catch (error) {
        console.error("peerstar:", effect.type, "failed:", error);
      }
    }
    this.#performing = false;
    const job = this.#afterwards;
    this.#afterwards = undefined;
    job?.();
  }

  #wake(): void {
    const at = this.#machine.nextDeadline();
    // One that rings too soon sets the next: cheaper than to set it anew with each message.
    if (this.#scheduled || this.#stopped || at >= this.#timerAt) return;
    this.#env.cancel(this.#timer);
    this.#timerAt = at;
    // Never early: a timer that rings before its time would ring again and again.
    this.#timer = this.#env.after(Math.max(0, Math.ceil(at - this.#env.now())), () => {
      this.#timerAt = Infinity;
      if (this.#machine.nextDeadline() <= this.#now()) this.flush({ type: "timer" });
      else this.#wake();
    });
  }
}
