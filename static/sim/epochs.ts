// Epochs of one process of the server. Two processes that lead a page at once must never name the same epoch. Where
// there may be two, each names epochs of its own parity, and its core counts in halves.

type Payload = Readonly<Record<string, unknown>>;

export class EpochNames {
  readonly #parity: 0 | 1 | undefined;
  /** Epochs of other processes that this one went on with, by the core's number. */
  readonly #taken = new Map<number, number>();
  /** The highest number that the core has said. */
  #highest = 0;

  /** Without a parity, all epochs are this process's, and the core's numbers are the epochs. */
  constructor(parity?: 0 | 1) {
    this.#parity = parity;
  }

  /** The core's clock for a clock in ms. */
  clock(unixMs: number): number {
    return this.#parity === undefined ? unixMs : Math.floor(unixMs / 2);
  }

  /** Returns the epoch that the core calls `number`. */
  said(number: number): number {
    this.#highest = Math.max(this.#highest, number);
    if (this.#parity === undefined) return number;
    return this.#taken.get(number) ?? 2 * number + this.#parity;
  }

  /** The core has named a host in the epoch that it calls `number`. */
  named(number: number): void {
    this.#taken.delete(number);
  }

  /** Returns the core's number for a claimed epoch: not below it, so that the core goes above it. */
  claimed(epoch: number): number {
    if (this.#parity === undefined) return epoch;
    const number = Math.max(0, Math.ceil((epoch - this.#parity) / 2));
    if (2 * number + this.#parity !== epoch && number > this.#highest)
      this.#taken.set(number, epoch);
    return number;
  }

  /** Returns the core's number for an epoch that a client speaks of; undefined if the core has none. */
  heard(epoch: number): number | undefined {
    if (this.#parity === undefined) return epoch;
    for (const [number, taken] of this.#taken) if (taken === epoch) return number;
    const number = (epoch - this.#parity) / 2;
    return Number.isInteger(number) && !this.#taken.has(number) ? number : undefined;
  }

  /** Returns a payload of the core with its epoch as everyone names it. */
  outgoing(payload: unknown): unknown {
    return this.#renamed(payload, (number) => this.said(number));
  }

  /** Returns a payload of a client with its epoch as the core names it; undefined if the core has none. */
  incoming(payload: unknown): unknown {
    return this.#renamed(payload, (epoch) => this.heard(epoch));
  }

  #renamed(payload: unknown, name: (epoch: number) => number | undefined): unknown {
    const { epoch } = (payload ?? {}) as { epoch?: unknown };
    if (this.#parity === undefined || typeof epoch !== "number") return payload;
    const named = name(epoch);
    return named === undefined ? undefined : { ...(payload as Payload), epoch: named };
  }
}
