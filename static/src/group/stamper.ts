// Writing the log: each sender's messages in the order of its own count, and who comes and goes between them.

import type { Core } from "./core.ts";
import type { Ledger } from "./ledger.ts";
import type { Peer } from "./peer.ts";
import { sameProfile, type Entry, type EntryKind, type MemberInfo, type PeerId } from "./types.ts";
import type { Item } from "./wire.ts";

export class Stamper {
  readonly #core: Core;
  /** The log added up to its end, further than our page has been handed it. */
  #ahead: Ledger;
  /** Nobody's log can continue ours any more: entries of this epoch are in it. */
  begun = false;

  constructor(core: Core) {
    this.#core = core;
    this.#ahead = core.applied;
  }

  /** From the end of the log on, which is ours now. */
  begin(): void {
    this.#ahead = this.#core.applied.clone();
    this.follow(this.#core.delivered);
  }

  /** Entries after `seq` were taken from another. */
  follow(seq: number): void {
    const { log, now } = this.#core;
    for (let s = seq + 1; s <= log.last; s++) this.#ahead.apply(log.at(s) as Entry, now);
  }

  get members(): ReadonlyMap<PeerId, MemberInfo> {
    return this.#ahead.members;
  }

  count(from: PeerId): number {
    return this.#ahead.count(from);
  }

  prune(before: number): void {
    this.#ahead.prune(before, this.#core.settings.goneCount);
  }

  /** What a member sent, as far as its turn has come; the rest waits. The n that is missing, if one is. */
  take(peer: Peer, low: number, items: readonly Item[], share: number): number | undefined {
    let next = this.count(peer.id) + 1;
    // The sender gave up those between; or left so long ago that we forgot its count.
    if (low > next) next = low;
    for (const item of items) {
      if (item.n < next) continue;
      if (item.n > next) {
        peer.hold(item, share);
        continue;
      }
      if (this.#core.full()) return undefined;
      this.message(peer.id, next++, item);
      for (let held = peer.unhold(next); held; held = peer.unhold(next))
        this.message(peer.id, next++, held);
    }
    for (const n of peer.held.keys()) if (n < next) peer.unhold(n);
    return peer.held.size > 0 ? next : undefined;
  }

  message(from: PeerId, n: number, { d, z }: Item): void {
    this.#stamp("d", from, n, d, z);
  }

  /** A group member has come once it speaks: by then the server has told its profile. Says what is known of it now. */
  came(id: PeerId, info: MemberInfo, speaks = true): MemberInfo {
    const known = this.members.get(id);
    if (known && (info.profile === undefined || sameProfile(known, info)))
      return known.group === info.group ? known : info;
    if (known || speaks) this.#stamp("j", id, 0, info, 0);
    return info;
  }

  went(id: PeerId): void {
    if (this.members.has(id)) this.#stamp("l", id, 0, null, 0);
  }

  #stamp(k: EntryKind, f: PeerId, n: number, d: unknown, z: number): void {
    const { log, epoch, now } = this.#core;
    const entry = { s: log.last + 1, e: epoch, f, n, k, d, z };
    log.append(entry, now);
    this.#ahead.apply(entry, now);
    this.begun = true;
  }
}
