// The host's heartbeat, and the witnesses it names in it: they acknowledge early, for the host's own page waits for that.

import type { Core } from "./core.ts";
import type { Peer } from "./peer.ts";
import type { PeerId } from "./types.ts";
import type { Beat } from "./wire.ts";

const WITNESSES = 2;
/** The host's page has waited so long for a witness: try others. */
const LAG_MS = 300;

export class Pulse {
  readonly #core: Core;
  readonly #peers: ReadonlyMap<PeerId, Peer>;
  readonly #cause: string;
  /** What a member should have by now; without one, those on the relay. */
  readonly #sent: (peer: Peer | undefined) => number;
  readonly #leads: () => boolean;
  #witnesses: PeerId[] = [];
  /** Since when our page has waited; 0 when it does not. */
  #waitsSince = 0;
  #turn = 0;

  constructor(
    core: Core,
    peers: ReadonlyMap<PeerId, Peer>,
    cause: string,
    sent: (peer: Peer | undefined) => number,
    leads: () => boolean,
  ) {
    this.#core = core;
    this.#peers = peers;
    this.#cause = cause;
    this.#sent = sent;
    this.#leads = leads;
  }

  beat(): void {
    const core = this.#core;
    const { log, links, epoch, out, now } = core;
    if (!this.#leads()) return;
    const base = {
      t: "beat",
      e: epoch,
      at: log.place,
      w: this.#witnesses,
      k: ++core.beats,
      cause: this.#cause,
    } as const;
    let relayed = false;
    for (const peer of this.#peers.values()) {
      if (!peer.info.group) continue;
      if (links.up(peer.id)) {
        const beat: Beat = { ...base, sent: peer.live ? this.#sent(peer) : 0 };
        out.push({ type: "transmit", to: peer.id, via: "p2p", message: beat });
      }
      if (peer.present && !links.good(peer.id, now)) relayed = true;
    }
    if (relayed && links.relay)
      out.push({ type: "fanout", message: { ...base, sent: this.#sent(undefined) } });
  }

  /** Those near, if any are; news of them goes out at once. */
  choose(): void {
    const { links, now } = this.#core;
    const live = [...this.#peers.values()].filter((peer) => peer.live && peer.present);
    const near = live.filter((peer) => links.good(peer.id, now));
    const among = near.length > 0 ? near : live;
    const chosen = among
      .map((_, i) => among[(i + this.#turn) % among.length] as Peer)
      .slice(0, WITNESSES)
      .map((peer) => peer.id);
    if (
      chosen.length === this.#witnesses.length &&
      chosen.every((id, i) => id === this.#witnesses[i])
    )
      return;
    this.#witnesses = chosen;
    this.beat();
  }

  /** Does our page wait for a witness? */
  waits(waits: boolean): void {
    if (!waits) this.#waitsSince = 0;
    else if (this.#waitsSince === 0) this.#waitsSince = this.#core.now;
  }

  /** It has waited too long: others next time. */
  turn(): void {
    if (this.#waitsSince !== 0 && this.#core.now - this.#waitsSince > LAG_MS) this.#turn++;
  }
}
