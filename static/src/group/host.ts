// The host: stamps what members send into one log, feeds it to them, and hands it to its own page once another has it.

import type { Core } from "./core.ts";
import { Backfill } from "./backfill.ts";
import { Feed } from "./feed.ts";
import { common, isEmpty, lies } from "./history.ts";
import { Peer } from "./peer.ts";
import { Proof } from "./proof.ts";
import { Restorer } from "./restorer.ts";
import type { Role } from "./role.ts";
import { Stamper } from "./stamper.ts";
import { Takeover, TRIES } from "./takeover.ts";
import type { TimerName } from "./timers.ts";
import type { MemberInfo, Path, PeerId, RosterEntry, Standing } from "./types.ts";
import type { Ack, Beat, Fill, Send, Wire } from "./wire.ts";

type Phase = "taking" | "stamping" | "resigning";

const WITNESSES = 2;
const NEED_MS = 60;
const ASK_MS = 150;
/** The host's page has waited so long for a witness: try others. */
const LAG_MS = 300;

export class Host implements Role {
  readonly #core: Core;
  readonly #cause: string;
  readonly #began: number;
  readonly #peers = new Map<PeerId, Peer>();
  #takeover: Takeover;
  #restorer: Restorer;
  #feed: Feed;
  readonly #stamper: Stamper;
  readonly #backfill: Backfill;
  #proof: Proof;
  #phase: Phase = "taking";
  /** Another member has said in this epoch that it has everything up to here. */
  #acked = 0;
  #witnesses: PeerId[] = [];
  #lagSince = 0;
  #turn = 0;

  constructor(core: Core, cause: string, deposed: PeerId | undefined, roster: readonly RosterEntry[], first: boolean) {
    this.#core = core;
    this.#cause = cause;
    this.#began = core.now;
    this.#stamper = new Stamper(core);
    for (const member of roster) if (member.id !== core.id) this.#peer(member);
    this.#takeover = new Takeover(core, this.#peers, cause, deposed, first, false, () => this.#begin());
    this.#restorer = new Restorer(core, this.#peers);
    this.#feed = this.#newFeed();
    this.#backfill = new Backfill(core, this.#peers, (peer, at) => this.#restorer.request(peer, at));
    this.#proof = this.#newProof();
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

  #peer(member: RosterEntry): Peer {
    let peer = this.#peers.get(member.id);
    // On a new socket it has not said its profile yet: that is no change.
    const profile = member.profile ?? peer?.info.profile;
    const info: MemberInfo = { group: member.group, ...(profile === undefined ? {} : { profile }) };
    if (!peer) this.#peers.set(member.id, (peer = new Peer(member.id, info, this.#core.now)));
    peer.info = info;
    peer.present = true;
    peer.missing = 0;
    peer.gone = false;
    return peer;
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
    core.notice({ kind: "host", host: core.id, epoch: core.epoch, isHost: true, cause: this.#cause, tookMs: now - this.#began });
    this.#beat();
    const answered = [...this.#peers.values()].filter((peer) => peer.at);
    this.#feed.begin(answered.map((peer) => common(peer.at as Standing, log)));
    for (const peer of answered) this.#place(peer, peer.at as Standing);
    this.reconcile();
    this.#unpark();
    timers.set("beat", now + settings.beatMs);
  }

  #unpark(): void {
    for (const peer of this.#peers.values()) for (const send of peer.unpark()) this.#onSend(peer, send);
  }

  /** Somebody came back with the history ours was founded beside. */
  #again(): void {
    this.#phase = "taking";
    this.#stamper.begun = false;
    this.#acked = 0;
    this.#proof = this.#newProof();
    this.#restorer = new Restorer(this.#core, this.#peers);
    this.#takeover = new Takeover(this.#core, this.#peers, this.#cause, undefined, false, true, () => this.#begin());
    for (const peer of this.#peers.values()) peer.live = false;
    this.#takeover.start();
  }

  /** Stamp who came, who went, and whose profile is new. */
  reconcile(): void {
    if (this.#phase !== "stamping") return;
    const { id, profile } = this.#core;
    this.#stamper.came(id, { group: true, ...(profile === undefined ? {} : { profile }) });
    for (const peer of this.#peers.values()) this.#account(peer);
    for (const member of [...this.#stamper.members.keys()]) if (member !== id && !this.#peers.has(member)) this.#stamper.went(member);
  }

  #account(peer: Peer): void {
    const { links, now, settings } = this.#core;
    // Without a socket, yet on its data channel: it has not gone.
    const here = peer.present || (!peer.gone && (links.good(peer.id, now) || (peer.missing !== 0 && now < peer.missing + settings.graceMs)));
    if (here) peer.info = this.#stamper.came(peer.id, peer.info, peer.heard > -Infinity || !peer.info.group);
    else this.#stamper.went(peer.id);
  }

  // --- members ---

  receive(from: PeerId, _via: Path, message: Wire): void {
    const peer = this.#peers.get(from) ?? this.#stranger(from);
    if (message.t === "bye") {
      peer.missing = 0;
      peer.gone = true;
      return this.left(from);
    }
    const first = peer.heard === -Infinity;
    peer.heard = this.#core.now;
    if (first && this.#phase === "stamping") this.#account(peer);
    this.#core.touch();
    switch (message.t) {
      case "at": this.#onAt(peer, message.at); break;
      case "ack": this.#onAck(peer, message); break;
      case "send": this.#onSend(peer, message); break;
      case "snap": this.#restorer.gave(from, message.k, message.snap); break;
      case "fill": this.#onFill(from, message); break;
      case "restore":
        if (this.#phase === "taking") this.#takeover.restored(from, message);
        else this.#backfill.refused(from, message);
        break;
      default: break;
    }
  }

  /** Its JOIN is on the way, or its socket is down and its data channel is not. */
  #stranger(id: PeerId): Peer {
    const peer = new Peer(id, this.#stamper.members.get(id) ?? { group: true }, this.#core.now);
    peer.present = false;
    this.#peers.set(id, peer);
    return peer;
  }

  #onAt(peer: Peer, at: Standing): void {
    this.#core.highest = Math.max(this.#core.highest, at.s);
    peer.at = at;
    peer.saidAt = this.#core.now;
    if (this.#phase === "taking") this.#takeover.answered();
    else this.#place(peer, at);
  }

  /** Fill it, restore it, or learn from it. */
  #place(peer: Peer, at: Standing): void {
    const core = this.#core;
    const { log } = core;
    if (!isEmpty(at) && !at.stale && at.r < log.root && peer.failed < TRIES && (peer.present || core.links.good(peer.id, core.now))) return this.#again();
    const upTo = common(at, log);
    if (upTo >= 0 && upTo === log.last && at.s > upTo && !this.#stamper.begun) {
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
    if (first) this.#chooseWitnesses();
    this.#feed.place(peer, upTo);
    this.#have(upTo);
  }

  #onAck(peer: Peer, { at, gap, k }: Ack): void {
    if (this.#phase === "taking") return;
    if (!lies(at, this.#core.log)) return this.#ask(peer);
    if (!peer.live) {
      if (at.s < this.#core.log.base) return this.#ask(peer);
      peer.live = true;
      this.#restorer.done(peer.id);
      this.#feed.place(peer, at.s);
      this.#chooseWitnesses();
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

  #onSend(peer: Peer, send: Send): void {
    const core = this.#core;
    const { log, now } = core;
    if (this.#phase !== "stamping") return peer.park(send, this.#share());
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
    if (this.#phase !== "stamping") return;
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

  // --- heartbeat ---

  #beat(): void {
    const core = this.#core;
    const { log, links, epoch, out, now } = core;
    if (this.#phase === "taking") return;
    const base = { t: "beat", e: epoch, at: log.place, w: this.#witnesses, k: ++core.beats, cause: this.#cause } as const;
    let relayed = false;
    for (const peer of this.#peers.values()) {
      if (!peer.info.group) continue;
      if (links.up(peer.id)) {
        const beat: Beat = { ...base, sent: peer.live ? this.#feed.sent(peer) : 0 };
        out.push({ type: "transmit", to: peer.id, via: "p2p", message: beat });
      }
      if (peer.present && !links.good(peer.id, now)) relayed = true;
    }
    if (relayed && links.relay) out.push({ type: "fanout", message: { ...base, sent: this.#feed.sent(undefined) } });
  }

  #chooseWitnesses(): void {
    const { links, now } = this.#core;
    const live = [...this.#peers.values()].filter((peer) => peer.live && peer.present);
    const near = live.filter((peer) => links.good(peer.id, now));
    const among = near.length > 0 ? near : live;
    const chosen = among.map((_, i) => among[(i + this.#turn) % among.length] as Peer).slice(0, WITNESSES).map((peer) => peer.id);
    if (chosen.length === this.#witnesses.length && chosen.every((id, i) => id === this.#witnesses[i])) return;
    this.#witnesses = chosen;
    this.#beat();
  }

  timer(name: TimerName): void {
    const core = this.#core;
    const { now, timers, settings } = core;
    switch (name) {
      case "take": this.#takeover.timer(); break;
      case "give": this.#restorer.late(); break;
      case "beat":
        if (this.#phase === "taking") break;
        if (this.#lagSince !== 0 && now - this.#lagSince > LAG_MS) this.#turn++;
        this.reconcile();
        this.#stamper.prune(now - 2 * core.resumeMs);
        this.#chooseWitnesses();
        for (const peer of this.#peers.values()) if (peer.info.group && peer.present) core.tellPath(peer.id);
        this.#feed.retry();
        this.#feed.wake();
        this.#beat();
        timers.set("beat", now + settings.beatMs * (this.#peers.size > settings.largePage ? 2 : 1));
        break;
      case "resign":
        if (this.#phase !== "resigning") break;
        this.#phase = "stamping";
        this.#unpark();
        break;
      default: break;
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
    const { now } = this.#core;
    this.#core.touch();
    this.#proof.forget();
    const here = new Set((roster ?? []).map((member) => member.id));
    for (const member of roster ?? []) if (member.id !== this.#core.id) this.joined(member);
    // The others are coming back, too: that they are not here yet says nothing.
    for (const peer of this.#peers.values()) {
      if (here.has(peer.id) || !peer.present) continue;
      peer.present = false;
      peer.missing = now;
    }
    if (this.#phase === "taking") this.#takeover.again();
    else this.#beat();
  }

  joined(member: RosterEntry): void {
    const peer = this.#peer(member);
    this.reconcile();
    if (!peer.live && peer.info.group) {
      peer.asked = -Infinity;
      this.#ask(peer);
    }
  }

  left(id: PeerId): void {
    const peer = this.#peers.get(id);
    if (!peer) return;
    peer.present = false;
    if (!this.#core.links.good(id, this.#core.now)) {
      peer.live = false;
      peer.at = undefined;
    }
    if (this.#phase === "taking") return this.#takeover.left(id);
    this.#restorer.left(id);
    this.#chooseWitnesses();
    this.reconcile();
  }

  thawed(): void {
    const { now } = this.#core;
    for (const peer of this.#peers.values()) if (peer.heard > -Infinity) peer.heard = now;
    if (this.#phase === "taking") this.#takeover.again();
  }

  /** The last thing in every step hands our page what it may have. */
  resume(): void {}

  resign(to: PeerId | undefined): void {
    const core = this.#core;
    if (this.#phase !== "stamping" || !core.seated) return;
    let best: Peer | undefined;
    for (const peer of this.#peers.values()) if (peer.live && peer.present && (!best || peer.have > best.have)) best = peer;
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
    core.lost = undefined;
  }

  flush(): void {
    const core = this.#core;
    this.lead();
    if (this.#phase === "taking") return;
    this.sending();
    this.#feed.flush();
    core.deliver(this.#limit());
    if (core.delivered >= core.log.last) this.#lagSince = 0;
    else if (this.#lagSince === 0) this.#lagSince = core.now;
  }
}
