// What the log adds up to at one place of it: the last n of each sender (so that repeats are known) and the members.

import type { Entry, MemberInfo, PeerId, Snapshot } from "./types.ts";

interface Count {
  n: number;
  /** When its sender left; 0 while it is here. */
  left: number;
}

export class Ledger {
  readonly #counts = new Map<PeerId, Count>();
  readonly members = new Map<PeerId, MemberInfo>();

  /** The last n stamped of this sender. */
  count(from: PeerId): number {
    return this.#counts.get(from)?.n ?? 0;
  }

  apply(entry: Entry, now: number): void {
    if (entry.k === "d") {
      this.#counts.set(entry.f, { n: entry.n, left: 0 });
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

  /** Senders that left before `before` cannot be repeating anything any more: says whom it forgets. */
  prune(before: number): PeerId[] {
    const gone = [...this.#counts].filter(([, { left }]) => left !== 0 && left < before).map(([id]) => id);
    for (const id of gone) this.#counts.delete(id);
    return gone;
  }

  clone(): Ledger {
    const copy = new Ledger();
    for (const [id, count] of this.#counts) copy.#counts.set(id, { ...count });
    for (const [id, info] of this.members) copy.members.set(id, info);
    return copy;
  }

  write(): Pick<Snapshot, "counts" | "members"> {
    return { counts: [...this.#counts].map(([id, count]) => [id, count.n] as const), members: [...this.members] };
  }

  static read(snap: Pick<Snapshot, "counts" | "members">, now: number): Ledger {
    const ledger = new Ledger();
    for (const [id, info] of snap.members) ledger.members.set(id, info);
    for (const [id, n] of snap.counts) ledger.#counts.set(id, { n, left: ledger.members.has(id) ? 0 : now });
    return ledger;
  }
}
