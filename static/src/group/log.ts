// The entries that this member has, without a hole: (base, last]. Entries up to the base are
// trimmed. The line still knows their epochs, and the floor is their sum.

import { DedupeTable } from "./dedupe-table.ts";
import { epochAt } from "./history.ts";
import type { Entry, Line, Place, Segment } from "./types.ts";

/**
 * Number of epochs that a line remembers. A member that is further behind is restored instead of
 * filled.
 */
const LINE_LENGTH = 256;
/** Bytes that the fields of an entry take beside its payload, in a batch. */
const ENTRY_BYTES = 64;

interface TrimOptions {
  /** Drop entries that were appended before this time, */
  readonly before: number;
  /** except those after this seq. */
  readonly neededAfter: number;
  /** Drop the oldest entries beyond these limits. */
  readonly bytes: number;
  readonly count: number;
  /** Never drop what the page was not handed. */
  readonly delivered: number;
  readonly now: number;
}

export class Log {
  root = 0;
  base = 0;
  /** The base before anything was trimmed. */
  origin = 0;
  line: Segment[] = [];
  /** The sum of everything up to the base. */
  floor = new DedupeTable();
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

  /** Returns the entry `seq`; undefined if it is trimmed or not there yet. */
  at(seq: number): Entry | undefined {
    return this.#entries[seq - this.base - 1];
  }

  /** Returns the entry `seq`. Throws if the log does not have it. */
  expect(seq: number): Entry {
    const entry = this.at(seq);
    if (!entry) throw new Error(`no entry ${seq} in a log of (${this.base}, ${this.last}]`);
    return entry;
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

  /** Forgets the entries after `seq`. */
  truncate(seq: number): void {
    const keep = seq - this.base;
    this.#entries.length = keep;
    this.#times.length = keep;
    this.#sums.length = keep;
    this.line = this.line.filter((segment) => segment[1] <= seq);
  }

  /** Returns entries from `seq` to `to`, about `bytes` of them, at least one. */
  run(seq: number, bytes: number, to = this.last): Entry[] {
    const start = seq - this.base - 1;
    let end = start;
    let size = 0;
    while (
      end < to - this.base &&
      (end === start || size + (this.#entries[end] as Entry).z <= bytes)
    ) {
      size += (this.#entries[end] as Entry).z + ENTRY_BYTES;
      end++;
    }
    return this.#entries.slice(start, end);
  }

  /**
   * Returns the bytes of all entries up to `seq`. The difference of two places is the size of what
   * is between them.
   */
  bytesAt(seq: number): number {
    const i = seq - this.base - 1;
    return i < 0
      ? this.#trimmed
      : (this.#sums[Math.min(i, this.#sums.length - 1)] ?? this.#trimmed);
  }

  trim({ before, neededAfter, bytes, count, delivered, now }: TrimOptions): void {
    const end = this.bytesAt(this.last);
    let drop = 0;
    while (
      this.base + drop < delivered &&
      ((this.base + drop < neededAfter && (this.#times[drop] as number) < before) ||
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

  /** Starts again from one place of a history. `floor` is the sum of everything up to there. */
  reset({
    root,
    seq,
    line,
    floor,
  }: {
    readonly root: number;
    readonly seq: number;
    readonly line: Line;
    readonly floor: DedupeTable;
  }): void {
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

  /** Returns the sum of everything up to `seq`. `seq` is not before the base. */
  tableAt(seq: number, now: number): DedupeTable {
    const table = this.floor.clone();
    for (let s = this.base + 1; s <= seq; s++) table.apply(this.expect(s), now);
    return table;
  }
}
