// Restoring members that cannot be filled: one snapshot, asked of a member that does not host where there is one,
// serves all who wait.

import type { Core } from "./core.ts";
import { lies, same } from "./history.ts";
import type { Peer } from "./peer.ts";
import type { PeerId, Snapshot, Standing } from "./types.ts";

const ROUNDS = 3;
const SLOWEST_MS = 16_000;

interface Waiting {
  at: Standing;
  sentAt: number;
  everyMs: number;
}

export class Restorer {
  readonly #core: Core;
  readonly #peers: ReadonlyMap<PeerId, Peer>;
  readonly #waiting = new Map<PeerId, Waiting>();
  #snap: Snapshot | undefined;
  #snapAt = 0;
  #asking: { k: number; giver: PeerId } | undefined;
  #askingSelf = false;
  readonly #failed = new Set<PeerId>();
  /** Times everyone was asked in vain. */
  #rounds = 0;

  constructor(core: Core, peers: ReadonlyMap<PeerId, Peer>) {
    this.#core = core;
    this.#peers = peers;
  }

  request(peer: Peer, at: Standing): void {
    const old = this.#waiting.get(peer.id);
    if (!old || !same(old.at, at)) {
      this.#waiting.set(peer.id, { at, sentAt: -Infinity, everyMs: this.#core.settings.restoreRepeatMs });
    }
    this.#serve();
  }

  done(id: PeerId): void {
    this.#waiting.delete(id);
  }

  gave(from: PeerId, k: number, snap: Snapshot | null): void {
    if (this.#asking?.k !== k || this.#asking.giver !== from) return;
    this.#asking = undefined;
    this.#core.timers.clear("give");
    if (snap && snap.s >= this.#core.log.base && lies(snap, this.#core.log)) this.#have(snap);
    else {
      this.#failed.add(from);
      this.#serve();
    }
  }

  /** The giver is too slow, or gone. */
  late(): void {
    if (!this.#asking) return;
    this.#failed.add(this.#asking.giver);
    this.#asking = undefined;
    this.#core.timers.clear("give");
    this.#serve();
  }

  left(id: PeerId): void {
    this.#waiting.delete(id);
    if (this.#asking?.giver === id) this.late();
  }

  #have(snap: Snapshot): void {
    this.#snap = snap;
    this.#snapAt = this.#core.now;
    this.#failed.clear();
    this.#rounds = 0;
    this.#serve();
  }

  #serve(): void {
    const core = this.#core;
    const due = [...this.#waiting].filter(([, waiting]) => core.now >= waiting.sentAt + waiting.everyMs);
    if (due.length === 0 || this.#asking || this.#askingSelf) return;
    const snap = this.#snap;
    if (snap && snap.s >= core.log.base && lies(snap, core.log) && core.now - this.#snapAt <= core.settings.snapshotAgeMs) {
      for (const [id, waiting] of due) this.#send(id, waiting, snap);
      return;
    }
    const giver = this.#pick();
    if (giver) {
      const k = core.token();
      this.#asking = { k, giver };
      core.transmit(giver, { t: "want", e: core.epoch, k });
      core.timers.set("give", core.now + core.settings.snapshotMs);
      return;
    }
    const epoch = core.epoch;
    this.#askingSelf = true;
    core.ask((own) => {
      this.#askingSelf = false;
      if (core.epoch !== epoch) return;
      if (own) return this.#have(own);
      const again = core.gives || (this.#failed.size > 0 && ++this.#rounds < ROUNDS);
      this.#failed.clear();
      // Pages that can give a state and failed are asked again when those who wait ask again.
      if (again) return;
      this.#rounds = 0;
      for (const [id, waiting] of due) this.#send(id, waiting, core.bare(waiting.at));
    });
  }

  #send(id: PeerId, waiting: Waiting, snap: Snapshot): void {
    const core = this.#core;
    // It may be long under way: not every report of the same place is a cry for another.
    if (waiting.sentAt > -Infinity) waiting.everyMs = Math.min(waiting.everyMs * 2, SLOWEST_MS);
    waiting.sentAt = core.now;
    const { r, e, s } = waiting.at;
    core.transmit(id, { t: "restore", e: core.epoch, heal: { r, e, s }, snap });
  }

  /** Not the host, whose page has enough to do; one near, who answers. */
  #pick(): PeerId | undefined {
    const { links, now, settings } = this.#core;
    let best: Peer | undefined;
    for (const peer of this.#peers.values()) {
      if (!peer.live || !peer.at?.snap || this.#failed.has(peer.id) || now - peer.heard > settings.peerSilentMs) continue;
      if (!best || (links.good(peer.id, now) && !links.good(best.id, now))) best = peer;
    }
    return best?.id;
  }
}
