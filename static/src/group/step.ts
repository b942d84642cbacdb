// One step of the state machine: its time, and the effects that it has caused so far.

import type { Effect, Notice } from "./io.ts";
import type { ErrorCode } from "./types.ts";

export class Step {
  #now = 0;
  #effects: Effect[] = [];
  #tokens = 0;

  /** Time of the step, in whole milliseconds. */
  get now(): number {
    return this.#now;
  }

  begin(now: number): void {
    this.#now = now;
  }

  push(effect: Effect): void {
    this.#effects.push(effect);
  }

  notify(notice: Notice): void {
    this.#effects.push({ type: "notice", notice });
  }

  /** Settles the promises of sends: they resolve, or reject with `error`. */
  settle(tokens: readonly number[], error?: ErrorCode): void {
    for (const token of tokens)
      this.#effects.push(error ? { type: "settle", token, error } : { type: "settle", token });
  }

  /** Returns a token that no other question of this member has. */
  nextToken(): number {
    return ++this.#tokens;
  }

  /** Returns the effects of the step, in order, and forgets them. */
  end(): Effect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
}
