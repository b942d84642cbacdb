// The messages of this member: those that have not come back yet, in order of n, and the newest of
// those that have, in case the history they are in has to be given up. However old they are: nobody
// knows for how long another half of the page has gone on with another history.

import type { Place } from "./types.ts";
import type { Item } from "./wire.ts";

interface Pending extends Item {
  /**
   * 0 if the promise of the send is settled already, and the message is sent again after its
   * history was lost.
   */
  readonly token: number;
  /** Where the page was handed the message, if it is sent again. */
  readonly place?: Place;
}

export interface Kept extends Item {
  /** Whether the message was given up before it came back, and the page is to be told so. */
  readonly isOrphan: boolean;
  /** Place of the message: every history with this place has the message. */
  readonly place: Place;
}

export class Outbox {
  #pending: Pending[] = [];
  #kept: Kept[] = [];
  #keptBytes = 0;
  #last = 0;
  #bytes = 0;
  /** The highest n handed to the present host. */
  sent = 0;
  /** The highest n ever handed to any host. */
  #tried = 0;
  /** Nothing up to here is sent again: others may have forgotten which of these they have. */
  #doubted = 0;
  /** Whether orphans were trimmed before the page was told of them. */
  #missed = false;
  /** The highest n that is neither kept nor waits to be sent. */
  trimmed = 0;

  get size(): number {
    return this.#pending.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get last(): number {
    return this.#last;
  }

  /** The lowest n that may still be sent. */
  get low(): number {
    return this.#pending[0]?.n ?? this.#last + 1;
  }

  /**
   * Counts messages after `n`, those that wait included. Has no effect once a message was handed to
   * a host.
   */
  startAfter(n: number): void {
    if (this.#tried !== 0) return;
    this.#last = n;
    this.#pending = this.#pending.map((item) => ({ ...item, n: ++this.#last }));
  }

  add(token: number, data: unknown, size: number): void {
    this.#last++;
    this.#pending.push({ n: this.#last, d: data, z: size, token });
    this.#bytes += size;
  }

  /**
   * Returns the next messages to send after `sent`, at most `window` bytes beyond the oldest
   * pending one.
   */
  next(window: number, batch: number): Item[] {
    const items: Item[] = [];
    let flying = 0;
    let size = 0;
    for (const item of this.#pending) {
      if (item.n > this.sent) {
        if (items.length > 0 && (flying + item.z > window || size + item.z > batch)) break;
        if (flying > 0 && flying + item.z > window) break;
        items.push({ n: item.n, d: item.d, z: item.z });
        size += item.z + 32;
      }
      flying += item.z;
    }
    return items;
  }

  /** Returns the first message after `n`. */
  after(n: number): Item | undefined {
    return this.#pending[this.#index(n)];
  }

  /** Returns the index of the first pending message after `n`. */
  #index(n: number): number {
    let low = 0;
    let high = this.#pending.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#pending[middle] as Pending).n > n) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Notes that the messages up to `n` were handed to the present host. */
  mark(n: number): void {
    this.sent = n;
    if (n > this.#tried) this.#tried = n;
  }

  /** Everything up to `n` has come back. Returns the tokens of the promises that this settles. */
  settle(n: number, place: Place): number[] {
    const items = this.#drop(n);
    for (const { n, d, z } of items) this.#keep({ n, d, z, isOrphan: false, place });
    return tokens(items);
  }

  /**
   * One message has come back. Returns the tokens of the promises that this settles. A message that
   * was given up before is kept as well, because the page may have to be told that it is lost.
   */
  settleOne(item: Item, place: Place): number[] {
    const settled = this.settle(item.n, place);
    if (item.n <= this.#doubted && this.#kept.at(-1)?.n !== item.n)
      this.#keep({ ...item, isOrphan: false, place });
    return settled;
  }

  /** Returns whether message `n` waits to be sent, or sent again. */
  sends(n: number): boolean {
    return this.#pending[this.#index(n - 1)]?.n === n;
  }

  /**
   * Gives up what was handed to a host, since nobody can say what became of it. Returns the tokens
   * of the promises that this settles. A message that the page was handed, and that was to be sent
   * again, becomes an orphan: it is kept until the page is told that it is lost.
   */
  doubt(): number[] {
    this.#doubted = Math.max(this.#doubted, this.#tried);
    const items = this.#drop(this.#tried);
    for (const { n, d, z, place } of items) {
      if (place) this.#keep({ n, d, z, isOrphan: true, place });
      else this.trimmed = Math.max(this.trimmed, n);
    }
    return tokens(items);
  }

  /** Drops all that waits to be sent. Returns the tokens of the promises that this settles. */
  clear(): number[] {
    return tokens(this.#drop(Infinity));
  }

  /** Forgets the oldest of the messages that are kept, beyond these limits. */
  trim(bytes: number, count: number): void {
    let drop = 0;
    for (const { n, isOrphan, z } of this.#kept) {
      if (this.#keptBytes <= bytes && this.#kept.length - drop <= count) break;
      this.#keptBytes -= z;
      this.trimmed = Math.max(this.trimmed, n);
      if (isOrphan) this.#missed = true;
      drop++;
    }
    this.#kept.splice(0, drop);
  }

  /**
   * Goes on in another history, whose table has own messages up to `n`. The messages that it lacks
   * are put before all that wait to be sent. Returns those that cannot be sent again, because they
   * are in doubt or that history skips them.
   */
  again(n: number, has: (item: Kept) => boolean): Kept[] {
    this.sent = 0;
    const lost = this.#kept.filter((item) => !has(item));
    if (lost.length === 0) return lost;
    const gone = new Set(lost);
    this.#kept = this.#kept.filter((item) => !gone.has(item));
    for (const { z } of lost) this.#keptBytes -= z;
    const again = lost.filter((item) => item.n > this.#doubted && item.n > n);
    for (const { z } of again) this.#bytes += z;
    this.#pending.unshift(...again.map(({ n, d, z, place }) => ({ n, d, z, token: 0, place })));
    return lost.filter((item) => item.n <= this.#doubted || item.n <= n);
  }

  /** Returns whether message `n` is an orphan. */
  isOrphan(n: number): boolean {
    return this.#kept.some((item) => item.n === n && item.isOrphan);
  }

  get hasOrphans(): boolean {
    return this.#missed || this.#kept.some(({ isOrphan }) => isOrphan);
  }

  /** Returns, once, whether orphans were trimmed before the page was told of them. */
  missed(): boolean {
    const missed = this.#missed;
    this.#missed = false;
    return missed;
  }

  /**
   * Returns the orphans that the history this member goes on in does not have, and forgets all of
   * them.
   */
  orphans(has: (item: Kept) => boolean): Kept[] {
    if (!this.hasOrphans) return [];
    const orphans = this.#kept.filter(({ isOrphan }) => isOrphan);
    this.#kept = this.#kept.filter(({ isOrphan }) => !isOrphan);
    for (const { n, z } of orphans) {
      this.#keptBytes -= z;
      this.trimmed = Math.max(this.trimmed, n);
    }
    return orphans.filter((item) => !has(item));
  }

  #keep(item: Kept): void {
    this.#kept.push(item);
    this.#keptBytes += item.z;
  }

  #drop(n: number): Pending[] {
    const items = this.#pending.splice(0, this.#index(n));
    for (const { z } of items) this.#bytes -= z;
    return items;
  }
}

function tokens(items: readonly Pending[]): number[] {
  return items.filter(({ token }) => token !== 0).map(({ token }) => token);
}
