// Runs the group's state machine: feeds it events, in batches under load, carries out its effects,
// and keeps its timer.

import type { Env, Timer } from "./env.ts";
import type { Effect, Event, Group } from "./group/index.ts";

/** Receives the results of a step. */
export interface StepHandler {
  perform(effect: Effect): void;
  /** Called after every step, when its effects are carried out. */
  stepped(): void;
}

/** More than `LOAD_STEPS` steps within `LOAD_MS` are load: events are then batched. */
const LOAD_STEPS = 16;
const LOAD_MS = 4;

export class MachineRunner {
  readonly #env: Env;
  readonly #machine: Group;
  readonly #handler: StepHandler;
  #events: Event[] = [];
  #scheduled = false;
  /** Whether events are being collected into one batch because of load. */
  #batching = false;
  #performing = false;
  #afterStep: (() => void) | undefined;
  /** Number of steps since `#countedSince`, for the measure of load. */
  #steps = 0;
  #countedSince = -Infinity;
  #timer: Timer;
  #timerAt = Infinity;
  #stopped = false;

  constructor(env: Env, machine: Group, handler: StepHandler) {
    this.#env = env;
    this.#machine = machine;
    this.#handler = handler;
  }

  /** Handles the event in a microtask, or under load in the next batch. */
  feed(event: Event): void {
    this.#events.push(event);
    if (this.#scheduled || this.#batching) return;
    this.#scheduled = true;
    queueMicrotask(() => this.flush());
  }

  /**
   * Feeds a timer event if the machine's deadline has passed. A hidden tab's own timer may be late.
   */
  checkDeadline(): void {
    if (this.#machine.nextDeadline() <= this.#now()) this.feed({ type: "timer" });
  }

  /** Handles all waiting events now, and `last` after them. */
  flush(last?: Event): void {
    if (last) this.#events.push(last);
    this.#scheduled = false;
    while (this.#events.length > 0) {
      const events = this.#events;
      this.#events = [];
      this.#step(events);
    }
    this.#handler.stepped();
    // The page's answer to this step may end the deadline, and setting a timer costs more than a
    // step.
    queueMicrotask(() => this.#setTimer());
    if (this.#batching || !this.#isLoaded()) return;
    // Events that arrive before the browser is free again go into one batch.
    this.#batching = true;
    this.#env.soon(() => {
      this.#batching = false;
      if (this.#events.length > 0) this.flush();
    });
  }

  /** Runs the job now; in the middle of a step, when the effects of that step are carried out. */
  afterStep(job: () => void): void {
    if (this.#performing) this.#afterStep ??= job;
    else job();
  }

  stop(): void {
    this.#stopped = true;
    this.#env.cancel(this.#timer);
  }

  /** The time in whole milliseconds: the machine sends its times over the wire. */
  #now(): number {
    return Math.floor(this.#env.now());
  }

  /** Counts a step and returns whether there is load. */
  #isLoaded(): boolean {
    const now = this.#env.now();
    if (now - this.#countedSince > LOAD_MS) {
      this.#countedSince = now;
      this.#steps = 0;
    }
    return ++this.#steps > LOAD_STEPS;
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
        this.#handler.perform(effect);
      } catch (error) {
        console.error("peerstar:", effect.type, "failed:", error);
      }
    }
    this.#performing = false;
    const job = this.#afterStep;
    this.#afterStep = undefined;
    job?.();
  }

  #setTimer(): void {
    const at = this.#machine.nextDeadline();
    // A timer that fires before the deadline sets the next one. That is cheaper than a new timer
    // for each message.
    if (this.#scheduled || this.#stopped || at >= this.#timerAt) return;
    this.#env.cancel(this.#timer);
    this.#timerAt = at;
    // Rounded up: a timer that fires early would fire again and again.
    this.#timer = this.#env.after(Math.max(0, Math.ceil(at - this.#env.now())), () => {
      this.#timerAt = Infinity;
      if (this.#machine.nextDeadline() <= this.#now()) this.flush({ type: "timer" });
      else this.#setTimer();
    });
  }
}
