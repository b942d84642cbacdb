// The entries this member has, without a hole: (base, last]. What is before the base is trimmed, but its epochs are
// known from the line, and what it added up to from the floor.

import { epochAt } from "./history.ts";
import { Ledger } from "./ledger.ts";
import type { Entry, Line, Place, Segment } from "./types.ts";

/** Changes of host remembered; a member further behind is restored instead of filled. */
const LINE_LENGTH = 256;

export class Log {
  root = 0;
  base = 0;
  /** Where it began, before anything was trimmed. */
  origin = 0;
  line: Segment[] = [];
  /** What everything up to the base adds up to. */
  floor = new Ledger();
  #entries: Entry[] = [];
  #times: number[] = [];
  /** Bytes up to and with each entry, since the last reset. */
  #sums: number[] = [];
  #trimmed = 0;

  get last(): number {
    return this.base + this.#entries.length;
  }

  get place(): Place {
    return { r: this.root, e: this.root === 0 ? 0 : epochAt(this.line, this.last), s: this.last };
  }

  get r(): number {
    return this.root;
  }

  get s(): number {
    return this.last;
  }

  epochAt(seq: number): number {
    return epochAt(this.line, seq);
  }

  at(seq: number): Entry | undefined {
    return this.#entries[seq - this.base - 1];
  }

  append(entry: Entry, now: number): void {
    const tail = this.line[this.line.length - 1];
    if (!tail || tail[0] !== entry.e) {
      this.line.push([entry.e, entry.s]);
      if (this.line.length > LINE_LENGTH) this.line.shift();
    }
    this.#sums.push(this.bytesAt(this.last) + entry.z);
    this.#entries.push(entry);
    this.#times.push(now);
  }

  /** Forget what follows `seq`. */
  truncate(seq: number): void {
    const keep = seq - this.base;
    this.#entries.length = keep;
    this.#times.length = keep;
    this.#sums.length = keep;
    this.line = this.line.filter((segment) => segment[1] <= seq);
  }

  /** Entries from `seq` on, about `bytes` of them, at least one. */
  run(seq: number, bytes: number, to = this.last): Entry[] {
    const start = seq - this.base - 1;
    let end = start;
    let size = 0;
    while (
      end < to - this.base &&
      (end === start || size + (this.#entries[end] as Entry).z <= bytes)
    ) {
      size += (this.#entries[end] as Entry).z + 64;
      end++;
    }
    return this.#entries.slice(start, end);
  }

  /** Bytes of all entries up to `seq`; differences of it are what is between. */
  bytesAt(seq: number): number {
    const i = seq - this.base - 1;
    return i < 0
      ? this.#trimmed
      : (this.#sums[Math.min(i, this.#sums.length - 1)] ?? this.#trimmed);
  }

  /** Drop what is older than `before`, up to `hold`, or beyond the limits, but nothing after `keep`. */
  trim(
    before: number,
    hold: number,
    bytes: number,
    count: number,
    keep: number,
    now: number,
  ): void {
    const end = this.bytesAt(this.last);
    let drop = 0;
    while (
      this.base + drop < keep &&
      ((this.base + drop < hold && (this.#times[drop] as number) < before) ||
        end - (this.#sums[drop] as number) > bytes ||
        this.#entries.length - drop > count)
    ) {
      this.floor.apply(this.#entries[drop] as Entry, now);
      drop++;
    }
    if (drop === 0) return;
    this.#trimmed = this.#sums[drop - 1] as number;
    this.#entries.splice(0, drop);
    this.#times.splice(0, drop);
    this.#sums.splice(0, drop);
    this.base += drop;
  }

  /** Start again from one place of a history. */
  reset(root: number, seq: number, line: Line, floor: Ledger): void {
    this.root = root;
    this.base = seq;
    this.origin = seq;
    this.line = line.filter((segment) => segment[1] <= seq);
    this.floor = floor;
    this.#entries = [];
    this.#times = [];
    this.#sums = [];
    this.#trimmed = 0;
  }

  /** What everything up to `seq` adds up to; `seq` not before the base. */
  ledgerAt(seq: number, now: number): Ledger {
    const ledger = this.floor.clone();
    for (let s = this.base + 1; s <= seq; s++) ledger.apply(this.at(s) as Entry, now);
    return ledger;
  }
}
