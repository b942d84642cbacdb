// Sending the log out: each member with a data channel has its own place in it and its own window, so a slow one
// slows nobody; all the others are served at once by the server's fan-out, and ask for what they miss.

import type { Core } from "./core.ts";
import type { Peer } from "./peer.ts";
import type { PeerId } from "./types.ts";
import type { Data } from "./wire.ts";

const CROWD = 16;
const FEW = 256;
const RETRY_MS = 600;
/** A second report of the same gap while the answer is under way. */
const FILL_MS = 150;

export class Feed {
  readonly #core: Core;
  readonly #peers: ReadonlyMap<PeerId, Peer>;
  /** The next to fan out over the relay. */
  #relayNext: number;
  /** The last entry everyone was offered: a page of a thousand is not looked through at each report. */
  #fed = -1;
  /** Equal runs to many members are one object, which the shell may serialise once. */
  #last: Data | undefined;
  readonly #behind: (peer: Peer) => void;

  constructor(core: Core, peers: ReadonlyMap<PeerId, Peer>, behind: (peer: Peer) => void) {
    this.#core = core;
    this.#peers = peers;
    this.#relayNext = core.log.last + 1;
    this.#behind = behind;
  }

  /** On a large page all lack the same few entries after a change of host: they go out once, not a thousand times. */
  begin(places: readonly number[]): void {
    const { log } = this.#core;
    if (places.length < CROWD) return;
    const near = places.filter((seq) => seq >= log.base && seq > log.last - FEW);
    this.#relayNext = Math.min(this.#relayNext, ...near.map((seq) => seq + 1));
  }

  /** Look at every member again, new entries or not. */
  wake(): void {
    this.#fed = -1;
  }

  /** To everyone, what is new. */
  flush(): void {
    const { log, links, now, settings, out } = this.#core;
    if (this.#fed === log.last) return;
    this.#fed = log.last;
    // Who said it first, and waits for it: each send takes its time.
    const sender = this.#peers.get(log.at(log.last)?.f ?? "");
    if (sender?.live && links.good(sender.id, now)) this.pump(sender);
    let relayed = false;
    for (const peer of this.#peers.values()) {
      if (links.good(peer.id, now)) {
        if (peer.live) this.pump(peer);
      } else if (peer.present && peer.info.group) relayed = true;
    }
    if (!relayed) this.#relayNext = log.last + 1;
    this.#relayNext = Math.max(this.#relayNext, log.base + 1);
    while (this.#relayNext <= log.last && links.relay && !links.pressed("relay")) {
      const data = this.#data(this.#relayNext, settings.batchBytes, log.last);
      out.push({ type: "fanout", message: data });
      this.#relayNext += data.x.length;
    }
  }

  /** To one, from where it stands; over the relay only what was fanned out before. */
  pump(peer: Peer): void {
    const { log, links, now, settings } = this.#core;
    const path = links.path(peer.id, now);
    if (path === "none" || !peer.live) return;
    const end = path === "p2p" ? log.last : this.#relayNext - 1;
    const link = path === "p2p" ? peer.id : "relay";
    if (peer.have >= peer.next - 1) peer.progress = now;
    while (peer.next <= end && !links.pressed(link)) {
      if (peer.next <= log.base) return this.#behind(peer);
      const room =
        settings.windowBytes -
        (log.bytesAt(peer.next - 1) - log.bytesAt(Math.max(peer.have, log.base)));
      if (room <= 0) return;
      const data = this.#data(peer.next, Math.min(settings.batchBytes, room), end);
      this.#core.transmit(peer.id, data);
      peer.next += data.x.length;
    }
  }

  /** It said what it has. */
  acked(peer: Peer, seq: number, gap: boolean): void {
    const { now } = this.#core;
    if (seq > peer.have) {
      peer.have = seq;
      peer.progress = now;
      peer.retryMs = RETRY_MS;
    }
    if (peer.next <= peer.have) peer.next = peer.have + 1;
    if (gap && now - peer.filledAt >= FILL_MS) {
      peer.filledAt = now;
      peer.next = seq + 1;
    }
    this.pump(peer);
  }

  /** Begin at one's place, whatever was sent before on whatever way. */
  place(peer: Peer, seq: number): void {
    peer.have = seq;
    peer.next = seq + 1;
    peer.progress = this.#core.now;
    peer.retryMs = RETRY_MS;
    this.pump(peer);
  }

  /** What was sent over a link that failed, or is lost in one that did not, goes again. */
  retry(): void {
    const { links, now } = this.#core;
    for (const peer of this.#peers.values()) {
      if (
        !peer.live ||
        peer.have >= peer.next - 1 ||
        now - peer.progress < peer.retryMs ||
        !links.good(peer.id, now)
      )
        continue;
      peer.retryMs = Math.min(peer.retryMs * 2, 10_000);
      peer.progress = now;
      peer.next = peer.have + 1;
      this.pump(peer);
    }
  }

  /** What a member should have by now. */
  sent(peer: Peer | undefined): number {
    return (peer ? peer.next : this.#relayNext) - 1;
  }

  #data(seq: number, bytes: number, end: number): Data {
    const { log, epoch } = this.#core;
    const last = this.#last;
    if (
      last &&
      last.s === seq &&
      last.e === epoch &&
      last.r === log.root &&
      seq + last.x.length - 1 === end
    )
      return last;
    const x = log.run(seq, bytes, end);
    this.#last = { t: "data", e: epoch, r: log.root, p: log.epochAt(seq - 1), s: seq, x };
    return this.#last;
  }
}
