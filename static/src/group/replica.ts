// The replica of the group's history: the log, how far the page was handed it, and the sum of that.

import { DedupeTable } from "./dedupe-table.ts";
import { common, isEmpty, lies } from "./history.ts";
import { Log } from "./log.ts";
import { ProvisionalMark } from "./provisional.ts";
import type { Settings } from "./settings.ts";
import type { Entry, MemberInfo, Place, Provisional, Snapshot, Standing } from "./types.ts";
import type { Fill } from "./wire.ts";

/**
 * How entries fit onto the log. `gap`: entries before them are missing. `fork`: the page was handed
 * other entries in their place. `foreign`: they are of another history.
 */
export type Fit = "ok" | "gap" | "fork" | "foreign";

/** Entries from `s` on, of the history `r`. `p` is the epoch of the entry before. */
export type Run = Pick<Fill, "r" | "p" | "s" | "x">;

/** An entry that the page is handed now. */
export interface DeliveredEntry {
  readonly entry: Entry;
  /** False for a message that the page was handed before, in another history. */
  readonly isNew: boolean;
  /** The member of a `j` or `l`, before and after the entry. */
  readonly before: MemberInfo | undefined;
  readonly after: MemberInfo | undefined;
}

const HIGHEST = Number.MAX_SAFE_INTEGER / 2;

export class Replica {
  readonly log = new Log();
  /** The mark that travels with the history. */
  readonly provisional: ProvisionalMark;
  readonly #settings: Settings;
  #delivered = 0;
  #applied = new DedupeTable();
  #handed = new DedupeTable();
  #isWhole = true;
  #highest = 0;
  #neededAfter = Infinity;
  readonly #abandoned = new Set<number>();

  constructor(settings: Settings) {
    this.#settings = settings;
    this.provisional = new ProvisionalMark(settings);
  }

  // --- what is known ---

  /** The highest seq that the page was handed. */
  get delivered(): number {
    return this.#delivered;
  }

  /** The sum of the entries that the page was handed, in the present history. */
  get applied(): DedupeTable {
    return this.#applied;
  }

  /**
   * Messages that the page was handed, or has in its state, in whatever history. It is handed none
   * of them again.
   */
  get handed(): DedupeTable {
    return this.#handed;
  }

  /**
   * Whether the page's state is all of this history. False after the page was told that something
   * is missing.
   */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /**
   * The entries after this are kept, however old: a member is being given a state that ends there.
   */
  get neededAfter(): number {
    return this.#neededAfter;
  }

  /** Where the page stands. */
  get position(): Place {
    return { r: this.log.root, e: this.log.epochAt(this.#delivered), s: this.#delivered };
  }

  /** Returns the mark of the history as it travels with it. */
  mark(now: number): Provisional {
    const provisional = this.log.root === 0 ? undefined : this.provisional.left(now);
    return provisional === undefined ? {} : { provisional };
  }

  /**
   * Whether so much waits for the page that no more may be taken: what it was not handed cannot be
   * trimmed.
   */
  get isFull(): boolean {
    const { log } = this;
    const { logBytes, logCount } = this.#settings;
    return (
      log.bytesAt(log.last) - log.bytesAt(this.#delivered) > logBytes / 2 ||
      log.last - this.#delivered > logCount / 2
    );
  }

  /** Whether the log is so far beyond its limits that it must be trimmed at once. */
  get isCrammed(): boolean {
    const { log } = this;
    const { logBytes, logCount } = this.#settings;
    return (
      log.bytesAt(log.last) - log.bytesAt(log.base) > logBytes * 1.25 ||
      log.last - log.base > logCount * 1.25
    );
  }

  /**
   * Returns whether this member gave up the history with this root in this epoch. It may have
   * stamped in it, and never goes back to it in the same epoch.
   */
  hasAbandoned(root: number): boolean {
    return this.#abandoned.has(root);
  }

  // --- entries ---

  epochBegins(): void {
    this.#neededAfter = Infinity;
    this.#abandoned.clear();
  }

  keepAfter(seq: number): void {
    this.#neededAfter = seq;
  }

  /** Notes a seq that somebody has. A history founded later starts above it. */
  heardOf(seq: number): void {
    this.#highest = Math.max(this.#highest, seq);
  }

  /** Appends the entries of a run. Entries that the page has not been handed give way to them. */
  absorb({ r: root, p: prev, s: first, x: entries }: Run, now: number): Fit {
    const { log } = this;
    this.heardOf(first + entries.length - 1);
    if (log.root !== root || root === 0) return "foreign";
    if (first - 1 > log.last) return "gap";
    if (log.epochAt(first - 1) !== prev) {
      if (first - 1 <= this.#delivered) return "fork";
      log.truncate(first - 2);
      return "gap";
    }
    for (const entry of entries) {
      if (entry.s <= log.last) {
        if (log.epochAt(entry.s) === entry.e) continue;
        if (entry.s <= this.#delivered) return "fork";
        log.truncate(entry.s - 1);
      }
      log.append(entry, now);
    }
    return "ok";
  }

  /**
   * Counts the next entry up to `limit` as handed to the page, and returns it; undefined if there
   * is none.
   */
  deliverNext(limit: number, now: number): DeliveredEntry | undefined {
    const { log } = this;
    if (this.#delivered >= Math.min(limit, log.last)) return undefined;
    const entry = log.expect(++this.#delivered);
    const before = this.#applied.members.get(entry.f);
    this.#applied.apply(entry, now);
    const isNew = entry.k === "d" && entry.n > this.#handed.count(entry.f);
    if (isNew) this.#handed.apply(entry, now);
    return { entry, isNew, before, after: this.#applied.members.get(entry.f) };
  }

  /** Forgets senders that left before `before`, except the `keep` that left last. */
  forgetSenders(before: number, keep: number): void {
    for (const id of this.#applied.prune(before, keep)) this.#handed.forget(id);
  }

  // --- histories ---

  /** Begins a history of its own. */
  found(epoch: number, now: number): void {
    // A seq above `HIGHEST` is never reached: whoever said it was lying.
    const seq = this.#highest < HIGHEST ? this.#highest : 0;
    this.log.reset({ root: epoch, seq, line: [[epoch, seq]], floor: new DedupeTable() });
    this.provisional.found(now);
    this.#applied = new DedupeTable();
    this.#delivered = seq;
    // The page's state holds what it was handed before and gave up, and that is sent again.
    this.#isWhole = this.#handed.isEmpty;
  }

  /**
   * Gives up the present history, or the entries that a snapshot stands for, and goes on from that
   * snapshot.
   */
  goOnFrom(snap: Snapshot, table: DedupeTable, now: number): void {
    const { log } = this;
    const isFirst = log.root === 0;
    const forks = lies(snap, log);
    if (snap.r !== log.root && !isEmpty(log)) this.#abandoned.add(log.root);
    if (snap.r !== log.root || snap.provisional !== undefined)
      this.provisional.take(snap.provisional, now);
    if (snap.has) this.#handed = DedupeTable.read(snap, now);
    // Entries before a fork are as good as ever, and others may lack them.
    if (snap.s >= log.base && forks) log.truncate(snap.s);
    else log.reset({ root: snap.r, seq: snap.s, line: snap.line, floor: table.clone() });
    this.#applied = table;
    this.#delivered = snap.s;
    this.heardOf(snap.s);
    this.#isWhole = snap.has || (isFirst && isEmpty(snap));
  }

  // --- snapshots without a state ---

  /** Returns the snapshot of the place where the page stands, to which the page adds its state. */
  snapshot(now: number): Snapshot {
    return this.#snapshotAt(this.#delivered, this.#applied, now);
  }

  /**
   * Returns the snapshot from which a member at `at` starts if no page gives a state: where the two
   * histories part, or as far back as the log is kept.
   */
  bareSnapshot(at: Standing, now: number): Snapshot {
    const { log } = this;
    const seq = Math.max(common(at, log), log.base);
    return this.#snapshotAt(seq, log.tableAt(seq, now), now);
  }

  #snapshotAt(seq: number, table: DedupeTable, now: number): Snapshot {
    const { log } = this;
    return {
      r: log.root,
      e: log.epochAt(seq),
      s: seq,
      line: log.line.filter((segment) => segment[1] <= seq),
      ...table.write(),
      ...this.mark(now),
      has: false,
      z: 0,
    };
  }
}
