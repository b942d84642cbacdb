// Deadlines with names, so that one alarm serves all and says why it rings.

export type TimerName =
  | "hello" | "ack" | "gap" | "resend" | "suspect" | "away" | "asking"
  | "beat" | "take" | "give" | "resign" | "trim";

export class Timers {
  readonly #due = new Map<TimerName, number>();

  set(name: TimerName, at: number): void {
    this.#due.set(name, at);
  }

  /** Keeps an earlier deadline. */
  soon(name: TimerName, at: number): void {
    const due = this.#due.get(name);
    if (due === undefined || at < due) this.#due.set(name, at);
  }

  clear(...names: TimerName[]): void {
    for (const name of names) this.#due.delete(name);
  }

  has(name: TimerName): boolean {
    return this.#due.has(name);
  }

  next(): number {
    let next = Infinity;
    for (const at of this.#due.values()) if (at < next) next = at;
    return next;
  }

  /** Takes out the earliest that is due. */
  pop(now: number): TimerName | undefined {
    let first: TimerName | undefined;
    let when = now;
    for (const [name, at] of this.#due) {
      if (at < when || (at === when && first === undefined)) {
        first = name;
        when = at;
      }
    }
    if (first) this.#due.delete(first);
    return first;
  }
}
