// The role of the host: takes over, stamps what members send into one log, brings the log to them,
// and hands it to its own page once another member has it.

import type { Context } from "./context.ts";
import { DeliveryLimit } from "./delivery-limit.ts";
import { Distribution } from "./distribution.ts";
import type { Follower } from "./follower.ts";
import { Heartbeat } from "./heartbeat.ts";
import { Intake } from "./intake.ts";
import { outranks } from "./late-answer.ts";
import type { Role } from "./role.ts";
import { Roster } from "./roster.ts";
import { Stamper } from "./stamper.ts";
import { Takeover, type Occasion } from "./takeover.ts";
import type { TimerName } from "./timers.ts";
import type { Path, PeerId, Place, RosterEntry, Standing } from "./types.ts";
import type { Fill, Wire } from "./wire.ts";

type Phase = "taking over" | "stamping" | "resigning";

interface HostOptions {
  /** Why the server named this host. */
  readonly cause: string;
  /** The host before this one, if there was one. */
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
  readonly #distribution: Distribution;
  readonly #intake: Intake;
  readonly #limit: DeliveryLimit;
  #takeover: Takeover;
  #phase: Phase = "taking over";

  constructor(context: Context, { cause, deposed, roster, isFirst }: HostOptions) {
    this.#context = context;
    this.#cause = cause;
    this.#beganAt = context.now;
    this.#stamper = new Stamper(context);
    this.#roster = new Roster(context, this.#stamper);
    for (const member of roster) if (member.id !== context.self.id) this.#roster.announced(member);
    const followers = this.#followers;
    const leads = (): boolean => this.leads;
    this.#takeover = this.#newTakeover(deposed, isFirst ? "first" : "named");
    this.#distribution = new Distribution(context, {
      followers,
      cause,
      hasStamped: () => this.#stamper.begun,
      memberPlaced: () => this.#heartbeat.chooseWitnesses(),
      memberFollows: (seq, heartbeat) => this.#memberFollows(seq, heartbeat),
      // The server names the member in a later epoch, in whose takeover the member's history wins.
      overtaken: (follower) => this.resign(follower.id),
    });
    this.#intake = new Intake(context, {
      followers,
      stamper: this.#stamper,
      isStamping: () => this.#phase === "stamping",
      ask: (follower) => this.#distribution.ask(follower),
    });
    this.#limit = new DeliveryLimit(context, { followers, leads });
    this.#heartbeat = new Heartbeat(context, {
      followers,
      cause,
      sentTo: (follower) => this.#distribution.sentTo(follower),
      leads,
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
    const { epoch, freshness, now, self, settings, step, timers } = this.#context;
    this.#phase = "stamping";
    this.#stamper.begin();
    this.#distribution.begin();
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
    this.#distribution.placeAll();
    this.reconcile();
    this.#intake.takeHeld();
    timers.set("heartbeat", now + settings.beatMs);
  }

  /**
   * Takes over once more: a member has returned with an older history, or with more than the host
   * has.
   */
  #takeOverAgain(): void {
    this.#phase = "taking over";
    this.#stamper.begun = false;
    this.#limit.restart();
    this.#distribution.restart();
    this.#takeover = this.#newTakeover(undefined, "repeated");
    this.#takeover.start();
  }

  /** Returns whether a member, as it said in this epoch, lacks a feature. */
  lacks(id: PeerId, feature: string): boolean {
    const follower = this.#followers.get(id);
    return follower !== undefined && follower.saidAt > 0 && !follower.can.includes(feature);
  }

  /** Stamps who joined, who left, and whose profile is new. */
  reconcile(): void {
    if (this.#phase === "stamping") this.#roster.reconcile();
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
        follower.can = message.can ?? follower.can;
        this.#onAt(follower, message.at);
        if (message.x) {
          const { at, low = 0, x } = message;
          this.#intake.submitted(follower, { at, low, x });
        }
        break;
      case "ack":
        this.#onAck(follower, message);
        break;
      case "send":
        if (message.at.r !== 0) {
          const { at, k } = message;
          this.#onAck(follower, { at, k, gap: false });
        }
        this.#intake.submitted(follower, message);
        break;
      case "snap":
        this.#distribution.gaveSnapshot(from, message);
        break;
      case "fill":
        this.#onFill(from, message);
        break;
      case "restore":
        if (this.leads) this.#distribution.refused(from, message);
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
    if (this.leads) this.#distribution.heard(from);
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
    else this.#distribution.place(follower, at);
  }

  #onAck(
    follower: Follower,
    { at, k, gap }: { readonly at: Place; readonly k: number; readonly gap: boolean },
  ): void {
    if (this.leads) this.#distribution.acknowledged(follower, { at, heartbeat: k, gap });
  }

  /** A member has the host's log up to `seq`, and has heard the heartbeat with this number. */
  #memberFollows(seq: number, heartbeat: number): void {
    const { freshness, now } = this.#context;
    freshness.followed(heartbeat, now);
    this.#limit.acknowledged(seq);
  }

  #onFill(from: PeerId, fill: Fill): void {
    if (!this.leads) return this.#takeover.filled(from, fill);
    const { now, replica } = this.#context;
    const before = replica.log.last;
    this.#distribution.filled(from, fill);
    if (this.#stamper.begun || fill.s !== before + 1) return;
    if (replica.absorb(fill, now) !== "ok") return;
    this.#stamper.follow(before);
    this.#memberFollows(replica.log.last, 0);
  }

  sending(): void {
    this.#intake.takeOwn();
  }

  // --- time ---

  timer(name: TimerName): void {
    switch (name) {
      case "takeover":
        this.#takeover.timer();
        break;
      case "giver":
        this.#distribution.giverFailed();
        break;
      case "heartbeat":
        if (this.leads) this.#onHeartbeat();
        break;
      case "resign":
        if (this.#phase !== "resigning") break;
        this.#phase = "stamping";
        this.#intake.takeHeld();
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
    replica.keepAfter(this.#distribution.neededAfter);
    this.#heartbeat.chooseWitnesses();
    for (const follower of this.#followers.values())
      if (follower.info.group && follower.present) paths.report(follower.id);
    this.#distribution.retry();
    this.#heartbeat.beat();
    const isLarge = this.#followers.size > settings.largePage;
    timers.set("heartbeat", now + settings.beatMs * (isLarge ? 2 : 1));
  }

  // --- events ---

  /** The server has answered the question whether this member is still the host. */
  proved(epoch: number): void {
    const { freshness } = this.#context;
    const proved = this.#limit.proved(epoch);
    if (proved === "nothing") return;
    freshness.provedHost(this.leads ? "leading" : "taking over");
    if (proved === "word" && this.#leadsAll()) freshness.joinedAgain();
  }

  /** Returns whether all members that the server knows are on this host's log, or silent. */
  #leadsAll(): boolean {
    const { now, settings } = this.#context;
    if (!this.leads) return false;
    for (const { announcedAt, gone, info, live, present } of this.#followers.values())
      if (info.group && present && !gone && !live && now - announcedAt <= settings.foundMs)
        return false;
    return true;
  }

  drained(): void {
    this.#distribution.drained();
  }

  linked(id: PeerId | "relay"): void {
    const { links } = this.#context;
    if (id === "relay") {
      if (!links.relay) this.#limit.answerLost();
      return;
    }
    const follower = this.#followers.get(id);
    if (!follower) return;
    if (follower.live && this.leads) this.#distribution.pathChanged(follower);
    if (links.up(id)) this.#distribution.ask(follower);
    this.#distribution.wake();
  }

  opened(roster: readonly RosterEntry[] | undefined): void {
    this.rosterTaken(roster ?? []);
    if (this.leads) this.#heartbeat.beat();
    else this.#takeover.restartWaiting();
  }

  /** The server has said who is here: on a new socket, or because the page has moved. */
  rosterTaken(roster: readonly RosterEntry[]): void {
    const { freshness, now, self } = this.#context;
    freshness.heard(now);
    this.#limit.answerLost();
    // The other half of the page may be among them.
    if (freshness.isApart) for (const follower of this.#followers.values()) follower.live = false;
    for (const member of roster) if (member.id !== self.id) this.joined(member);
    this.#roster.missAllBut(new Set(roster.map(({ id }) => id)));
  }

  joined(member: RosterEntry): void {
    const follower = this.#roster.announced(member);
    this.reconcile();
    if (!follower.live && follower.info.group) {
      follower.asked = -Infinity;
      this.#distribution.ask(follower);
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
    this.#distribution.left(id);
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

  /**
   * Hands over to `to`, or to the member that has most of the log. Stamps nothing until that is
   * done or refused.
   */
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

  /** Notes that the history is the group's while this member stamps, as its server's host. */
  lead(): void {
    const { freshness, now, recovery, server } = this.#context;
    if (!server.isSeated) return;
    const mayJoinAgain = freshness.isApart && !server.isAlone && this.#leadsAll();
    if (freshness.isUnsure || mayJoinAgain) this.#limit.askServer();
    if (freshness.isUnsure || !this.leads) return;
    freshness.led(now);
    recovery.leads();
  }

  flush(): void {
    const { page, replica } = this.#context;
    this.lead();
    if (!this.leads) return;
    this.sending();
    this.#distribution.flush();
    page.deliver(this.#limit.current());
    if (replica.delivered < replica.log.last) this.#heartbeat.pageWaits();
    else this.#heartbeat.pageHasAll();
  }
}
