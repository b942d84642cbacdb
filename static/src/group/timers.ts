// Deadlines with names, so that one alarm serves all and says why it rings.

export type TimerName =
  | "hello"
  | "ack"
  | "gap"
  | "resend"
  | "suspect"
  | "away"
  | "asking"
  | "beat"
  | "take"
  | "give"
  | "resign"
  | "trim"
  | "claim";

export class Timers {
  readonly #due = new Map<TimerName, number>();
  /** The earliest; undefined when it is to be looked for. */
  #next: number | undefined = Infinity;

  set(name: TimerName, at: number): void {
    this.#due.set(name, at);
    this.#next = undefined;
  }

  /** Keeps an earlier deadline. */
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

  next(): number {
    if (this.#next !== undefined) return this.#next;
    let next = Infinity;
    for (const at of this.#due.values()) if (at < next) next = at;
    return (this.#next = next);
  }

  /** Takes out the earliest that is due. */
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
