// What this member has sent and not yet seen come back, in order of n; and for a while what did come back, in case the
// history it came back in has to be given up.

import type { Place } from "./types.ts";
import type { Item } from "./wire.ts";

interface Pending extends Item {
  /** 0 for one whose promise is settled already, being sent again after its history was lost. */
  readonly token: number;
}

interface Kept extends Item {
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
    for (const { n, d, z } of items) {
      this.#kept.push({ n, d, z, at: now, place });
      this.#keptBytes += z;
    }
    return tokens(items);
  }

  /** Nobody can say what became of those that were handed to a host. */
  doubt(): number[] {
    this.#kept = [];
    this.#keptBytes = 0;
    return tokens(this.#drop(this.#tried));
  }

  clear(): number[] {
    return tokens(this.#drop(Infinity));
  }

  trim(before: number, bytes: number): void {
    let drop = 0;
    for (const { at, z } of this.#kept) {
      if (at >= before && this.#keptBytes <= bytes) break;
      this.#keptBytes -= z;
      drop++;
    }
    this.#kept.splice(0, drop);
  }

  /** We go on in another history, which has own messages up to n: those it has not are sent again. */
  again(n: number, has: (place: Place) => boolean): void {
    this.sent = 0;
    const first = this.#kept.findIndex((item) => item.n > n && !has(item.place));
    if (first < 0) return;
    const lost = this.#kept.splice(first);
    for (const { z } of lost) {
      this.#keptBytes -= z;
      this.#bytes += z;
    }
    this.#pending.unshift(...lost.map(({ n, d, z }) => ({ n, d, z, token: 0 })));
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
