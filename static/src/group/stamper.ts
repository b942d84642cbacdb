// Stamps the log of a host: each sender's messages in the order of its own count, and who joins and
// leaves between them.

import type { Context } from "./context.ts";
import type { DedupeTable } from "./dedupe-table.ts";
import type { Follower } from "./follower.ts";
import { sameProfile, type EntryKind, type MemberInfo, type PeerId } from "./types.ts";
import type { Item } from "./wire.ts";

interface StampOptions {
  /** Nothing below this `n` will be sent again. */
  readonly low: number;
  readonly items: readonly Item[];
  /** Bytes that may be kept of messages before their turn. */
  readonly share: number;
}

export class Stamper {
  readonly #context: Context;
  /** The sum of the log at its end, further than the page was handed it. */
  #table: DedupeTable;
  /**
   * Whether entries of this epoch are in the log, so that nobody's log can continue ours any more.
   */
  begun = false;

  constructor(context: Context) {
    this.#context = context;
    this.#table = context.replica.applied;
  }

  /** Begins at the end of the log, which is the group's now. */
  begin(): void {
    const { replica } = this.#context;
    this.#table = replica.applied.clone();
    this.follow(replica.delivered);
  }

  /** Adds the entries after `seq`, which were taken from another member. */
  follow(seq: number): void {
    const { now, replica } = this.#context;
    const { log } = replica;
    for (let s = seq + 1; s <= log.last; s++) this.#table.apply(log.expect(s), now);
  }

  get members(): ReadonlyMap<PeerId, MemberInfo> {
    return this.#table.members;
  }

  count(from: PeerId): number {
    return this.#table.count(from);
  }

  prune(before: number): void {
    this.#table.prune(before, this.#context.settings.goneCount);
  }

  /**
   * Stamps what a member sent, as far as its turn has come, and keeps the rest. Returns the `n`
   * that is missing, if any.
   */
  take(follower: Follower, { low, items, share }: StampOptions): number | undefined {
    let next = this.count(follower.id) + 1;
    // The sender gave up those between, or it left so long ago that its count was forgotten.
    if (low > next) next = low;
    for (const item of items) {
      if (item.n < next) continue;
      if (item.n > next) {
        follower.keepEarly(item, share);
        continue;
      }
      if (this.#context.replica.isFull) return undefined;
      this.stampMessage(follower.id, next++, item);
      for (let early = follower.takeEarly(next); early; early = follower.takeEarly(next))
        this.stampMessage(follower.id, next++, early);
    }
    return follower.dropEarlyBefore(next) ? next : undefined;
  }

  stampMessage(from: PeerId, n: number, { d, z }: Item): void {
    this.#stamp("d", from, n, d, z);
  }

  /**
   * Stamps that a member is here or has a new profile. Returns what is known of the member now.
   * Nothing is stamped for a newcomer that has not spoken: the server has told its profile by the
   * time it does.
   */
  stampPresent(id: PeerId, info: MemberInfo, contact: "spoken" | "silent"): MemberInfo {
    const known = this.members.get(id);
    if (known && (info.profile === undefined || sameProfile(known, info)))
      return known.group === info.group ? known : info;
    if (known || contact === "spoken") this.#stamp("j", id, 0, info, 0);
    return info;
  }

  /** Stamps that a member has left, if it was here. */
  stampLeft(id: PeerId): void {
    if (this.members.has(id)) this.#stamp("l", id, 0, null, 0);
  }

  #stamp(k: EntryKind, f: PeerId, n: number, d: unknown, z: number): void {
    const { epoch, now, replica } = this.#context;
    const { log } = replica;
    const entry = { s: log.last + 1, e: epoch, f, n, k, d, z };
    log.append(entry, now);
    this.#table.apply(entry, now);
    this.begun = true;
  }
}
