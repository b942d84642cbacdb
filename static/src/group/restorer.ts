// Restoring members that cannot be filled: one snapshot, asked of a member that does not host where there is one,
// serves all who wait.

import type { Core } from "./core.ts";
import { lies, same } from "./history.ts";
import type { Peer } from "./peer.ts";
import type { PeerId, Snapshot, Standing } from "./types.ts";
import type { Restore } from "./wire.ts";

const ROUNDS = 3;
/** About what a line of the table of members takes. */
const MEMBER_BYTES = 64;
const SLOWEST_MS = 16_000;

interface Waiting {
  readonly at: Standing;
  /** The first state that went to it and may still be on its way: where it ends, and since when. */
  first: { readonly s: number; readonly at: number } | undefined;
  /** So often it was sent one. */
  times: number;
  sentAt: number;
  everyMs: number;
}

export class Restorer {
  readonly #core: Core;
  readonly #peers: ReadonlyMap<PeerId, Peer>;
  readonly #waiting = new Map<PeerId, Waiting>();
  #snap: Snapshot | undefined;
  #snapAt = 0;
  /** Time that the giver of the snapshot took, in ms; 0 for our own page. The way to who waits is about as slow. */
  #tookMs = 0;
  /** The same words for all who stand at the same place, most of them nowhere: the shell writes them once. */
  readonly #words = new Map<string, Restore>();
  /** What went to the relay in this step, before it can say that it has enough. */
  #burst = { at: 0, bytes: 0 };
  #asking: { readonly k: number; readonly giver: PeerId; readonly at: number } | undefined;
  #askingSelf = false;
  /** Who gave nothing, or (true) took too long: not asked again before all others are. */
  readonly #failed = new Map<PeerId, boolean>();
  /** Times everyone was asked in vain. */
  #rounds = 0;

  constructor(core: Core, peers: ReadonlyMap<PeerId, Peer>) {
    this.#core = core;
    this.#peers = peers;
  }

  request(peer: Peer, at: Standing): void {
    const old = this.#waiting.get(peer.id);
    if (!old || !same(old.at, at)) {
      this.#waiting.set(peer.id, {
        at,
        first: undefined,
        times: 0,
        sentAt: -Infinity,
        everyMs: this.#core.settings.restoreRepeatMs,
      });
    }
    this.#serve();
  }

  /** The entries after this are needed, to follow a state that is on its way here, or from here. */
  get hold(): number {
    const { now, settings } = this.#core;
    if (this.#asking) return 0;
    const away = [...this.#waiting.values()].flatMap(({ first }) =>
      first && now - first.at <= settings.stateMs ? first.s : [],
    );
    return Math.min(Infinity, ...away);
  }

  done(id: PeerId): void {
    this.#waiting.delete(id);
  }

  gave(from: PeerId, k: number, snap: Snapshot | null): void {
    if (this.#asking?.k !== k || this.#asking.giver !== from) return;
    const tookMs = this.#core.now - this.#asking.at;
    this.#asking = undefined;
    this.#core.timers.clear("give");
    if (snap && snap.s >= this.#core.log.base && lies(snap, this.#core.log))
      this.#have(snap, tookMs);
    else {
      this.#failed.set(from, false);
      this.#serve();
    }
  }

  /** There is room in the socket. */
  drained(): void {
    this.#serve();
  }

  /** The giver is in the middle of it. */
  heard(from: PeerId): void {
    if (this.#asking?.giver !== from) return;
    const { now, settings, timers } = this.#core;
    timers.set(
      "give",
      Math.min(now + settings.snapshotMs, Math.max(now, this.#asking.at + settings.stateMs)),
    );
  }

  /** The giver is too slow, or gone. */
  late(): void {
    if (!this.#asking) return;
    const { giver, at } = this.#asking;
    this.#failed.set(giver, this.#core.now >= at + this.#core.settings.stateMs);
    this.#asking = undefined;
    this.#core.timers.clear("give");
    this.#serve();
  }

  left(id: PeerId): void {
    this.#waiting.delete(id);
    if (this.#asking?.giver === id) this.late();
  }

  #have(snap: Snapshot, tookMs: number): void {
    this.#snap = snap;
    this.#tookMs = tookMs;
    this.#snapAt = this.#core.now;
    this.#words.clear();
    this.#rounds = 0;
    this.#serve();
  }

  #serve(): void {
    const core = this.#core;
    for (const list of [this.#waiting, this.#failed])
      for (const id of list.keys()) if (!this.#peers.has(id)) list.delete(id);
    const due = [...this.#waiting].filter(
      ([, waiting]) => core.now >= waiting.sentAt + waiting.everyMs,
    );
    if (due.length === 0 || this.#asking || this.#askingSelf) return;
    const snap = this.#snap;
    if (
      snap &&
      snap.s >= core.log.base &&
      lies(snap, core.log) &&
      core.now - this.#snapAt <= core.settings.snapshotAgeMs
    ) {
      this.#sendAll(due, snap);
      return;
    }
    const giver = this.#pick();
    if (giver) {
      const k = core.token();
      this.#asking = { k, giver, at: core.now };
      core.transmit(giver, { t: "want", e: core.epoch, k });
      core.timers.set("give", core.now + core.settings.snapshotMs);
      return;
    }
    const epoch = core.epoch;
    this.#askingSelf = true;
    core.ask((own) => {
      this.#askingSelf = false;
      if (core.epoch !== epoch) return;
      if (own) {
        // Our page is disturbed only as long as nobody else gives: what one lost message did to them is forgiven.
        for (const [id, slow] of this.#failed) if (!slow) this.#failed.delete(id);
        return this.#have(own, 0);
      }
      const again = core.gives || (this.#failed.size > 0 && ++this.#rounds < ROUNDS);
      this.#failed.clear();
      // Pages that can give a state and failed are asked again when those who wait ask again.
      if (again) return;
      this.#rounds = 0;
      for (const [id, waiting] of due) this.#send(id, waiting, core.bare(waiting.at));
    });
  }

  /**
   * Those whom the server relays to wait in one line, who was never served first: no more of them at once than the socket
   * takes, the others when it has room again or when they say once more where they stand.
   */
  #sendAll(due: [PeerId, Waiting][], snap: Snapshot): void {
    const { links, now, settings } = this.#core;
    if (now !== this.#burst.at) this.#burst = { at: now, bytes: 0 };
    const size = snap.z + snap.members.length * MEMBER_BYTES;
    for (const [id, waiting] of due.sort(([, a], [, b]) => a.times - b.times)) {
      if (links.path(id, now) === "relay") {
        if (links.pressed("states") || this.#burst.bytes > settings.windowBytes) continue;
        this.#burst.bytes += size;
      }
      this.#send(id, waiting, snap);
    }
  }

  #send(id: PeerId, waiting: Waiting, snap: Snapshot): void {
    const core = this.#core;
    // It may be long under way: not every report of the same place is a cry for another.
    const everyMs = waiting.times++ > 0 ? waiting.everyMs * 2 : waiting.everyMs;
    waiting.everyMs = Math.min(Math.max(everyMs, 2 * this.#tookMs), SLOWEST_MS);
    waiting.sentAt = core.now;
    const { r, e, s } = waiting.at;
    const heal = { r, e, s };
    if (snap !== this.#snap)
      return void core.transmit(id, { t: "restore", e: core.epoch, heal, snap });
    if (!waiting.first || core.now - waiting.first.at > core.settings.stateMs)
      waiting.first = { s: snap.s, at: core.now };
    const place = `${r} ${e} ${s}`;
    const words = this.#words.get(place) ?? { t: "restore", e: core.epoch, heal, snap };
    this.#words.set(place, words);
    core.transmit(id, words);
  }

  /** Not the host, whose page has enough to do; one near, who answers. */
  #pick(): PeerId | undefined {
    const { links, now, settings } = this.#core;
    let best: Peer | undefined;
    for (const peer of this.#peers.values()) {
      if (
        !peer.live ||
        !peer.at?.snap ||
        this.#failed.has(peer.id) ||
        now - peer.heard > settings.peerSilentMs
      )
        continue;
      if (!best || (links.good(peer.id, now) && !links.good(best.id, now))) best = peer;
    }
    return best?.id;
  }
}
