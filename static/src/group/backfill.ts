// A host that came late lacks what some are owed: it asks another member for it and hands it on unchanged.

import type { Core } from "./core.ts";
import { common, lies, same } from "./history.ts";
import type { Peer } from "./peer.ts";
import type { PeerId, Standing } from "./types.ts";
import type { Fill, Restore } from "./wire.ts";

/** So often in vain is another asked for what is older than our log, */
const TRIES = 8;
/** and not sooner again: it may say several times meanwhile what it lacks. */
const AGAIN_MS = 300;

export class Backfill {
  readonly #core: Core;
  readonly #peers: ReadonlyMap<PeerId, Peer>;
  /** Nobody has it: it must be restored. */
  readonly #failed: (peer: Peer, at: Standing) => void;

  constructor(
    core: Core,
    peers: ReadonlyMap<PeerId, Peer>,
    failed: (peer: Peer, at: Standing) => void,
  ) {
    this.#core = core;
    this.#peers = peers;
    this.#failed = failed;
  }

  /** It stands at `at`, on our history up to `upTo`, and lacks what is older than our log. False if nobody has that. */
  request(peer: Peer, at: Standing, upTo: number): boolean {
    const core = this.#core;
    // What we trimmed ourselves the others have trimmed, too.
    if (core.log.base > core.log.origin) return false;
    const asked = peer.older && peer.older.after >= upTo ? peer.older : undefined;
    if (asked && core.now - asked.sentAt < AGAIN_MS) return true;
    const tries = asked ? asked.tries + 1 : 0;
    if (tries >= TRIES) return false;
    const have = [...this.#peers.values()].filter(
      (giver) =>
        giver !== peer && giver.at && giver.at.base <= upTo && common(giver.at, core.log) > upTo,
    );
    const near = have.filter(
      (giver) =>
        core.links.path(giver.id, core.now) !== "none" &&
        core.now - giver.heard <= core.settings.peerSilentMs,
    );
    // Whom we do not reach or have not heard, after a break of our own, may answer when it is asked for again.
    const givers = near.length > 0 ? near : have;
    const giver = givers[tries % givers.length];
    if (!giver) return false;
    peer.older = { giver: giver.id, after: upTo, tries, at, sentAt: core.now };
    core.transmit(giver.id, { t: "pull", e: core.epoch, at });
    return true;
  }

  filled(from: PeerId, fill: Fill): void {
    for (const peer of this.#peers.values()) {
      if (peer.live || peer.older?.giver !== from || peer.older.after !== fill.s - 1) continue;
      this.#handOn(peer, peer.older.at, fill);
    }
  }

  /** Asked for entries it offers a snapshot: it has trimmed them meanwhile. */
  refused(from: PeerId, { heal }: Restore): void {
    for (const peer of this.#peers.values()) {
      if (peer.live || peer.older?.giver !== from || !same(peer.older.at, heal)) continue;
      peer.older = { ...peer.older, tries: TRIES, sentAt: -Infinity };
      this.#failed(peer, peer.older.at);
    }
  }

  #handOn(peer: Peer, at: Standing, { r, p, s, x }: Fill): void {
    const core = this.#core;
    const last = x[x.length - 1];
    if (!last || !lies({ r, e: last.e, s: last.s }, core.log)) return;
    core.transmit(peer.id, { t: "data", e: core.epoch, r, p, s, x });
    if (last.s < core.log.base)
      this.request(peer, { ...at, r, e: last.e, s: last.s, done: last.s }, last.s);
  }
}
