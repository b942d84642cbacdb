// The host: stamps what members send into one log, feeds it to them, and hands it to its own page once another has it.

import type { Core } from "./core.ts";
import { Backfill } from "./backfill.ts";
import { Feed } from "./feed.ts";
import { common, givesWay, isEmpty, isProvisional, lies } from "./history.ts";
import type { Peer } from "./peer.ts";
import { Proof } from "./proof.ts";
import { Pulse } from "./pulse.ts";
import { Restorer } from "./restorer.ts";
import type { Role } from "./role.ts";
import { Roster } from "./roster.ts";
import { Stamper } from "./stamper.ts";
import { Takeover, TRIES } from "./takeover.ts";
import type { TimerName } from "./timers.ts";
import type { Path, PeerId, RosterEntry, Standing } from "./types.ts";
import type { Ack, Fill, Parked, Send, Wire } from "./wire.ts";

type Phase = "taking" | "stamping" | "resigning";

const NEED_MS = 60;
const ASK_MS = 150;

export class Host implements Role {
  readonly #core: Core;
  readonly #cause: string;
  readonly #began: number;
  readonly #roster: Roster;
  #takeover: Takeover;
  #restorer: Restorer;
  #feed: Feed;
  readonly #stamper: Stamper;
  readonly #pulse: Pulse;
  readonly #backfill: Backfill;
  #proof: Proof;
  #phase: Phase = "taking";
  /** Another member has said in this epoch that it has everything up to here. */
  #acked = 0;

  constructor(
    core: Core,
    cause: string,
    deposed: PeerId | undefined,
    roster: readonly RosterEntry[],
    first: boolean,
  ) {
    this.#core = core;
    this.#cause = cause;
    this.#began = core.now;
    this.#stamper = new Stamper(core);
    this.#roster = new Roster(core, this.#stamper);
    for (const member of roster) if (member.id !== core.id) this.#roster.told(member);
    this.#takeover = new Takeover(core, this.#peers, cause, deposed, first, false, () =>
      this.#begin(),
    );
    this.#restorer = new Restorer(core, this.#peers);
    this.#feed = this.#newFeed();
    this.#backfill = new Backfill(core, this.#peers, (peer, at) =>
      this.#restorer.request(peer, at),
    );
    this.#proof = this.#newProof();
    this.#pulse = new Pulse(
      core,
      this.#peers,
      cause,
      (peer) => this.#feed.sent(peer),
      () => this.leads,
    );
  }

  get #peers(): ReadonlyMap<PeerId, Peer> {
    return this.#roster.peers;
  }

  /** Not taking over (any more, or again). */
  get leads(): boolean {
    return this.#phase !== "taking";
  }

  start(): void {
    this.#core.outbox.sent = 0;
    this.#takeover.start();
  }

  stop(): void {
    this.#core.timers.clear("beat", "take", "give", "resign");
  }

  #newFeed(): Feed {
    return new Feed(this.#core, this.#peers, (peer) => this.#lost(peer));
  }

  #newProof(): Proof {
    return new Proof(this.#core, () => (this.#phase === "taking" ? 0 : this.#core.log.last));
  }

  // --- taking over ---

  /** We have the highest log: from here on we stamp. */
  #begin(): void {
    const core = this.#core;
    const { log, timers, settings, now } = core;
    this.#phase = "stamping";
    this.#stamper.begin();
    this.#feed = this.#newFeed();
    if (!core.unsure) core.stale = false;
    core.touch();
    core.notice({
      kind: "host",
      host: core.id,
      epoch: core.epoch,
      isHost: true,
      cause: this.#cause,
      tookMs: now - this.#began,
    });
    this.#pulse.beat();
    const answered = [...this.#peers.values()].filter((peer) => peer.at);
    this.#feed.begin(answered.map((peer) => common(peer.at as Standing, log)));
    for (const peer of answered) this.#place(peer, peer.at as Standing);
    this.reconcile();
    this.#unpark();
    timers.set("beat", now + settings.beatMs);
  }

  /** Stamp who came, who went, and whose profile is new. */
  reconcile(): void {
    if (this.#phase === "stamping") this.#roster.reconcile();
  }

  #unpark(): void {
    for (const peer of this.#peers.values())
      for (const send of peer.unpark()) this.#onSend(peer, send);
  }

  /** Somebody came back with the history ours was founded beside, or with more of ours than it still has the entries of. */
  #again(): void {
    this.#phase = "taking";
    this.#stamper.begun = false;
    this.#acked = 0;
    this.#proof = this.#newProof();
    this.#restorer = new Restorer(this.#core, this.#peers);
    this.#takeover = new Takeover(
      this.#core,
      this.#peers,
      this.#cause,
      undefined,
      false,
      true,
      () => this.#begin(),
    );
    for (const peer of this.#peers.values()) peer.live = false;
    this.#takeover.start();
  }

  // --- members ---

  receive(from: PeerId, _via: Path, message: Wire): void {
    const peer = this.#peers.get(from) ?? this.#roster.stranger(from);
    if (message.t === "bye") {
      peer.missing = 0;
      peer.gone = true;
      return this.left(from);
    }
    const first = peer.heard === -Infinity;
    peer.heard = this.#core.now;
    if (first && this.#phase === "stamping") this.#roster.account(peer);
    this.#core.touch();
    switch (message.t) {
      case "at":
        this.#onAt(peer, message.at);
        if (message.x) this.#onSend(peer, { ...message, low: message.low ?? 0, x: message.x });
        break;
      case "ack":
        this.#onAck(peer, message, message.gap);
        break;
      case "send":
        if (message.at.r !== 0) this.#onAck(peer, message);
        this.#onSend(peer, message);
        break;
      case "snap":
        this.#restorer.gave(from, message.k, message.snap);
        break;
      case "fill":
        this.#onFill(from, message);
        break;
      case "restore":
        if (this.#phase === "taking") this.#takeover.restored(from, message);
        else this.#backfill.refused(from, message);
        break;
      default:
        break;
    }
  }

  heard(from: PeerId): void {
    const peer = this.#peers.get(from);
    if (peer && peer.heard > -Infinity) peer.heard = this.#core.now;
    this.#core.touch();
    if (this.#phase === "taking") this.#takeover.heard(from);
    else this.#restorer.heard(from);
  }

  #onAt(peer: Peer, at: Standing): void {
    this.#core.highest = Math.max(this.#core.highest, at.s);
    peer.at = at;
    peer.saidAt = this.#core.now;
    if (this.#phase === "taking") this.#takeover.answered();
    else if (this.#outranks(peer, at)) this.#again();
    else this.#place(peer, at);
  }

  /** Returns whether the group is to go on with what one has that answers after the take-over. */
  #outranks(peer: Peer, at: Standing): boolean {
    const core = this.#core;
    if (peer.failed >= TRIES || !(peer.present || core.links.good(peer.id, core.now))) return false;
    const upTo = common(at, core.log);
    if (this.#continues(at, upTo)) return at.base > upTo;
    if (isEmpty(at) || core.abandoned.has(at.r)) return false;
    // As a take-over weighs it: a history is provisional if any of its members says so.
    const marked = [...this.#peers.values()].find(
      (other) => other.at?.r === at.r && isProvisional(other.at),
    )?.at;
    return givesWay(
      { r: core.log.root, ...core.mark },
      { ...at, ...(marked ? { provisional: marked.provisional ?? 0 } : {}) },
      core.young,
    );
  }

  /** Returns whether that log goes on where ours ends, and we have stamped nothing beyond. */
  #continues(at: Standing, upTo: number): boolean {
    return upTo >= 0 && upTo === this.#core.log.last && at.s > upTo && !this.#stamper.begun;
  }

  /** Fills it, restores it, or learns from it. */
  #place(peer: Peer, at: Standing): void {
    const core = this.#core;
    const { log } = core;
    const upTo = common(at, log);
    if (this.#continues(at, upTo) && at.base <= upTo) {
      core.transmit(peer.id, { t: "pull", e: core.epoch, at: core.standing() });
    } else if (upTo < at.done || upTo < log.base) {
      peer.live = false;
      if (upTo >= at.done && this.#backfill.request(peer, at, upTo)) return;
      return this.#restorer.request(peer, at);
    }
    peer.older = undefined;
    this.#restorer.done(peer.id);
    const first = !peer.live;
    peer.live = true;
    if (first) this.#pulse.choose();
    this.#feed.place(peer, upTo);
    this.#have(upTo);
  }

  #onAck(peer: Peer, { at, k }: Ack | Send, gap = false): void {
    if (this.#phase === "taking") return;
    if (!lies(at, this.#core.log)) return this.#ask(peer);
    if (!peer.live) {
      if (at.s < this.#core.log.base) return this.#ask(peer);
      peer.live = true;
      this.#restorer.done(peer.id);
      this.#feed.place(peer, at.s);
      this.#pulse.choose();
    } else this.#feed.acked(peer, at.s, gap);
    this.#have(at.s, k);
  }

  #have(seq: number, beat = 0): void {
    this.#core.followed(beat);
    if (seq > this.#acked) this.#acked = seq;
  }

  /** It fell behind what we keep. */
  #lost(peer: Peer): void {
    peer.live = false;
    this.#ask(peer);
  }

  #ask(peer: Peer): void {
    const core = this.#core;
    if (core.now - peer.asked < ASK_MS) return;
    peer.asked = core.now;
    core.transmit(peer.id, { t: "ask", e: core.epoch, cause: this.#cause });
  }

  #onFill(from: PeerId, fill: Fill): void {
    if (this.#phase === "taking") return this.#takeover.filled(from, fill);
    const core = this.#core;
    const { log } = core;
    const before = log.last;
    this.#backfill.filled(from, fill);
    if (this.#stamper.begun || fill.s !== before + 1) return;
    if (core.absorb(fill.r, fill.p, fill.s, fill.x) !== "ok") return;
    this.#stamper.follow(before);
    this.#have(log.last);
  }

  // --- stamping ---

  #onSend(peer: Peer, send: Parked): void {
    const core = this.#core;
    const { log, now } = core;
    if (this.#phase !== "stamping") return peer.park(send, this.#share());
    // The server names no host of this epoch: what is sent waits.
    if (core.denied) return;
    // One that stands elsewhere may count on entries we do not have: its messages wait until it is on our log.
    if (send.at.r !== 0 && !lies(send.at, log)) return this.#ask(peer);
    const next = this.#stamper.take(peer, send.low, send.x, this.#share());
    if (next !== undefined && now - peer.needed >= NEED_MS) {
      peer.needed = now;
      core.transmit(peer.id, { t: "need", e: core.epoch, n: next });
    }
  }

  /** What may be kept of one member's before its turn: all of them together no more than a log. */
  #share(): number {
    const { settings } = this.#core;
    return Math.min(2 * settings.windowBytes, settings.logBytes / (this.#peers.size + 1));
  }

  sending(): void {
    const core = this.#core;
    const { outbox, id } = core;
    if (this.#phase !== "stamping" || core.denied) return;
    let n = this.#stamper.count(id);
    for (let item = outbox.after(n); item && !core.full(); item = outbox.after(n)) {
      n = item.n;
      this.#stamper.message(id, n, item);
      outbox.mark(n);
    }
  }

  // --- our own page ---

  /** How far our page may be handed the log: what another has; alone, what the server lets us. */
  #limit(): number {
    const { links, now, settings, log, seated, delivered } = this.#core;
    if (this.#acked >= log.last) return log.last;
    for (const peer of this.#peers.values()) {
      if (!peer.info.group || peer.gone || !(peer.present || links.good(peer.id, now))) continue;
      if (now - Math.max(peer.heard, peer.since) > settings.peerSilentMs) continue;
      // What the server said before does not count when they fall silent later.
      this.#proof.void();
      return this.#acked;
    }
    if (!seated) return this.#acked;
    const limit = Math.max(this.#acked, this.#proof.seq);
    // Alone, or everybody else is silent: the server is asked whether we are still the host.
    if (limit < log.last && limit <= delivered && !this.#proof.awaited) this.#proof.ask();
    return limit;
  }

  proved(token: number): void {
    if (!this.#proof.answered(token)) return;
    this.#core.unsure = false;
    if (this.#phase !== "taking") this.#core.stale = false;
  }

  // --- time ---

  timer(name: TimerName): void {
    const core = this.#core;
    const { now, timers, settings } = core;
    switch (name) {
      case "take":
        this.#takeover.timer();
        break;
      case "give":
        this.#restorer.late();
        break;
      case "beat":
        if (this.#phase === "taking") break;
        this.#pulse.turn();
        this.reconcile();
        this.#roster.prune();
        this.#stamper.prune(now - 2 * core.resumeMs);
        core.hold = this.#restorer.hold;
        this.#pulse.choose();
        for (const peer of this.#peers.values())
          if (peer.info.group && peer.present) core.tellPath(peer.id);
        this.#feed.retry();
        this.#feed.wake();
        this.#pulse.beat();
        timers.set("beat", now + settings.beatMs * (this.#peers.size > settings.largePage ? 2 : 1));
        break;
      case "resign":
        if (this.#phase !== "resigning") break;
        this.#phase = "stamping";
        this.#unpark();
        break;
      default:
        break;
    }
  }

  // --- events ---

  drained(): void {
    this.#restorer.drained();
    this.#feed.wake();
  }

  linked(id: PeerId | "relay"): void {
    const { links } = this.#core;
    if (id === "relay") {
      if (!links.relay) this.#proof.forget();
      return;
    }
    const peer = this.#peers.get(id);
    if (!peer) return;
    if (peer.live && this.#phase !== "taking") this.#feed.place(peer, peer.have);
    if (links.up(id)) this.#ask(peer);
    this.#feed.wake();
  }

  opened(roster: readonly RosterEntry[] | undefined): void {
    this.#core.touch();
    this.#proof.forget();
    for (const member of roster ?? []) if (member.id !== this.#core.id) this.joined(member);
    this.#roster.miss(new Set((roster ?? []).map(({ id }) => id)));
    if (this.#phase === "taking") this.#takeover.again();
    else this.#pulse.beat();
  }

  joined(member: RosterEntry): void {
    const peer = this.#roster.told(member);
    this.reconcile();
    if (!peer.live && peer.info.group) {
      peer.asked = -Infinity;
      this.#ask(peer);
    }
  }

  left(id: PeerId): void {
    const peer = this.#peers.get(id);
    if (!peer) return;
    this.#roster.lost(peer);
    if (!this.#core.links.good(id, this.#core.now)) {
      peer.live = false;
      peer.at = undefined;
    }
    if (this.#phase === "taking") return this.#takeover.left(id);
    this.#restorer.left(id);
    this.#pulse.choose();
    this.reconcile();
  }

  thawed(): void {
    const { now } = this.#core;
    for (const peer of this.#peers.values()) if (peer.heard > -Infinity) peer.heard = now;
    if (this.#phase === "taking") this.#takeover.again();
  }

  /** Our page has made its snapshot. What the server said before may be old; the last thing in every step hands our page what it may have. */
  resume(): void {
    this.#proof.void();
  }

  resign(to: PeerId | undefined): void {
    const core = this.#core;
    if (this.#phase !== "stamping" || !core.seated) return;
    let best: Peer | undefined;
    for (const peer of this.#peers.values())
      if (peer.live && peer.present && (!best || peer.have > best.have)) best = peer;
    const heir = to ?? best?.id;
    if (heir === undefined) return;
    this.#phase = "resigning";
    core.timers.set("resign", core.now + core.settings.resignMs);
    core.out.push({ type: "resign", epoch: core.epoch, to: heir });
  }

  /** Seated and stamping, our history is the group's. */
  lead(): void {
    const core = this.#core;
    if (!core.seated) return;
    if (core.unsure && !this.#proof.asking) this.#proof.ask();
    if (core.unsure || this.#phase === "taking") return;
    core.share();
    core.assured = core.now;
    core.leads();
  }

  flush(): void {
    const core = this.#core;
    this.lead();
    if (this.#phase === "taking") return;
    this.sending();
    this.#feed.flush();
    core.deliver(this.#limit());
    this.#pulse.waits(core.delivered < core.log.last);
  }
}
