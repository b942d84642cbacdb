// All that a host knows of one member, in its epoch.

import type { MemberInfo, PeerId, Standing } from "./types.ts";
import type { Item, StampRequest } from "./wire.ts";

/** Limits of what is kept of one member, beside its share of bytes. */
const HELD_COUNT = 256;
const EARLY_COUNT = 1024;

/**
 * Entries older than the host's log that a follower lacks, and that another member was asked for.
 */
export interface Backfilling {
  readonly giver: PeerId;
  /** The entries after this are missing. */
  readonly after: number;
  /** Number of times that they were asked for in vain. */
  readonly tries: number;
  readonly at: Standing;
  readonly sentAt: number;
}

export class Follower {
  /** Whether the member is in the server's roster. */
  present = true;
  /** Since when it is not. */
  absentSince = 0;
  /** Whether the server relays to the member. Else only a data channel reaches it. */
  relayed = true;
  /** Whether the member has said that it leaves for good. */
  gone = false;
  /** Names of what the member's library can do. */
  can: readonly string[] = [];
  /** When the server last announced the member. */
  announcedAt = -Infinity;
  /** When the member was found missing after a break of the server; 0 while it is here. */
  missing = 0;
  /** Where the member last said it stands. */
  at: Standing | undefined;
  saidAt = 0;
  /** Number of times that the member did not hand over what it said it has. */
  failed = 0;
  older: Backfilling | undefined;
  /** Whether the member is known to stand on the host's log, and is fed from it. */
  live = false;
  /** The member has all entries up to here. */
  have = 0;
  /** Seq of the next entry to send to the member. */
  next = 1;
  /** When `have` last grew. */
  progress = 0;
  /** Time to wait for progress before the entries are sent again. */
  retryMs = 0;
  /** When a gap was last answered. */
  filledAt = -Infinity;
  /** When the member was last heard in this epoch. */
  heard = -Infinity;
  /** When the member was last asked where it stands. */
  asked = -Infinity;
  /** When the member was last asked for a message that is missing. */
  needed = -Infinity;
  /** Messages that arrived while the host could not stamp. */
  #held: StampRequest[] = [];
  #heldBytes = 0;
  /** Messages that arrived before those that the member sent earlier. */
  readonly #early = new Map<number, Item>();
  #earlyBytes = 0;

  constructor(
    readonly id: PeerId,
    public info: MemberInfo,
    readonly since: number,
  ) {}

  /**
   * Keeps messages until the host stamps. Drops them beyond `limit` bytes: the member sends them
   * again.
   */
  hold(request: StampRequest, limit: number): void {
    const size = request.x.reduce((sum, item) => sum + item.z, 0);
    if (this.#heldBytes + size > limit || this.#held.length > HELD_COUNT) return;
    this.#held.push(request);
    this.#heldBytes += size;
  }

  takeHeld(): StampRequest[] {
    const held = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    return held;
  }

  /** Keeps a message until its turn. Drops it beyond `limit` bytes: the member sends it again. */
  keepEarly(item: Item, limit: number): void {
    const early = this.#early;
    if (early.has(item.n) || this.#earlyBytes + item.z > limit || early.size > EARLY_COUNT) return;
    early.set(item.n, item);
    this.#earlyBytes += item.z;
  }

  /** Removes message `n` from those that arrived early, and returns it. */
  takeEarly(n: number): Item | undefined {
    const item = this.#early.get(n);
    if (item) {
      this.#early.delete(n);
      this.#earlyBytes -= item.z;
    }
    return item;
  }

  /** Drops the messages before `n`. Returns whether others wait for their turn. */
  dropEarlyBefore(n: number): boolean {
    for (const early of this.#early.keys()) if (early < n) this.takeEarly(early);
    return this.#early.size > 0;
  }
}
