// Hands the page the entries of the history in order, and another state when its history is given
// up.

import { DedupeTable } from "./dedupe-table.ts";
import type { Direct } from "./direct/direct.ts";
import type { Freshness } from "./freshness.ts";
import { giveUp } from "./given-up.ts";
import { common, isEmpty, lies } from "./history.ts";
import type { Outbox } from "./outbox.ts";
import type { Paths } from "./paths.ts";
import type { Loss, Recovery } from "./recovery.ts";
import type { DeliveredEntry, Replica } from "./replica.ts";
import type { Self } from "./self.ts";
import type { Snapshots } from "./snapshots.ts";
import type { Step } from "./step.ts";
import { sameProfile, type MemberInfo, type PeerId, type Snapshot } from "./types.ts";

interface DeliveryParts {
  readonly direct: Direct;
  readonly freshness: Freshness;
  readonly outbox: Outbox;
  readonly paths: Paths;
  readonly recovery: Recovery;
  readonly replica: Replica;
  readonly self: Self;
  readonly snapshots: Snapshots;
  readonly step: Step;
}

type Members = ReadonlyMap<PeerId, MemberInfo>;

export class PageDelivery {
  readonly #parts: DeliveryParts;

  constructor(parts: DeliveryParts) {
    this.#parts = parts;
  }

  /** Hands the page all entries up to `limit`, unless it makes a snapshot. */
  deliver(limit: number): void {
    const { replica, snapshots, step } = this.#parts;
    while (!snapshots.isAsking) {
      const next = replica.deliverNext(limit, step.now);
      if (!next) return;
      this.#hand(next);
    }
  }

  #hand({ entry, isNew, before, after }: DeliveredEntry): void {
    const { outbox, replica, self, step } = this.#parts;
    const { f: from, n, s: seq, e: epoch, d: data, z } = entry;
    if (entry.k !== "d") return this.#reportMember(from, before, after);
    if (isNew) step.push({ type: "deliver", from, n, seq, epoch, data });
    if (from !== self.id) return;
    const place = { r: replica.log.root, e: epoch, s: seq };
    step.settle(outbox.settleOne({ n, d: data, z }, place));
  }

  /** Gives up what the page has, and goes on from `snap`. */
  restore(snap: Snapshot): void {
    const { freshness, outbox, recovery, replica, self, snapshots, step } = this.#parts;
    const { log } = replica;
    const { now } = step;
    const had = log.root !== 0;
    // Entries that wait for the page's own snapshot are in the new state, or given up.
    snapshots.withdraw();
    // Without a state, the page is first handed what this member has of that history.
    if (!snap.has) this.deliver(common(log, snap));
    const continues = !had || lies(replica.position, snap);
    const forks = lies(snap, log);
    const table = DedupeTable.read(snap, now);
    const left = { id: self.id, log, delivered: replica.delivered, outbox, handed: replica.handed };
    const loss: Loss = {
      reason: !had ? "join" : continues ? "behind" : "replaced",
      ...giveUp(left, snap, table),
    };
    // All orphans that remain are in the new history.
    outbox.orphans(() => true);
    const members = replica.applied.members;
    replica.goOnFrom(snap, table, now);
    const { state, parts } = snap;
    if (snap.has) step.push({ type: "restore", state, parts, about: loss });
    this.#reportMembers(members, table.members);
    const complete = snap.has ? continues : !had && isEmpty(snap);
    recovery.report({
      complete,
      via: snap.has ? "snapshot" : complete || forks ? "log" : "none",
      awayMs: had ? now - (freshness.outOfStepSince ?? freshness.sharedAt) : 0,
      ...loss,
    });
    const place = { r: snap.r, e: snap.e, s: snap.s };
    step.settle(outbox.settle(table.count(self.id), place));
  }

  #reportMembers(old: Members, fresh: Members): void {
    for (const [id, info] of old) if (!fresh.has(id)) this.#reportMember(id, info, undefined);
    for (const [id, info] of fresh) this.#reportMember(id, old.get(id), info);
  }

  /** Tells the page that another member joined, left or has a new profile. */
  #reportMember(id: PeerId, old: MemberInfo | undefined, info: MemberInfo | undefined): void {
    const { direct, paths, self, step } = this.#parts;
    if (id === self.id) return;
    // When the member is back, its path is news again.
    if (old && !info) paths.forget(id);
    if (info && !old) step.notify({ kind: "member", change: "join", id, profile: info.profile });
    else if (old && !info) {
      step.notify({ kind: "member", change: "leave", id });
      direct.left(id);
    } else if (old && info && !sameProfile(old, info))
      step.notify({ kind: "profile", id, profile: info.profile });
  }
}
