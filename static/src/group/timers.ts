// Deadlines with names: one alarm serves all of them, and each says why it rings.

export type TimerName =
  | "greeting"
  | "ack"
  | "gap"
  | "resend"
  | "suspect"
  | "away"
  | "snapshot"
  | "heartbeat"
  | "takeover"
  | "giver"
  | "resign"
  | "trim"
  | "claim"
  | "direct";

export class Timers {
  readonly #due = new Map<TimerName, number>();
  /** The earliest deadline; undefined while it is not known. */
  #next: number | undefined = Infinity;

  set(name: TimerName, at: number): void {
    this.#due.set(name, at);
    this.#next = undefined;
  }

  /** Sets a deadline, unless an earlier one is set. */
  soon(name: TimerName, at: number): void {
    const due = this.#due.get(name);
    if (due === undefined || at < due) this.set(name, at);
  }

  clear(...names: TimerName[]): void {
    for (const name of names) if (this.#due.delete(name)) this.#next = undefined;
  }

  has(name: TimerName): boolean {
    return this.#due.has(name);
  }

  /** Returns the earliest deadline, `Infinity` if none is set. */
  next(): number {
    if (this.#next !== undefined) return this.#next;
    let next = Infinity;
    for (const at of this.#due.values()) if (at < next) next = at;
    return (this.#next = next);
  }

  /** Removes the earliest deadline that is due, and returns its name. */
  pop(now: number): TimerName | undefined {
    const next = this.next();
    if (next > now) return undefined;
    for (const [name, at] of this.#due) {
      if (at !== next) continue;
      this.clear(name);
      return name;
    }
    return undefined;
  }
}
