// What this member has sent and not yet seen come back, in order of n; and for a while what did come back, in case the
// history it came back in has to be given up.

import type { Place } from "./types.ts";
import type { Item } from "./wire.ts";

interface Pending extends Item {
  /** 0 for one whose promise is settled already, being sent again after its history was lost. */
  readonly token: number;
  /** Where the page was handed it, if it is being sent again. */
  readonly place?: Place;
}

export interface Kept extends Item {
  /** When it came back; of an orphan, never. */
  readonly at: number;
  /** It is in every history this place is in. */
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
  /** The highest n ever handed to any. */
  #tried = 0;
  /** Nothing up to here is sent again: others may have forgotten how far they have what we sent. */
  #doubted = 0;
  /** Orphans were trimmed, and the page was not told of them. */
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

  /** Nothing below will ever be sent again. */
  get low(): number {
    return this.#pending[0]?.n ?? this.#last + 1;
  }

  /** Counts from here on, what waits included: before anything was handed to a host. */
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

  /** The next to send after `sent`, at most `window` bytes beyond the oldest pending. */
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

  after(n: number): Item | undefined {
    return this.#pending[this.#index(n)];
  }

  /** Of the first pending after n. */
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

  mark(n: number): void {
    this.sent = n;
    if (n > this.#tried) this.#tried = n;
  }

  /** Everything up to n has come back; says whose promises that settles. */
  settle(n: number, now: number, place: Place): number[] {
    const items = this.#drop(n);
    for (const { n, d, z } of items) this.#keep({ n, d, z, at: now, place });
    return tokens(items);
  }

  /** One message has come back. One that was given up before is kept, too: its page may have to be told that it is lost. */
  settleOne(item: Item, now: number, place: Place): number[] {
    const settled = this.settle(item.n, now, place);
    if (item.n <= this.#doubted && this.#kept.at(-1)?.n !== item.n)
      this.#keep({ ...item, at: now, place });
    return settled;
  }

  /** Returns whether message `n` waits to be sent, or sent again. */
  sends(n: number): boolean {
    return this.#pending[this.#index(n - 1)]?.n === n;
  }

  /**
   * Gives up what was handed to a host: nobody can say what became of it. A message that the page was handed, and that was
   * to be sent again, becomes an orphan, which is kept until the page is told that it is lost.
   */
  doubt(): number[] {
    this.#doubted = Math.max(this.#doubted, this.#tried);
    const items = this.#drop(this.#tried);
    for (const { n, d, z, place } of items) {
      if (place) this.#keep({ n, d, z, at: Infinity, place });
      else this.trimmed = Math.max(this.trimmed, n);
    }
    return tokens(items);
  }

  clear(): number[] {
    return tokens(this.#drop(Infinity));
  }

  /** Forgets what came back before `before`, and the oldest beyond the limits. */
  trim(before: number, bytes: number, count: number): void {
    let drop = 0;
    for (const { n, at, z } of this.#kept) {
      if (at >= before && this.#keptBytes <= bytes && this.#kept.length - drop <= count) break;
      this.#keptBytes -= z;
      this.trimmed = Math.max(this.trimmed, n);
      if (at === Infinity) this.#missed = true;
      drop++;
    }
    this.#kept.splice(0, drop);
  }

  /**
   * Goes on in another history, whose table has own messages up to `n`. Puts those that it lacks before all that wait to be
   * sent. Returns those that cannot be sent again: in doubt, or skipped by that history.
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
    return this.#kept.some((item) => item.n === n && item.at === Infinity);
  }

  get hasOrphans(): boolean {
    return this.#missed || this.#kept.some(({ at }) => at === Infinity);
  }

  /** Returns, once, whether there were orphans that cannot be told any more. */
  missed(): boolean {
    const missed = this.#missed;
    this.#missed = false;
    return missed;
  }

  /** Returns the orphans that the history this member goes on in does not have, and forgets all of them. */
  orphans(has: (item: Kept) => boolean): Kept[] {
    if (!this.hasOrphans) return [];
    const orphans = this.#kept.filter(({ at }) => at === Infinity);
    this.#kept = this.#kept.filter(({ at }) => at !== Infinity);
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
