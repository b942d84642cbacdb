// The sum of a log at one place: the members, and the messages of each sender, so that repeats are
// known.

import type { Entry, Gaps, MemberInfo, PeerId, Snapshot } from "./types.ts";

/** Number of gaps that are remembered of one sender. */
const GAPS = 8;

interface Count {
  /** The last n that was stamped. */
  readonly n: number;
  /** When the sender left; 0 while it is here. */
  left: number;
  /** Runs of n that were never stamped, because the sender gave them up. */
  readonly gaps: Gaps["gaps"];
  /** Nobody knows whether the messages up to this n were stamped. */
  readonly unsure: number;
}

/** Whether a history holds a message; `unsure` if what would tell was forgotten. */
export type Holding = "yes" | "no" | "unsure";

export class DedupeTable {
  readonly #counts = new Map<PeerId, Count>();
  readonly members = new Map<PeerId, MemberInfo>();
  /**
   * Whether a sender was ever forgotten: a sender that is unknown here may then have sent
   * something.
   */
  #forgot = false;

  /** Returns the last n stamped of this sender, 0 if there is none. */
  count(from: PeerId): number {
    return this.#counts.get(from)?.n ?? 0;
  }

  /** Returns whether the history holds this sender's message `n`. */
  holds(from: PeerId, n: number): Holding {
    const count = this.#counts.get(from);
    if (!count) return this.#forgot ? "unsure" : "no";
    if (n > count.n || count.gaps.some(([first, last]) => n >= first && n <= last)) return "no";
    return n <= count.unsure ? "unsure" : "yes";
  }

  /** Returns whether this table holds every message that `other` holds, except those of `but`. */
  includes(other: DedupeTable, but: PeerId): boolean {
    if (other.#forgot) return false;
    for (const [id, theirs] of other.#counts) {
      if (id === but) continue;
      const ours = this.#counts.get(id);
      if (!ours || ours.n < theirs.n || ours.unsure > theirs.unsure) return false;
      const isTheirs = ([first, last]: readonly [number, number]): boolean =>
        theirs.gaps.some((gap) => gap[0] <= first && gap[1] >= last);
      if (ours.gaps.some((gap) => gap[0] <= theirs.n && !isTheirs(gap))) return false;
    }
    return true;
  }

  /** Adds an entry of the log. */
  apply(entry: Entry, now: number): void {
    if (entry.k === "d") {
      this.#counts.set(entry.f, this.#counted(this.#counts.get(entry.f), entry.n));
    } else if (entry.k === "j") {
      this.members.set(entry.f, entry.d as MemberInfo);
      const count = this.#counts.get(entry.f);
      if (count) count.left = 0;
    } else {
      this.members.delete(entry.f);
      const count = this.#counts.get(entry.f);
      if (count) count.left = now;
    }
  }

  #counted(known: Count | undefined, n: number): Count {
    const before = known?.n ?? 0;
    let gaps = known?.gaps ?? [];
    let unsure = known?.unsure ?? 0;
    if (n > before + 1) {
      if (!known && this.#forgot) unsure = n - 1;
      else gaps = [...gaps, [before + 1, n - 1]];
    }
    if (gaps.length > GAPS) {
      unsure = Math.max(unsure, (gaps[0] as Gaps["gaps"][number])[1]);
      gaps = gaps.slice(1);
    }
    return { n, left: 0, gaps, unsure };
  }

  /**
   * Forgets senders that left before `before`, except the `keep` that left last, and returns them.
   * `before` is so early that none of them can repeat a message any more.
   */
  prune(before: number, keep: number): PeerId[] {
    const left = [...this.#counts].filter(([, count]) => count.left !== 0);
    if (left.length <= keep) return [];
    const gone = left
      .sort(([, a], [, b]) => a.left - b.left)
      .slice(0, left.length - keep)
      .filter(([, count]) => count.left < before)
      .map(([id]) => id);
    for (const id of gone) this.#counts.delete(id);
    if (gone.length > 0) this.#forgot = true;
    return gone;
  }

  forget(id: PeerId): void {
    if (this.#counts.delete(id)) this.#forgot = true;
  }

  get isEmpty(): boolean {
    return this.#counts.size === 0;
  }

  clone(): DedupeTable {
    const copy = new DedupeTable();
    for (const [id, count] of this.#counts) copy.#counts.set(id, { ...count });
    for (const [id, info] of this.members) copy.members.set(id, info);
    copy.#forgot = this.#forgot;
    return copy;
  }

  write(): Pick<Snapshot, "counts" | "members" | "gaps" | "forgot"> {
    const gaps = [...this.#counts]
      .filter(([, count]) => count.gaps.length > 0 || count.unsure > 0)
      .map(([id, { gaps, unsure }]) => ({ id, gaps, unsure }));
    return {
      counts: [...this.#counts].map(([id, count]) => [id, count.n] as const),
      members: [...this.members],
      ...(gaps.length > 0 ? { gaps } : {}),
      ...(this.#forgot ? { forgot: true } : {}),
    };
  }

  static read(
    snap: Pick<Snapshot, "counts" | "members" | "gaps" | "forgot">,
    now: number,
  ): DedupeTable {
    const table = new DedupeTable();
    table.#forgot = snap.forgot === true;
    for (const [id, info] of snap.members) table.members.set(id, info);
    const gaps = new Map(snap.gaps?.map((of) => [of.id, of]));
    for (const [id, n] of snap.counts) {
      const known = gaps.get(id);
      const left = table.members.has(id) ? 0 : now;
      table.#counts.set(id, { n, left, gaps: known?.gaps ?? [], unsure: known?.unsure ?? 0 });
    }
    return table;
  }
}
