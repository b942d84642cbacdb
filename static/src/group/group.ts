// The state machine of one member. Its only entry is `handle`: an event and the time go in, effects
// come out.
//
// The group decides which role this member plays, host or member, and never listens to an older
// epoch.

import { Context } from "./context.ts";
import { Host } from "./host.ts";
import type { Effect, Event, HostPayload, OpenPayload } from "./io.ts";
import { Member } from "./member.ts";
import { trim } from "./retention.ts";
import type { Role } from "./role.ts";
import { defaults, type Settings } from "./settings.ts";
import type { TimerName } from "./timers.ts";
import type { Line, Path, PeerId, Place, RosterEntry } from "./types.ts";
import { CAN, isWire, type Wire } from "./wire.ts";

const TRIM_MS = 1000;
const FENCE_MS = 100;
/** Shortest interval between two checks of the socket. A check takes less. */
const CHECK_MS = 5000;
/**
 * Delay of a deadline after which this tab may have been frozen, so that what it is told next may
 * be old.
 */
const PAUSED_MS = 250;
/** Delay of a deadline after which this tab was frozen. */
const FROZEN_MS = 1200;

/** An announcement of a host, by OPEN or by HOST. */
interface Announcement {
  readonly epoch: number;
  readonly host: PeerId;
  readonly cause: string;
  readonly roster: readonly RosterEntry[] | undefined;
  /** Whether this member is alone and has no history, so that no history can be missing. */
  readonly isFirst: boolean;
}

export class Group {
  readonly #context: Context;
  #role: Role | undefined;
  /** When an event was last handled; `Infinity` before the first event. */
  #handledAt = Infinity;
  /**
   * Whether nothing was handled for a while before this step, so that this tab may have been
   * frozen.
   */
  #wasIdle = false;
  #fencedAt = -Infinity;
  #checkedAt = -Infinity;
  #hasOpened = false;

  /** `can`: what this member tells others that its library can do. */
  constructor(id: PeerId, settings: Partial<Settings> = {}, can: readonly string[] = CAN) {
    this.#context = new Context(id, { ...defaults, ...settings }, can);
  }

  /**
   * Takes another id, before the first OPEN. Messages are counted after `counted`: an id that
   * earlier loads of the page had as well must count on from theirs, or its messages would be taken
   * for repeats.
   */
  identify(id: PeerId, counted: number): void {
    if (this.#role) return;
    this.#context.self.id = id;
    this.#context.outbox.startAfter(counted);
    this.#context.direct.startAfter(counted);
  }

  handle(event: Event, now: number): Effect[] {
    return this.handleAll([event], now);
  }

  /** Handles events that arrived together. Messages that they cause go out together. */
  handleAll(events: readonly Event[], at: number): Effect[] {
    // Whole milliseconds: rounded fractions could leave a deadline not quite due for ever.
    const now = Math.floor(at);
    const { direct, freshness, replica, status, step, timers } = this.#context;
    if (status.is("closed")) return events.flatMap((event) => refusal(event));
    const overdue = now - Math.max(this.#handledAt, timers.next());
    this.#wasIdle = now - this.#handledAt > PAUSED_MS;
    step.begin(now);
    timers.soon("trim", now + TRIM_MS);
    if (overdue > PAUSED_MS) freshness.paused();
    if (overdue > FROZEN_MS) this.#thawed(now - this.#handledAt);
    this.#handledAt = now;
    for (const event of events) this.#take(event);
    for (let name = timers.pop(now); name; name = timers.pop(now)) this.#ring(name);
    this.#role?.flush();
    direct.flush();
    if (replica.isCrammed) trim(this.#context, now);
    return step.end();
  }

  /** Returns when to call `handle` with a timer event; `Infinity` if never. */
  nextDeadline(): number {
    return this.#context.timers.next();
  }

  // --- queries ---

  /** The members of the group as far as the page was handed the log, this member included. */
  get members(): PeerId[] {
    const { replica, self } = this.#context;
    return [...new Set(replica.applied.members.keys()).add(self.id)];
  }

  /** Returns the profile of a member of the group. */
  profile(id: PeerId): unknown {
    const { replica, self } = this.#context;
    return id === self.id ? self.profile : replica.applied.members.get(id)?.profile;
  }

  /** The place where the log ends. */
  get place(): Place {
    return this.#context.replica.log.place;
  }

  /** The highest seq that the page was handed. */
  get delivered(): number {
    return this.#context.replica.delivered;
  }

  get line(): Line {
    return this.#context.replica.log.line;
  }

  get epoch(): number {
    return this.#context.epoch;
  }

  get host(): PeerId | undefined {
    return this.#context.server.host;
  }

  /** Whether this member hosts, and its takeover is done. */
  get leads(): boolean {
    return this.#role instanceof Host && this.#role.leads;
  }

  /** Whether this member was away so long that its history outranks nobody's. */
  get stale(): boolean {
    return this.#context.freshness.isStale(this.#context.now);
  }

  /** Whether the history may have gone on without the server's word. */
  get alone(): boolean {
    return this.#context.freshness.isApart;
  }

  /** Whether the server keeps ignoring the claim, so that this member cannot host for it. */
  get disbelieved(): boolean {
    return this.#context.claim.isDisbelieved;
  }

  /** The mark that travels with the history (see `Provisional`). */
  get provisional(): number | undefined {
    return this.#context.replica.mark(this.#context.now).provisional;
  }

  /**
   * Returns whether the history, as far as the page was handed it, holds message `n` of a sender.
   */
  holds(from: PeerId, n: number): boolean {
    return this.#context.replica.applied.holds(from, n) === "yes";
  }

  /**
   * Returns whether the own message `n` waits to be sent, to be sent again, or to be told as lost.
   */
  owes(n: number): boolean {
    const { outbox } = this.#context;
    return outbox.sends(n) || outbox.isOrphan(n);
  }

  /** The sizes that the limits are about: bytes and entries of the log, bytes of the outbox. */
  get load(): { readonly log: number; readonly entries: number; readonly outbox: number } {
    const { outbox, replica } = this.#context;
    const { log } = replica;
    return {
      log: log.bytesAt(log.last) - log.bytesAt(log.base),
      entries: log.last - log.base,
      outbox: outbox.bytes,
    };
  }

  // --- events ---

  #take(event: Event): void {
    const { direct, links, replica, self, snapshots, step } = this.#context;
    if (isFromServer(event)) replica.provisional.serverHeard(step.now);
    switch (event.type) {
      case "open":
        this.#open(event.open);
        break;
      case "offline":
        this.#offline();
        break;
      case "host":
        this.#host(event.host);
        break;
      case "alone":
        this.#alone(event.alone);
        break;
      case "joined":
        this.#role?.joined(event.member);
        break;
      case "left":
        this.#role?.left(event.id);
        break;
      case "link":
        if (event.up) links.opened(event.id, step.now);
        else links.closed(event.id);
        this.#role?.linked(event.id);
        direct.pathsChanged(event.id);
        break;
      case "received":
        this.#receive(event.from, event.via, event.message);
        break;
      case "heard":
        this.#heard(event.from, event.via);
        break;
      case "alive":
        links.heard(event.id, step.now);
        break;
      case "pressure":
        if (event.high) links.congested(event.link);
        else links.drained(event.link);
        if (!event.high) this.#role?.drained();
        break;
      case "send":
        this.#send(event.token, event.data, event.size);
        break;
      case "sendTo":
        direct.send(event);
        break;
      case "abort":
        direct.abort(event.token);
        break;
      case "reply":
        direct.reply(event.token, event.data, event.size);
        break;
      case "snapshots":
        snapshots.callbackChanged(event.able);
        // The host learns whom it can ask.
        if (this.#role instanceof Member) this.#role.sayStanding();
        break;
      case "snapshot":
        if (snapshots.answered(event.token, event.given ? snapshotOf(event) : null))
          this.#role?.resume();
        break;
      case "profile":
        self.profile = event.profile;
        if (this.#role instanceof Host) this.#role.reconcile();
        break;
      case "proved":
        if (this.#role instanceof Host) this.#role.proved(event.epoch);
        break;
      case "resign":
        if (this.#role instanceof Host) this.#role.resign(event.to);
        break;
      case "leave":
        this.#leave();
        break;
      case "timer":
        break;
    }
  }

  #ring(name: TimerName): void {
    const { claim, snapshots } = this.#context;
    switch (name) {
      case "trim":
        this.#trim();
        break;
      case "away":
        this.#away();
        break;
      case "snapshot":
        if (snapshots.timedOut()) this.#role?.resume();
        break;
      case "claim":
        claim.repeat();
        break;
      default:
        this.#role?.timer(name);
    }
  }

  // --- the server ---

  #open(open: OpenPayload): void {
    const { claim, direct, freshness, links, replica, self, server, status, step, timers } =
      this.#context;
    server.opened(open);
    if (open.alone) freshness.setApart(step.now);
    links.relay = open.relay;
    replica.provisional.serverUp(open.upMs, step.now);
    const isAlone =
      open.host === self.id &&
      !open.recovering &&
      !(open.roster ?? []).some((member) => member.group && member.id !== self.id);
    const isFirst = isAlone && replica.log.root === 0;
    if (!claim.isDisbelieved) status.change("open");
    if (!this.#hasOpened) {
      this.#hasOpened = true;
      freshness.joined(step.now);
      timers.set("away", step.now + server.resumeMs);
      step.notify({ kind: "open", host: open.host, epoch: open.epoch, first: isFirst });
    }
    claim.announced(open.epoch, "OPEN");
    this.#decline(open);
    this.#endSeat();
    server.seatDecided(open.host === self.id && !open.recovering && open.epoch >= server.epoch);
    const { epoch, host, roster } = open;
    const cause = open.recovering ? "restarted" : "";
    if (!this.#adopt({ epoch, host, cause, roster, isFirst })) this.#role?.opened(roster);
    direct.pathsChanged();
  }

  #offline(): void {
    const { links, server, step, timers } = this.#context;
    this.#endSeat();
    server.disconnected();
    links.relay = false;
    timers.set("away", step.now);
    this.#role?.linked("relay");
  }

  #host({ host, epoch, cause, roster, fairMs }: HostPayload): void {
    const { claim, self, server } = this.#context;
    claim.announced(epoch, "HOST");
    server.fairDialChanged(fairMs);
    this.#decline({ host, epoch });
    this.#endSeat();
    server.seatDecided(host === self.id && epoch >= server.epoch);
    const isAdopted = this.#adopt({ epoch, host, cause, roster, isFirst: false });
    // The page of a host that goes on has moved to another node.
    if (!isAdopted && epoch === server.epoch && roster && this.#role instanceof Host)
      this.#role.rosterTaken(roster);
  }

  /** The server is alone, or ceases to be. */
  #alone(isAlone: boolean): void {
    const { freshness, server, step } = this.#context;
    server.aloneSaid(isAlone);
    if (isAlone) freshness.setApart(step.now);
  }

  /** Notes that a host with its seat was in contact until now, whether others were heard or not. */
  #endSeat(): void {
    const { freshness, server, step } = this.#context;
    if (server.isSeated) freshness.heard(step.now);
  }

  /**
   * Resigns if this member is named host by a server that does not believe its epoch: it cannot
   * serve the members there.
   */
  #decline({ host, epoch }: Pick<HostPayload, "host" | "epoch">): void {
    const { claim, self, server, step } = this.#context;
    if (claim.isDisbelieved && host === self.id && epoch < server.epoch)
      step.push({ type: "resign", epoch });
  }

  /** Goes over to an announced epoch. Returns false if that is no news. */
  #adopt({ epoch, host, cause, roster, isFirst }: Announcement): boolean {
    const context = this.#context;
    const { direct, freshness, paths, replica, self, server, step } = context;
    if (epoch < server.epoch || (epoch === server.epoch && this.#role)) return false;
    const deposed = server.host;
    this.#role?.stop();
    paths.forgetAllBut(host);
    server.adopted(epoch, host, step.now);
    replica.epochBegins();
    // The news of the seat may be as old as the time in which nothing was handled.
    if (host === self.id && this.#wasIdle) freshness.paused();
    this.#role =
      host === self.id
        ? new Host(context, { cause, deposed, roster: roster ?? [], isFirst })
        : new Member(context, { host, cause });
    this.#role.start();
    direct.hosting = this.#role instanceof Host ? this.#role : undefined;
    direct.pathsChanged();
    return true;
  }

  // --- other members ---

  #receive(from: PeerId, via: Path, message: unknown): void {
    const { claim, direct, links, self, server, status, step } = this.#context;
    if (from === self.id || !isWire(message)) return;
    if (via === "p2p") links.heard(from, step.now);
    if (direct.receive(from, via, message)) return;
    if (message.e < server.epoch) return this.#old(from, message);
    if (message.e > server.epoch) return this.#later();
    if (status.is("away") && !claim.isDisbelieved) status.change("open");
    this.#role?.receive(from, via, message);
  }

  /** Pieces of a long message arrive. */
  #heard(from: PeerId, via: Path): void {
    const { links, step } = this.#context;
    if (via === "p2p") links.heard(from, step.now);
    this.#role?.heard(from);
  }

  /**
   * Handles a message of a later epoch, which is not acted on: only the server names hosts. Either
   * its announcement is on the way, or the socket is dead and this member does not know.
   */
  #later(): void {
    const { step } = this.#context;
    if (step.now - this.#checkedAt < CHECK_MS) return;
    this.#checkedAt = step.now;
    step.push({ type: "check" });
  }

  /**
   * Handles a message of an older epoch, which is not acted on: its sender is told of the new host.
   */
  #old(from: PeerId, message: Wire): void {
    const { paths, server, step } = this.#context;
    if (message.t === "bye") return this.#role?.left(from);
    if (
      message.t === "fence" ||
      server.host === undefined ||
      from === server.host ||
      step.now - this.#fencedAt < FENCE_MS
    )
      return;
    this.#fencedAt = step.now;
    paths.transmit(from, { t: "fence", e: server.epoch, host: server.host });
  }

  // --- the page ---

  #send(token: number, data: unknown, size: number): void {
    const { outbox, settings, step } = this.#context;
    if (size > settings.messageBytes) return step.settle([token], "TooLarge");
    if (outbox.bytes + size > settings.outboxBytes || outbox.size >= settings.outboxCount)
      return step.settle([token], "Backpressure");
    outbox.add(token, data, size);
    this.#role?.sending();
  }

  #leave(): void {
    const { direct, outbox, paths, self, server, status, step, timers } = this.#context;
    if (server.host !== undefined && server.host !== self.id)
      paths.transmit(server.host, { t: "bye", e: server.epoch });
    step.settle(outbox.clear(), "Closed");
    direct.close();
    this.#role?.stop();
    timers.clear("away", "trim", "snapshot", "claim", "direct");
    status.change("closed");
  }

  // --- time ---

  #trim(): void {
    const { step, timers } = this.#context;
    trim(this.#context, step.now);
    timers.set("trim", step.now + TRIM_MS);
  }

  /** Finds out whether this member is out of touch, or was out of step for too long. */
  #away(): void {
    const { freshness, links, server, settings, status, step, timers } = this.#context;
    const { now } = step;
    const { resumeMs } = server;
    if (server.isSeated) freshness.heard(now);
    if (this.#role instanceof Host) this.#role.lead();
    const silentMs = now - freshness.contactAt;
    const isLooking = !server.online && !status.is("away");
    if (
      isLooking &&
      (silentMs > settings.linkSilentMs || !links.ids().some((id) => links.good(id, now)))
    )
      status.change("away");
    // A member that hears a host again may still be filled. The dedupe table is kept for longer
    // than that.
    const grantMs = silentMs < settings.suspectMs ? resumeMs * 1.5 : resumeMs;
    const isLate = now - freshness.sharedAt >= grantMs;
    if (isLate) this.#awayTooLong();
    const limit = freshness.sharedAt + resumeMs;
    const next = isLate
      ? now + resumeMs
      : now < limit
        ? limit
        : Math.min(freshness.sharedAt + grantMs, now + settings.suspectMs);
    timers.set(
      "away",
      isLooking && !status.is("away")
        ? Math.min(next, freshness.contactAt + settings.linkSilentMs + 1)
        : next,
    );
  }

  #awayTooLong(): void {
    const { freshness, outbox, step } = this.#context;
    freshness.awayTooLong();
    step.settle(outbox.doubt(), "Uncertain");
  }

  #thawed(forMs: number): void {
    if (forMs >= this.#context.server.resumeMs) this.#awayTooLong();
    this.#role?.thawed();
  }
}

function snapshotOf({ state, parts, size }: Extract<Event, { type: "snapshot" }>) {
  return { state, parts, size };
}

/** Returns what answers an event after this member has left. */
function refusal({ type, ...event }: Event): Effect[] {
  if (!("token" in event)) return [];
  const { token } = event;
  if (type === "send") return [{ type: "settle", token, error: "Closed" }];
  return type === "sendTo" ? [{ type: "settleDirect", token, error: "Closed" }] : [];
}

/**
 * Returns whether the event is a message of the server on the present socket. OPEN counts only once
 * it is weighed.
 */
function isFromServer(event: Event): boolean {
  return (
    event.type === "host" ||
    event.type === "alone" ||
    event.type === "joined" ||
    event.type === "left" ||
    event.type === "proved" ||
    (event.type === "received" && event.via === "relay")
  );
}
