// The messages of this member to one other, in order, until they are acknowledged.

import type { PeerId, Place } from "../types.ts";

export interface Outgoing {
  readonly token: number;
  readonly data: unknown;
  readonly size: number;
  /** Number of the request. Absent in a message without an answer. */
  readonly q?: number;
  /**
   * How far the page had been handed the log when it sent the message. Undefined if this member
   * was not yet on that log as a member: then the place of the first try counts.
   */
  place: Place | undefined;
  /** 0 until the first try. */
  n: number;
}

/** Messages that go out together. `after`: `n` of the one before them, 0 if there is none. */
export interface Batch {
  readonly after: number;
  readonly items: readonly Outgoing[];
}

export class Stream {
  /** When to send again; infinite while nothing is under way. */
  dueAt = Infinity;
  waitMs: number;
  /** Since when the addressee has not answered, though it could have been asked. */
  silentSince: number;
  /** Bytes of all messages. */
  bytes = 0;
  #items: Outgoing[] = [];
  /** Index of the first message that was not sent in this round. */
  #next = 0;
  /** Whether one batch is sent again, and the rest waits for the answer. */
  #isProbing = false;

  /** `key`: a negative number, until the addressee tells its key. */
  constructor(
    readonly to: PeerId,
    public key: number,
    { now, waitMs }: { readonly now: number; readonly waitMs: number },
  ) {
    this.waitMs = waitMs;
    this.silentSince = now;
  }

  get size(): number {
    return this.#items.length;
  }

  /** Whether the addressee has told its key for this member. */
  get isKnown(): boolean {
    return this.key > 0;
  }

  add(item: Outgoing): void {
    this.#items.push(item);
    this.bytes += item.size;
  }

  /** Sends all again from the first on; `probing`: one batch, and the rest with the answer. */
  rewind(probing: boolean): void {
    this.#next = 0;
    this.#isProbing = probing;
  }

  /** Returns the next messages to send, at most `window` bytes beyond the first one. */
  next(window: number, batch: number, count: () => number): Batch | undefined {
    const first = this.#next;
    if (this.#isProbing && first > 0) return undefined;
    let flying = 0;
    for (const { size } of this.#items.slice(0, first)) flying += size;
    let bytes = 0;
    for (let item = this.#items[first]; item; item = this.#items[this.#next]) {
      if (flying > 0 && flying + item.size > window) break;
      if (this.#next > first && bytes + item.size > batch) break;
      if (item.n === 0) item.n = count();
      flying += item.size;
      bytes += item.size;
      this.#next++;
    }
    if (this.#next === first) return undefined;
    const after = this.#items[first - 1]?.n ?? 0;
    return { after, items: this.#items.slice(first, this.#next) };
  }

  /** Removes and returns the messages up to `n`, which the addressee was handed. */
  acknowledged(n: number): Outgoing[] {
    const done = this.#items.filter((item) => item.n !== 0 && item.n <= n);
    this.#drop(done);
    if (done.length > 0) this.#isProbing = false;
    return done;
  }

  /** Removes and returns the messages that were tried: nobody knows what became of them. */
  doubt(): Outgoing[] {
    const tried = this.#items.filter(({ n }) => n !== 0);
    this.#drop(tried);
    this.rewind(false);
    return tried;
  }

  has(token: number): boolean {
    return this.#items.some((item) => item.token === token);
  }

  /** Removes one message. Returns false if it is not here. */
  withdraw(token: number): boolean {
    const item = this.#items.find((one) => one.token === token);
    if (item) this.#drop([item]);
    return item !== undefined;
  }

  /** Removes and returns all messages. */
  clear(): Outgoing[] {
    const all = this.#items;
    this.#drop(all.slice());
    return all;
  }

  #drop(items: readonly Outgoing[]): void {
    const gone = new Set(items);
    this.#next -= this.#items.slice(0, this.#next).filter((item) => gone.has(item)).length;
    this.#items = this.#items.filter((item) => !gone.has(item));
    for (const { size } of items) this.bytes -= size;
  }
}
