// The role of the host: takes over, stamps what members send into one log, feeds the log to them, and hands it to its own
// page once another member has it.

import { Backfill } from "./backfill.ts";
import type { Context } from "./context.ts";
import { DeliveryLimit } from "./delivery-limit.ts";
import { Feed } from "./feed.ts";
import type { Follower } from "./follower.ts";
import { Heartbeat } from "./heartbeat.ts";
import { common, lies } from "./history.ts";
import { continuesLog, outranks } from "./late-answer.ts";
import { Restorer } from "./restorer.ts";
import type { Role } from "./role.ts";
import { Roster } from "./roster.ts";
import { Stamper } from "./stamper.ts";
import { Takeover, type Occasion } from "./takeover.ts";
import type { TimerName } from "./timers.ts";
import type { Path, PeerId, RosterEntry, Standing } from "./types.ts";
import type { Ack, Fill, Send, StampRequest, Wire } from "./wire.ts";

type Phase = "taking over" | "stamping" | "resigning";

const NEED_MS = 60;
const ASK_MS = 150;

interface HostOptions {
  /** Why the server named this host. */
  readonly cause: string;
  /** The previous host. */
  readonly deposed: PeerId | undefined;
  readonly roster: readonly RosterEntry[];
  /** Whether nobody was here, so that no history can be missing. */
  readonly isFirst: boolean;
}

export class Host implements Role {
  readonly #context: Context;
  readonly #cause: string;
  readonly #beganAt: number;
  readonly #roster: Roster;
  readonly #stamper: Stamper;
  readonly #heartbeat: Heartbeat;
  readonly #backfill: Backfill;
  readonly #limit: DeliveryLimit;
  #takeover: Takeover;
  #restorer: Restorer;
  #feed: Feed;
  #phase: Phase = "taking over";

  constructor(context: Context, { cause, deposed, roster, isFirst }: HostOptions) {
    this.#context = context;
    this.#cause = cause;
    this.#beganAt = context.now;
    this.#stamper = new Stamper(context);
    this.#roster = new Roster(context, this.#stamper);
    for (const member of roster) if (member.id !== context.self.id) this.#roster.announced(member);
    const followers = this.#followers;
    this.#takeover = this.#newTakeover(deposed, isFirst ? "first" : "named");
    this.#restorer = new Restorer(context, { followers });
    this.#feed = this.#newFeed();
    this.#backfill = new Backfill(context, {
      followers,
      failed: (follower, at) => this.#restorer.request(follower, at),
    });
    this.#limit = new DeliveryLimit(context, { followers, leads: () => this.leads });
    this.#heartbeat = new Heartbeat(context, {
      followers,
      cause,
      sentTo: (follower) => this.#feed.sentTo(follower),
      leads: () => this.leads,
    });
  }

  get #followers(): ReadonlyMap<PeerId, Follower> {
    return this.#roster.followers;
  }

  /** Whether no takeover is going on. */
  get leads(): boolean {
    return this.#phase !== "taking over";
  }

  start(): void {
    this.#context.outbox.sent = 0;
    this.#takeover.start();
  }

  stop(): void {
    this.#context.timers.clear("heartbeat", "takeover", "giver", "resign");
  }

  #newFeed(): Feed {
    return new Feed(this.#context, {
      followers: this.#followers,
      fellBehind: (follower) => this.#fellBehind(follower),
    });
  }

  #newTakeover(deposed: PeerId | undefined, occasion: Occasion): Takeover {
    return new Takeover(this.#context, {
      followers: this.#followers,
      cause: this.#cause,
      deposed,
      occasion,
      done: () => this.#begin(),
    });
  }

  // --- taking over ---

  /** The takeover is done: this member has the best log, and stamps from here on. */
  #begin(): void {
    const { epoch, freshness, now, replica, self, settings, step, timers } = this.#context;
    this.#phase = "stamping";
    this.#stamper.begin();
    this.#feed = this.#newFeed();
    freshness.tookOver(now);
    step.notify({
      kind: "host",
      host: self.id,
      epoch,
      isHost: true,
      cause: this.#cause,
      tookMs: now - this.#beganAt,
    });
    this.#heartbeat.beat();
    const answered = [...this.#followers.values()].filter((follower) => follower.at);
    this.#feed.begin(answered.map((follower) => common(follower.at as Standing, replica.log)));
    for (const follower of answered) this.#place(follower, follower.at as Standing);
    this.reconcile();
    this.#takeParked();
    timers.set("heartbeat", now + settings.beatMs);
  }

  /** Takes over once more: a member has returned with an older history, or with more than the host has. */
  #takeOverAgain(): void {
    this.#phase = "taking over";
    this.#stamper.begun = false;
    this.#limit.restart();
    this.#restorer = new Restorer(this.#context, { followers: this.#followers });
    this.#takeover = this.#newTakeover(undefined, "repeated");
    for (const follower of this.#followers.values()) follower.live = false;
    this.#takeover.start();
  }

  /** Stamps who joined, who left, and whose profile is new. */
  reconcile(): void {
    if (this.#phase === "stamping") this.#roster.reconcile();
  }

  #takeParked(): void {
    for (const follower of this.#followers.values())
      for (const request of follower.takeParked()) this.#onSend(follower, request);
  }

  // --- messages of members ---

  receive(from: PeerId, _via: Path, message: Wire): void {
    const { freshness, now } = this.#context;
    const follower = this.#followers.get(from) ?? this.#roster.addStranger(from);
    if (message.t === "bye") {
      follower.missing = 0;
      follower.gone = true;
      return this.left(from);
    }
    const isFirst = follower.heard === -Infinity;
    follower.heard = now;
    if (isFirst && this.#phase === "stamping") this.#roster.reconcileOne(follower);
    freshness.heard(now);
    switch (message.t) {
      case "at":
        this.#onAt(follower, message.at);
        if (message.x) this.#onSend(follower, { ...message, low: message.low ?? 0, x: message.x });
        break;
      case "ack":
        this.#onAck(follower, message, message.gap);
        break;
      case "send":
        if (message.at.r !== 0) this.#onAck(follower, message, false);
        this.#onSend(follower, message);
        break;
      case "snap":
        this.#restorer.gave(from, message.k, message.snap);
        break;
      case "fill":
        this.#onFill(from, message);
        break;
      case "restore":
        if (this.leads) this.#backfill.refused(from, message);
        else this.#takeover.restored(from, message);
        break;
      default:
        break;
    }
  }

  heard(from: PeerId): void {
    const { freshness, now } = this.#context;
    const follower = this.#followers.get(from);
    if (follower && follower.heard > -Infinity) follower.heard = now;
    freshness.heard(now);
    if (this.leads) this.#restorer.heard(from);
    else this.#takeover.heard(from);
  }

  #onAt(follower: Follower, at: Standing): void {
    const { now, replica } = this.#context;
    replica.heardOf(at.s);
    follower.at = at;
    follower.saidAt = now;
    if (!this.leads) return this.#takeover.answered();
    const answer = { follower, at, followers: this.#followers, hasStamped: this.#stamper.begun };
    if (outranks(this.#context, answer)) this.#takeOverAgain();
    else this.#place(follower, at);
  }

  /** Fills a follower, restores it, or gets from it what it has beyond the host's log. */
  #place(follower: Follower, at: Standing): void {
    const context = this.#context;
    const { epoch, paths, replica } = context;
    const { log } = replica;
    const upTo = common(at, log);
    const continues = continuesLog(context, at, { upTo, hasStamped: this.#stamper.begun });
    if (continues && at.base <= upTo) {
      paths.transmit(follower.id, { t: "pull", e: epoch, at: context.standing() });
    } else if (upTo < at.done || upTo < log.base) {
      follower.live = false;
      if (upTo >= at.done && this.#backfill.request(follower, at, upTo)) return;
      return this.#restorer.request(follower, at);
    }
    follower.older = undefined;
    this.#restorer.done(follower.id);
    const isNew = !follower.live;
    follower.live = true;
    if (isNew) this.#heartbeat.chooseWitnesses();
    this.#feed.place(follower, upTo);
    this.#follows(upTo);
  }

  #onAck(follower: Follower, { at, k }: Ack | Send, gap: boolean): void {
    if (!this.leads) return;
    const { log } = this.#context.replica;
    if (!lies(at, log)) return this.#ask(follower);
    if (!follower.live) {
      if (at.s < log.base) return this.#ask(follower);
      follower.live = true;
      this.#restorer.done(follower.id);
      this.#feed.place(follower, at.s);
      this.#heartbeat.chooseWitnesses();
    } else this.#feed.acknowledged(follower, { seq: at.s, gap });
    this.#follows(at.s, k);
  }

  /** A member has the host's log up to `seq`, and has heard the heartbeat with this number. */
  #follows(seq: number, heartbeat = 0): void {
    const { freshness, now } = this.#context;
    freshness.followed(heartbeat, now);
    this.#limit.acknowledged(seq);
  }

  #fellBehind(follower: Follower): void {
    follower.live = false;
    this.#ask(follower);
  }

  /** Asks a member where it stands. */
  #ask(follower: Follower): void {
    const { epoch, now, paths } = this.#context;
    if (now - follower.asked < ASK_MS) return;
    follower.asked = now;
    paths.transmit(follower.id, { t: "ask", e: epoch, cause: this.#cause });
  }

  #onFill(from: PeerId, fill: Fill): void {
    if (!this.leads) return this.#takeover.filled(from, fill);
    const { now, replica } = this.#context;
    const before = replica.log.last;
    this.#backfill.filled(from, fill);
    if (this.#stamper.begun || fill.s !== before + 1) return;
    if (replica.absorb(fill, now) !== "ok") return;
    this.#stamper.follow(before);
    this.#follows(replica.log.last);
  }

  // --- stamping ---

  #onSend(follower: Follower, request: StampRequest): void {
    const { claim, epoch, now, paths, replica } = this.#context;
    const { at, low, x: items } = request;
    const share = this.#share();
    if (this.#phase !== "stamping") return follower.park(request, share);
    // The server names no host of this epoch: messages wait.
    if (claim.isDenied) return;
    // A sender that stands elsewhere may count on entries we do not have: its messages wait until it is on our log.
    if (at.r !== 0 && !lies(at, replica.log)) return this.#ask(follower);
    const missing = this.#stamper.take(follower, { low, items, share });
    if (missing !== undefined && now - follower.needed >= NEED_MS) {
      follower.needed = now;
      paths.transmit(follower.id, { t: "need", e: epoch, n: missing });
    }
  }

  /** Returns the bytes that may be kept of one member's messages before their turn: of all members no more than a log. */
  #share(): number {
    const { settings } = this.#context;
    return Math.min(2 * settings.windowBytes, settings.logBytes / (this.#followers.size + 1));
  }

  /** Stamps the messages of the host's own page. */
  sending(): void {
    const { claim, outbox, replica, self } = this.#context;
    if (this.#phase !== "stamping" || claim.isDenied) return;
    let n = this.#stamper.count(self.id);
    for (let item = outbox.after(n); item && !replica.isFull; item = outbox.after(n)) {
      n = item.n;
      this.#stamper.message(self.id, n, item);
      outbox.mark(n);
    }
  }

  // --- time ---

  timer(name: TimerName): void {
    switch (name) {
      case "takeover":
        this.#takeover.timer();
        break;
      case "giver":
        this.#restorer.giverFailed();
        break;
      case "heartbeat":
        if (this.leads) this.#onHeartbeat();
        break;
      case "resign":
        if (this.#phase !== "resigning") break;
        this.#phase = "stamping";
        this.#takeParked();
        break;
      default:
        break;
    }
  }

  #onHeartbeat(): void {
    const { now, paths, replica, server, settings, timers } = this.#context;
    this.#heartbeat.replaceSlowWitnesses();
    this.reconcile();
    this.#roster.prune();
    this.#stamper.prune(now - 2 * server.resumeMs);
    replica.keepAfter(this.#restorer.neededAfter);
    this.#heartbeat.chooseWitnesses();
    for (const follower of this.#followers.values())
      if (follower.info.group && follower.present) paths.report(follower.id);
    this.#feed.retry();
    this.#feed.wake();
    this.#heartbeat.beat();
    const isLarge = this.#followers.size > settings.largePage;
    timers.set("heartbeat", now + settings.beatMs * (isLarge ? 2 : 1));
  }

  // --- events ---

  /** The server has answered the question whether this member is still the host. */
  proved(token: number): void {
    if (this.#limit.proved(token))
      this.#context.freshness.provedHost(this.leads ? "leading" : "taking over");
  }

  drained(): void {
    this.#restorer.drained();
    this.#feed.wake();
  }

  linked(id: PeerId | "relay"): void {
    const { links } = this.#context;
    if (id === "relay") {
      if (!links.relay) this.#limit.socketLost();
      return;
    }
    const follower = this.#followers.get(id);
    if (!follower) return;
    if (follower.live && this.leads) this.#feed.place(follower, follower.have);
    if (links.up(id)) this.#ask(follower);
    this.#feed.wake();
  }

  opened(roster: readonly RosterEntry[] | undefined): void {
    const { freshness, now, self } = this.#context;
    freshness.heard(now);
    this.#limit.socketLost();
    for (const member of roster ?? []) if (member.id !== self.id) this.joined(member);
    this.#roster.missAllBut(new Set((roster ?? []).map(({ id }) => id)));
    if (this.leads) this.#heartbeat.beat();
    else this.#takeover.restartWaiting();
  }

  joined(member: RosterEntry): void {
    const follower = this.#roster.announced(member);
    this.reconcile();
    if (!follower.live && follower.info.group) {
      follower.asked = -Infinity;
      this.#ask(follower);
    }
  }

  left(id: PeerId): void {
    const { links, now } = this.#context;
    const follower = this.#followers.get(id);
    if (!follower) return;
    this.#roster.lostSocket(follower);
    if (!links.good(id, now)) {
      follower.live = false;
      follower.at = undefined;
    }
    if (!this.leads) return this.#takeover.left(id);
    this.#restorer.left(id);
    this.#heartbeat.chooseWitnesses();
    this.reconcile();
  }

  thawed(): void {
    const { now } = this.#context;
    for (const follower of this.#followers.values())
      if (follower.heard > -Infinity) follower.heard = now;
    if (!this.leads) this.#takeover.restartWaiting();
  }

  resume(): void {
    this.#limit.voidProof();
  }

  /** Hands over to `to`, or to the member that has most of the log. Stamps nothing until that is done or refused. */
  resign(to: PeerId | undefined): void {
    const { epoch, now, server, settings, step, timers } = this.#context;
    if (this.#phase !== "stamping" || !server.isSeated) return;
    let best: Follower | undefined;
    for (const follower of this.#followers.values())
      if (follower.live && follower.present && (!best || follower.have > best.have))
        best = follower;
    const heir = to ?? best?.id;
    if (heir === undefined) return;
    this.#phase = "resigning";
    timers.set("resign", now + settings.resignMs);
    step.push({ type: "resign", epoch, to: heir });
  }

  /** Notes that the history is the group's while this member stamps with the server's word. */
  lead(): void {
    const { freshness, now, recovery, server } = this.#context;
    if (!server.isSeated) return;
    if (freshness.isUnsure) this.#limit.askServer();
    if (freshness.isUnsure || !this.leads) return;
    freshness.led(now);
    recovery.leads();
  }

  flush(): void {
    const { page, replica } = this.#context;
    this.lead();
    if (!this.leads) return;
    this.sending();
    this.#feed.flush();
    page.deliver(this.#limit.current());
    if (replica.delivered < replica.log.last) this.#heartbeat.pageWaits();
    else this.#heartbeat.pageHasAll();
  }
}
