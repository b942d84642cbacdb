// The machine: one entry, `handle`. It decides which role this member plays; an older epoch is never listened to.

import { Core } from "./core.ts";
import { Host } from "./host.ts";
import type { Effect, Event, HostPayload, OpenPayload } from "./io.ts";
import { Member } from "./member.ts";
import type { Role } from "./role.ts";
import { defaults, type Settings } from "./settings.ts";
import type { Line, Path, PeerId, Place, RosterEntry } from "./types.ts";
import { isWire, type Wire } from "./wire.ts";

const TRIM_MS = 1000;
const FENCE_MS = 100;
/** Longer than a check takes. */
const CHECK_MS = 5000;
/** Something was due so long: what we are told next may be old. */
const PAUSED_MS = 250;
/** Nothing handled for so long though something was due: we were frozen. */
const FROZEN_MS = 1200;

export class Group {
  readonly #core: Core;
  #role: Role | undefined;
  /** When something was last handled; before the first event, never. */
  #last = Infinity;
  /** Nothing was handled for a while: we cannot tell whether we were frozen. */
  #idle = false;
  #fenced = -Infinity;
  #checked = -Infinity;
  #greeted = false;

  constructor(id: PeerId, settings: Partial<Settings> = {}) {
    this.#core = new Core(id, { ...defaults, ...settings });
    this.#core.resume = () => this.#role?.resume();
  }

  /**
   * Takes another id, before the first OPEN. `counted`: its messages are counted after this. An id that earlier loads of
   * the page had as well must count on from theirs, or its messages would be taken for repeats.
   */
  identify(id: PeerId, counted: number): void {
    if (this.#role) return;
    this.#core.id = id;
    this.#core.outbox.startAfter(counted);
  }

  handle(event: Event, now: number): Effect[] {
    return this.handleAll([event], now);
  }

  /** Several that came together: what they cause goes out together. */
  handleAll(events: readonly Event[], at: number): Effect[] {
    // Whole milliseconds: with fractions, what is due may after rounding be not quite due, for ever.
    const now = Math.floor(at);
    const core = this.#core;
    if (core.state === "closed")
      return events.flatMap((event) =>
        event.type === "send"
          ? [{ type: "settle", token: event.token, error: "Closed" } as const]
          : [],
      );
    const overdue = now - Math.max(this.#last, core.timers.next());
    this.#idle = now - this.#last > PAUSED_MS;
    core.now = now;
    core.timers.soon("trim", now + TRIM_MS);
    if (overdue > PAUSED_MS) core.doubt();
    if (overdue > FROZEN_MS) this.#thawed(now - this.#last);
    this.#last = now;
    for (const event of events) this.#take(event);
    for (let name = core.timers.pop(now); name; name = core.timers.pop(now)) {
      if (name === "trim") this.#trim();
      else if (name === "away") this.#away();
      else if (name === "asking") core.unasked();
      else if (name === "claim") core.claim();
      else this.#role?.timer(name);
    }
    this.#role?.flush();
    if (core.crammed()) core.trim();
    const { out } = core;
    core.out = [];
    return out;
  }

  nextDeadline(): number {
    return this.#core.timers.next();
  }

  /** Those here as far as the page was handed the log, this one included. */
  get members(): PeerId[] {
    return [...new Set(this.#core.applied.members.keys()).add(this.#core.id)];
  }

  /** Of one that is here. */
  profile(id: PeerId): unknown {
    return id === this.#core.id ? this.#core.profile : this.#core.applied.members.get(id)?.profile;
  }

  /** Where the log ends: cheap, for those who watch every step. */
  get place(): Place {
    return this.#core.log.place;
  }

  get delivered(): number {
    return this.#core.delivered;
  }

  get line(): Line {
    return this.#core.log.line;
  }

  get epoch(): number {
    return this.#core.epoch;
  }

  get host(): PeerId | undefined {
    return this.#core.host;
  }

  /** Hosts, and its take-over is done. */
  get leads(): boolean {
    return this.#role instanceof Host && this.#role.leads;
  }

  /** Away so long that its history outranks nobody's. */
  get stale(): boolean {
    return this.#core.outdated;
  }

  /** Whether the server goes on ignoring what we claim: then we cannot host for it. */
  get disbelieved(): boolean {
    return this.#core.disbelieved;
  }

  /** The mark that travels with its history (`Provisional`). */
  get provisional(): number | undefined {
    return this.#core.mark.provisional;
  }

  /** Returns whether the history, as far as the page was handed it, holds message `n` of that sender. */
  holds(from: PeerId, n: number): boolean {
    return this.#core.applied.holds(from, n) === "yes";
  }

  /** Returns whether its own message `n` waits to be sent, to be sent again, or to be told as lost. */
  owes(n: number): boolean {
    const { outbox } = this.#core;
    return outbox.sends(n) || outbox.isOrphan(n);
  }

  /** What the limits are about. */
  get load(): { readonly log: number; readonly entries: number; readonly outbox: number } {
    const { log, outbox } = this.#core;
    return {
      log: log.bytesAt(log.last) - log.bytesAt(log.base),
      entries: log.last - log.base,
      outbox: outbox.bytes,
    };
  }

  #take(event: Event): void {
    const core = this.#core;
    if (isServers(event)) core.provisional.heard(core.now);
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
      case "joined":
        this.#role?.joined(event.member);
        break;
      case "left":
        this.#role?.left(event.id);
        break;
      case "link":
        core.links.set(event.id, event.up, core.now);
        this.#role?.linked(event.id);
        break;
      case "received":
        this.#receive(event.from, event.via, event.message);
        break;
      case "heard":
        this.#heard(event.from, event.via);
        break;
      case "alive":
        core.links.heard(event.id, core.now);
        break;
      case "pressure":
        core.links.press(event.link, event.high);
        if (!event.high) this.#role?.drained();
        break;
      case "send":
        this.#send(event.token, event.data, event.size);
        break;
      case "snapshots":
        core.setAble(event.able);
        // So that the host knows whom it can ask.
        if (this.#role instanceof Member) this.#role.say();
        break;
      case "snapshot":
        core.answer(event.token, event.given, event.state, event.size);
        break;
      case "profile":
        core.profile = event.profile;
        if (this.#role instanceof Host) this.#role.reconcile();
        break;
      case "proved":
        if (this.#role instanceof Host) this.#role.proved(event.token);
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

  // --- the server ---

  #open(open: OpenPayload): void {
    const core = this.#core;
    core.online = true;
    core.relayAllowed = open.relay;
    core.links.relay = open.relay;
    core.resumeMs = open.resumeMs;
    core.dialMs = open.fairMs ?? core.dialMs;
    core.provisional.told(open.upMs, core.now);
    const alone =
      open.host === core.id &&
      !open.recovering &&
      !(open.roster ?? []).some((member) => member.group && member.id !== core.id);
    const first = alone && core.log.root === 0;
    if (!core.disbelieved) core.setState("open");
    if (!this.#greeted) {
      this.#greeted = true;
      core.share();
      core.timers.set("away", core.now + core.resumeMs);
      core.notice({ kind: "open", host: open.host, epoch: open.epoch, first });
    }
    core.hear(open.epoch, "OPEN");
    this.#decline(open);
    core.seat(open.host === core.id && !open.recovering && open.epoch >= core.epoch);
    if (!this.#adopt(open.epoch, open.host, open.recovering ? "restarted" : "", open.roster, first))
      this.#role?.opened(open.roster);
  }

  #offline(): void {
    const core = this.#core;
    core.online = false;
    core.seat(false);
    core.links.relay = false;
    core.timers.set("away", core.now);
    this.#role?.linked("relay");
  }

  #host({ host, epoch, cause, roster, fairMs }: HostPayload): void {
    this.#core.hear(epoch, "HOST");
    this.#core.dialMs = fairMs ?? this.#core.dialMs;
    this.#decline({ host, epoch });
    this.#core.seat(host === this.#core.id && epoch >= this.#core.epoch);
    this.#adopt(epoch, host, cause, roster, false);
  }

  /** Named host by a server that does not believe our epoch, we cannot serve its members: another is to. */
  #decline({ host, epoch }: Pick<HostPayload, "host" | "epoch">): void {
    const core = this.#core;
    if (core.disbelieved && host === core.id && epoch < core.epoch)
      core.out.push({ type: "resign", epoch });
  }

  /** True if that is news. */
  #adopt(
    epoch: number,
    host: PeerId,
    cause: string,
    roster: readonly RosterEntry[] | undefined,
    first: boolean,
  ): boolean {
    const core = this.#core;
    if (epoch < core.epoch || (epoch === core.epoch && this.#role)) return false;
    const deposed = core.host;
    this.#role?.stop();
    core.keepPaths(new Set([host]));
    core.epoch = epoch;
    core.epochAt = core.now;
    core.hold = Infinity;
    core.abandoned.clear();
    core.host = host;
    // The news of our seat may be as old as that while.
    if (host === core.id && this.#idle) core.doubt();
    this.#role =
      host === core.id
        ? new Host(core, cause, deposed, roster ?? [], first)
        : new Member(core, host, cause);
    this.#role.start();
    return true;
  }

  // --- the others ---

  #receive(from: PeerId, via: Path, message: unknown): void {
    const core = this.#core;
    if (from === core.id || !isWire(message)) return;
    if (via === "p2p") core.links.heard(from, core.now);
    if (message.e < core.epoch) return this.#old(from, message);
    if (message.e > core.epoch) return this.#later();
    if (core.state === "away" && !core.disbelieved) core.setState("open");
    this.#role?.receive(from, via, message);
  }

  /** Somebody is in the middle of saying something long. */
  #heard(from: PeerId, via: Path): void {
    const core = this.#core;
    if (via === "p2p") core.links.heard(from, core.now);
    this.#role?.heard(from);
  }

  /** Only the server names hosts. Its word of this one is on the way to us; or our socket is dead, and we do not know. */
  #later(): void {
    const core = this.#core;
    if (core.now - this.#checked < CHECK_MS) return;
    this.#checked = core.now;
    core.out.push({ type: "check" });
  }

  /** Whoever speaks for an older epoch is told so, and not heard. */
  #old(from: PeerId, message: Wire): void {
    const core = this.#core;
    if (message.t === "bye") return this.#role?.left(from);
    if (
      message.t === "fence" ||
      core.host === undefined ||
      from === core.host ||
      core.now - this.#fenced < FENCE_MS
    )
      return;
    this.#fenced = core.now;
    core.transmit(from, { t: "fence", e: core.epoch, host: core.host });
  }

  // --- the page ---

  #send(token: number, data: unknown, size: number): void {
    const { outbox, settings } = this.#core;
    if (size > settings.messageBytes) return this.#core.settle([token], "TooLarge");
    if (outbox.bytes + size > settings.outboxBytes || outbox.size >= settings.outboxCount)
      return this.#core.settle([token], "Backpressure");
    outbox.add(token, data, size);
    this.#role?.sending();
  }

  #leave(): void {
    const core = this.#core;
    if (core.host !== undefined && core.host !== core.id)
      core.transmit(core.host, { t: "bye", e: core.epoch });
    core.settle(core.outbox.clear(), "Closed");
    this.#role?.stop();
    core.timers.clear("away", "trim", "asking", "claim");
    core.setState("closed");
  }

  // --- time ---

  #trim(): void {
    this.#core.trim();
    this.#core.timers.set("trim", this.#core.now + TRIM_MS);
  }

  /** Are we out of touch, and out of step for too long? */
  #away(): void {
    const core = this.#core;
    const { now, settings } = core;
    if (core.seated) core.touch();
    if (this.#role instanceof Host) this.#role.lead();
    const silentMs = now - core.contact;
    const looking = !core.online && core.state !== "away";
    if (
      looking &&
      (silentMs > settings.linkSilentMs || !core.links.ids().some((id) => core.links.good(id, now)))
    )
      core.setState("away");
    // Whoever hears a host again may still be filled; the dedupe table is kept longer than that.
    const grantMs = silentMs < settings.suspectMs ? core.resumeMs * 1.5 : core.resumeMs;
    const late = now - core.shared >= grantMs;
    if (late) this.#uncertain();
    const limit = core.shared + core.resumeMs;
    const next = late
      ? now + core.resumeMs
      : now < limit
        ? limit
        : Math.min(core.shared + grantMs, now + settings.suspectMs);
    core.timers.set(
      "away",
      looking && core.state !== "away"
        ? Math.min(next, core.contact + settings.linkSilentMs + 1)
        : next,
    );
  }

  #uncertain(): void {
    const core = this.#core;
    core.stale = true;
    core.settle(core.outbox.doubt(), "Uncertain");
  }

  #thawed(forMs: number): void {
    if (forMs >= this.#core.resumeMs) this.#uncertain();
    this.#role?.thawed();
  }
}

/** Returns whether the server said it on the present socket; what OPEN says is weighed first. */
function isServers(event: Event): boolean {
  return (
    event.type === "host" ||
    event.type === "joined" ||
    event.type === "left" ||
    event.type === "proved" ||
    (event.type === "received" && event.via === "relay")
  );
}
