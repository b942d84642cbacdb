// Who is here: as the server tells its host, and as data channels show. What the log says of who came and went follows.

import type { Core } from "./core.ts";
import { Peer } from "./peer.ts";
import type { Stamper } from "./stamper.ts";
import type { MemberInfo, PeerId, RosterEntry } from "./types.ts";

export class Roster {
  readonly peers = new Map<PeerId, Peer>();
  readonly #core: Core;
  readonly #stamper: Stamper;

  constructor(core: Core, stamper: Stamper) {
    this.#core = core;
    this.#stamper = stamper;
  }

  /** The server says that it is here. */
  told(member: RosterEntry): Peer {
    let peer = this.peers.get(member.id);
    // On a new socket it has not said its profile yet: that is no change.
    const profile = member.profile ?? peer?.info.profile;
    const info: MemberInfo = { group: member.group, ...(profile === undefined ? {} : { profile }) };
    if (!peer) this.peers.set(member.id, (peer = new Peer(member.id, info, this.#core.now)));
    peer.info = info;
    peer.relayed = member.relay !== false;
    peer.present = true;
    peer.missing = 0;
    peer.gone = false;
    return peer;
  }

  /** Its JOIN is on the way, or its socket is down and its data channel is not. */
  stranger(id: PeerId): Peer {
    const peer = new Peer(id, this.#stamper.members.get(id) ?? { group: true }, this.#core.now);
    this.lost(peer);
    this.peers.set(id, peer);
    return peer;
  }

  /** After a break these are here. The others are coming back, too: that they are not here yet says nothing. */
  miss(here: ReadonlySet<PeerId>): void {
    const { now } = this.#core;
    for (const peer of this.peers.values()) {
      if (here.has(peer.id)) continue;
      if (peer.present) peer.missing = now;
      peer.present = false;
      peer.absentSince = now;
    }
  }

  /** It has no socket any more. */
  lost(peer: Peer): void {
    if (peer.present) peer.absentSince = this.#core.now;
    peer.present = false;
  }

  /** Stamp who came, who went, and whose profile is new. */
  reconcile(): void {
    const { id, profile } = this.#core;
    this.#stamper.came(id, { group: true, ...(profile === undefined ? {} : { profile }) });
    for (const peer of this.peers.values()) this.account(peer);
    for (const member of [...this.#stamper.members.keys()])
      if (member !== id && !this.peers.has(member)) this.#stamper.went(member);
  }

  /** The same of one. */
  account(peer: Peer): void {
    if (this.#here(peer))
      peer.info = this.#stamper.came(
        peer.id,
        peer.info,
        peer.heard > -Infinity || !peer.info.group,
      );
    else this.#stamper.went(peer.id);
  }

  /** Who has gone is forgotten, once that is stamped: a page sees many come and go. */
  prune(): void {
    const { links, now, online, out, resumeMs } = this.#core;
    for (const [id, peer] of this.peers) {
      // We have the server, and it has not for so long: it is no member any more, whoever it is.
      if (!peer.present && online && now - peer.absentSince > resumeMs && links.up(id))
        out.push({ type: "unlink", id });
      if (this.#here(peer) || links.up(id) || this.#stamper.members.has(id)) continue;
      this.peers.delete(id);
      this.#core.forgetPath(id);
    }
  }

  /** Without a socket, yet on its data channel, it has not gone. */
  #here(peer: Peer): boolean {
    const { links, now, settings } = this.#core;
    return (
      peer.present ||
      (!peer.gone &&
        (links.good(peer.id, now) || (peer.missing !== 0 && now < peer.missing + settings.graceMs)))
    );
  }
}
