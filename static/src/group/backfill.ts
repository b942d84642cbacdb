// Gets entries that are older than the host's log, for members that are owed them.
//
// A host that joined late lacks these entries. It asks another member for them, and hands them on
// unchanged.

import type { Context } from "./context.ts";
import type { Follower } from "./follower.ts";
import { common, lies, same } from "./history.ts";
import type { PeerId, Standing } from "./types.ts";
import type { Fill, Restore } from "./wire.ts";

/** Number of tries in vain after which the follower must be restored. */
const TRIES = 8;
/**
 * Shortest interval between two tries. A follower may say several times meanwhile what it lacks.
 */
const AGAIN_MS = 300;

interface BackfillOptions {
  readonly followers: ReadonlyMap<PeerId, Follower>;
  /** Called when nobody has the entries, so that the follower must be restored. */
  readonly failed: (follower: Follower, at: Standing) => void;
}

export class Backfill {
  readonly #context: Context;
  readonly #followers: ReadonlyMap<PeerId, Follower>;
  readonly #failed: (follower: Follower, at: Standing) => void;

  constructor(context: Context, { followers, failed }: BackfillOptions) {
    this.#context = context;
    this.#followers = followers;
    this.#failed = failed;
  }

  /**
   * Asks another member for the entries after `upTo`, up to where the follower and the host have
   * one history. Returns false if nobody has them.
   */
  request(follower: Follower, at: Standing, upTo: number): boolean {
    const { epoch, links, now, paths, replica, settings } = this.#context;
    const { log } = replica;
    // The others have trimmed as well what the host has trimmed itself.
    if (log.base > log.origin) return false;
    const asked = follower.older && follower.older.after >= upTo ? follower.older : undefined;
    if (asked && now - asked.sentAt < AGAIN_MS) return true;
    const tries = asked ? asked.tries + 1 : 0;
    if (tries >= TRIES) return false;
    const have = [...this.#followers.values()].filter(
      (giver) =>
        giver !== follower && giver.at && giver.at.base <= upTo && common(giver.at, log) > upTo,
    );
    const near = have.filter(
      (giver) =>
        links.path(giver.id, now) !== "none" && now - giver.heard <= settings.memberSilentMs,
    );
    // A member that is not reached, or was not heard since a break of the host's own, may answer a
    // later try.
    const givers = near.length > 0 ? near : have;
    const giver = givers[tries % givers.length];
    if (!giver) return false;
    follower.older = { giver: giver.id, after: upTo, tries, at, sentAt: now };
    paths.transmit(giver.id, { t: "pull", e: epoch, at });
    return true;
  }

  /** A member has handed over entries. */
  filled(from: PeerId, fill: Fill): void {
    for (const follower of this.#followers.values()) {
      const { older } = follower;
      if (follower.live || older?.giver !== from || older.after !== fill.s - 1) continue;
      this.#handOn(follower, older.at, fill);
    }
  }

  /**
   * A member that was asked for entries offers a snapshot, because it has trimmed them meanwhile.
   */
  refused(from: PeerId, { heal }: Restore): void {
    for (const follower of this.#followers.values()) {
      const { older } = follower;
      if (follower.live || older?.giver !== from || !same(older.at, heal)) continue;
      follower.older = { ...older, tries: TRIES, sentAt: -Infinity };
      this.#failed(follower, older.at);
    }
  }

  #handOn(follower: Follower, at: Standing, { r, p, s, x }: Fill): void {
    const { epoch, paths, replica } = this.#context;
    const { log } = replica;
    const last = x[x.length - 1];
    if (!last || !lies({ r, e: last.e, s: last.s }, log)) return;
    paths.transmit(follower.id, { t: "data", e: epoch, r, p, s, x });
    if (last.s < log.base)
      this.request(follower, { ...at, r, e: last.e, s: last.s, done: last.s }, last.s);
  }
}
