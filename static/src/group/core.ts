// What both roles share: the log, how far the page has been handed it, what waits to be sent, and the ways out.

import { giveUp, lostOwn, type GivenUp } from "./given-up.ts";
import { common, isEmpty, lies } from "./history.ts";
import type { Effect, Notice, Reason, Status, Via } from "./io.ts";
import { Ledger } from "./ledger.ts";
import { Links } from "./links.ts";
import { Log } from "./log.ts";
import { Outbox } from "./outbox.ts";
import { ProvisionalMark } from "./provisional.ts";
import type { Settings } from "./settings.ts";
import { Timers } from "./timers.ts";
import {
  sameProfile,
  type Entry,
  type ErrorCode,
  type MemberInfo,
  type Path,
  type PeerId,
  type Place,
  type Provisional,
  type Snapshot,
  type Standing,
} from "./types.ts";
import type { Wire } from "./wire.ts";

/** How entries fit onto the log: `gap` something is missing before, `fork` the page was handed others, `foreign` another history. */
export type Fit = "ok" | "gap" | "fork" | "foreign";

/** Shorter absences are not worth a word. */
const RETURN_MS = 1500;
/** A page that fails to give a snapshot so often is taken to have none. */
const REFUSALS = 3;
/** So often in a row may the server tell an earlier epoch than we claimed: the first dial may not have had the claim yet. */
const DENIALS = 2;
const HIGHEST = Number.MAX_SAFE_INTEGER / 2;

/** Why the page is given another state, or goes on in another history, and what it loses by that. */
export type About = GivenUp & { readonly reason: Reason };

type Taken = (snap: Snapshot | null) => void;

export class Core {
  now = 0;
  out: Effect[] = [];
  readonly timers = new Timers();
  readonly log = new Log();
  readonly links: Links;
  readonly outbox = new Outbox();
  /** What has been delivered, added up. */
  applied = new Ledger();
  delivered = 0;
  epoch = 0;
  /** When the server told of it. */
  epochAt = 0;
  host: PeerId | undefined;
  online = false;
  /** The latest epoch the server told on this socket. */
  told = 0;
  /** On this socket the server has named us host of our epoch. */
  seated = false;
  relayAllowed = false;
  resumeMs = 30_000;
  /** How long the server allows a dial: a new host waits so long for members that only a data channel reaches. */
  dialMs: number;
  profile: unknown;
  /** The page has an onSnapshot. */
  able = false;
  /** The page's state is all of this history: it was not told that something is missing. */
  whole = true;
  /** So often in a row did the page not give a snapshot when asked. */
  #refused = 0;
  /** Away too long to outrank anyone; until this history is the group's again. */
  stale = false;
  /** We may have been frozen: what we are told may be old. Until the server has answered that we are the host still. */
  unsure = false;
  /** How many beats this member has sent as a host; who has heard a later one than then answered after it. */
  beats = 0;
  #doubtedAt = 0;
  /** So often. */
  pauses = 0;
  /** When this member last heard from its host, or as a host from another. */
  contact = 0;
  /** When our history was last known to be the group's. */
  shared = 0;
  /** When another was last known to have our history, too. */
  confirmed = 0;
  /** When our history was last known to be the one that the server's host leads. */
  assured = 0;
  readonly provisional: ProvisionalMark;
  /** Roots of the histories that we gave up in this epoch, and may have stamped in: in the same epoch we never go back to one. */
  readonly abandoned = new Set<number>();
  /** Times in a row that the server did not believe our claim. */
  #denied = 0;
  /** When a history taken from another will be one long away. */
  #expires = Infinity;
  /** Out of step since then, and not caught up yet. */
  lost: number | undefined;
  state: Status = "connecting";
  /** The highest seq ever heard of, own or not: a history founded anew starts above it. */
  highest = 0;
  /** Messages that the page was handed, or has in its state. In whatever history they come, it is not handed them again. */
  handed = new Ledger();
  /** Delivery waits while the page makes a snapshot. */
  #asking: { token: number; snap: Snapshot; takers: Taken[] } | undefined;
  #token = 0;
  readonly #paths = new Map<PeerId, Path | "none">();
  /** What follows this is kept, however old: one is being given a state that ends there. */
  hold = Infinity;
  /** Called when a stopped delivery may go on. */
  resume: () => void = () => {};

  constructor(
    public id: PeerId,
    readonly settings: Settings,
  ) {
    this.links = new Links(settings.linkSilentMs);
    this.dialMs = settings.askDialMs;
    this.provisional = new ProvisionalMark(settings);
  }

  // --- out ---

  notice(notice: Notice): void {
    this.out.push({ type: "notice", notice });
  }

  setState(state: Status): void {
    if (this.state === state) return;
    this.state = state;
    this.notice({ kind: "status", state });
  }

  /** Which way one is reached, when that has changed. */
  tellPath(id: PeerId): void {
    const path = this.links.path(id, this.now);
    if (this.#paths.get(id) === path) return;
    this.#paths.set(id, path);
    this.notice({ kind: "link", id, path });
  }

  forgetPath(id: PeerId): void {
    this.#paths.delete(id);
  }

  /** Of these only; the others are nobody's business any more. */
  keepPaths(ids: ReadonlySet<PeerId>): void {
    for (const id of this.#paths.keys()) if (!ids.has(id)) this.#paths.delete(id);
  }

  transmit(to: PeerId, message: Wire, by?: Path): boolean {
    const via = by ?? this.links.path(to, this.now);
    if (via === "none") return false;
    this.out.push({ type: "transmit", to, via, message });
    return true;
  }

  settle(tokens: readonly number[], error?: ErrorCode): void {
    for (const token of tokens)
      this.out.push(error ? { type: "settle", token, error } : { type: "settle", token });
  }

  token(): number {
    return ++this.#token;
  }

  // --- where we stand ---

  /** The page can give a snapshot others can start from. */
  get gives(): boolean {
    return this.able && this.whole && this.#refused < REFUSALS;
  }

  setAble(able: boolean): void {
    this.able = able;
    this.#refused = 0;
  }

  /** Away too long, or its history was where it is from. */
  get outdated(): boolean {
    return this.stale || this.now >= this.#expires;
  }

  /** Histories founded after this epoch are young: epochs follow the server's clock. */
  get young(): number {
    return this.epoch + this.now - this.epochAt - this.resumeMs;
  }

  standing(): Standing {
    const { log } = this;
    const { r, e, s } = log.place;
    const age = Math.max(
      0,
      Math.round(this.now - Math.min(this.shared, this.#expires - this.resumeMs)),
    );
    return {
      r,
      e,
      s,
      done: this.delivered,
      base: log.base,
      line: log.line.slice(),
      snap: this.gives,
      stale: this.outdated,
      age,
      ...this.mark,
    };
  }

  /** As it travels with our history. */
  get mark(): Provisional {
    const provisional = this.log.root === 0 ? undefined : this.provisional.left(this.now);
    return provisional === undefined ? {} : { provisional };
  }

  touch(): void {
    this.contact = this.now;
  }

  seat(seated: boolean): void {
    // A host with its seat is in touch, heard by others or not.
    if (this.seated) this.touch();
    this.seated = seated;
  }

  /** Another has our history, as far as it goes. */
  confirm(): void {
    this.share();
    // Cut off from the server together with our host, we may all have to give it up.
    if (this.online && this.told === this.epoch) this.confirmed = this.assured = this.now;
  }

  /** Whether the server's last answer to our claim was an earlier epoch: until it is believed, nothing is stamped. */
  get denied(): boolean {
    return this.#denied > 0;
  }

  /** Whether the server goes on ignoring what we claim, because its clock is far behind our epoch. */
  get disbelieved(): boolean {
    return this.#denied >= DENIALS;
  }

  /**
   * The server has told an epoch: with OPEN, as an answer to our claim, or with HOST. If ours is later, it is told with the
   * next dial, and what the server does not believe is told ever more rarely.
   */
  hear(epoch: number, word: "OPEN" | "HOST"): void {
    const { settings, timers, now } = this;
    this.told = epoch;
    if (epoch >= this.epoch) {
      if (this.disbelieved) this.setState("open");
      this.#denied = 0;
      return timers.clear("claim");
    }
    if (word === "HOST") return;
    this.#denied++;
    if (this.#denied === DENIALS)
      this.out.push({ type: "disbelieved", behindMs: this.epoch - epoch });
    if (this.disbelieved) this.setState("away");
    timers.set(
      "claim",
      now + Math.min(settings.suspectMs * 2 ** (this.#denied - 1), settings.claimMostMs),
    );
  }

  /** If the server has not heard of our epoch, dials again: our claim will tell it. Once for each of its answers. */
  claim(): void {
    if (!this.online || this.told >= this.epoch) return;
    this.told = this.epoch;
    this.out.push({ type: "redial" });
  }

  /** A pause: we cannot tell for how long. */
  doubt(): void {
    this.unsure = true;
    this.pauses++;
    this.#doubtedAt = this.beats;
  }

  /** Another has our log, as the host's, and has heard this beat of ours. */
  followed(beat: number): void {
    if (this.unsure && beat <= this.#doubtedAt) return this.touch();
    if (this.unsure) this.stale = false;
    this.unsure = false;
    this.confirm();
  }

  /** Our history is from another, and was last known to be the group's then: until we lead it, it grows old with that. */
  inherit(since: number): void {
    this.#expires = since + this.resumeMs;
  }

  /** In step: the group goes on with the history we have. */
  share(): void {
    this.touch();
    if (this.now - this.shared > RETURN_MS && this.lost === undefined) this.lost = this.shared;
    this.shared = this.now;
    this.#expires = Infinity;
  }

  // --- the log ---

  /** Append entries that follow `first - 1`, stamped in epoch `prev`; what the page has not seen gives way to them. */
  absorb(root: number, prev: number, first: number, entries: readonly Entry[]): Fit {
    const { log } = this;
    const end = first + entries.length - 1;
    if (end > this.highest) this.highest = end;
    if (log.root !== root || root === 0) return "foreign";
    if (first - 1 > log.last) return "gap";
    if (log.epochAt(first - 1) !== prev) {
      if (first - 1 <= this.delivered) return "fork";
      log.truncate(first - 2);
      return "gap";
    }
    for (const entry of entries) {
      if (entry.s <= log.last) {
        if (log.epochAt(entry.s) === entry.e) continue;
        if (entry.s <= this.delivered) return "fork";
        log.truncate(entry.s - 1);
      }
      log.append(entry, this.now);
    }
    return "ok";
  }

  /** Hand the page everything up to `limit`. */
  deliver(limit: number): void {
    const { log } = this;
    const end = Math.min(limit, log.last);
    while (this.delivered < end && !this.#asking) {
      this.delivered++;
      this.#apply(log.at(this.delivered) as Entry);
    }
  }

  #apply(entry: Entry): void {
    const known = this.applied.members.get(entry.f);
    this.applied.apply(entry, this.now);
    if (entry.k === "d") {
      if (entry.n > this.handed.count(entry.f)) {
        this.handed.apply(entry, this.now);
        this.out.push({
          type: "deliver",
          from: entry.f,
          n: entry.n,
          seq: entry.s,
          epoch: entry.e,
          data: entry.d,
        });
      }
      if (entry.f === this.id)
        this.settle(
          this.outbox.settleOne({ n: entry.n, d: entry.d, z: entry.z }, this.now, {
            r: this.log.root,
            e: entry.e,
            s: entry.s,
          }),
        );
    } else {
      this.#tellMember(entry.f, known, this.applied.members.get(entry.f));
    }
  }

  /** What the page has not been handed cannot be trimmed: it must not grow without bound. */
  full(): boolean {
    const { log, delivered, settings } = this;
    return (
      log.bytesAt(log.last) - log.bytesAt(delivered) > settings.logBytes / 2 ||
      log.last - delivered > settings.logCount / 2
    );
  }

  /** The page is making a snapshot, and takes so long that we can take no more. */
  blocked(): boolean {
    return this.#asking !== undefined && this.full();
  }

  /** Begin a history of one's own. */
  found(epoch: number): void {
    // Nobody comes so far: what was heard of is a lie.
    const seq = this.highest < HIGHEST ? this.highest : 0;
    this.log.reset(epoch, seq, [[epoch, seq]], new Ledger());
    this.provisional.found(this.now);
    this.applied = new Ledger();
    this.delivered = seq;
    this.stale = false;
    // What it was handed before and gave up is sent again, and is in its state.
    this.whole = this.handed.isEmpty;
  }

  /** Well beyond its limits, so that it cannot wait for the next round. */
  crammed(): boolean {
    const { log, settings } = this;
    return (
      log.bytesAt(log.last) - log.bytesAt(log.base) > settings.logBytes * 1.25 ||
      log.last - log.base > settings.logCount * 1.25
    );
  }

  trim(): void {
    const { log, settings, now } = this;
    // Out of touch, and while our history may have to give way, nothing is too old: only the limits count.
    const since = this.mark.provisional ? 0 : now;
    // Longer than resumeMs, for one who returned in time is then still to be filled.
    const before = Math.min(since, this.assured) - 1.5 * this.resumeMs;
    log.trim(before, this.hold, settings.logBytes, settings.logCount, this.delivered, now);
    // Who learns late that its history was given up needs its own messages, and what its page was handed.
    const confirmed = Math.min(since, this.confirmed);
    this.outbox.trim(confirmed - 1.5 * this.resumeMs, settings.outboxBytes, settings.logCount);
    for (const id of this.applied.prune(confirmed - 2 * this.resumeMs, settings.goneCount))
      this.handed.forget(id);
    log.floor.prune(before - 0.5 * this.resumeMs, settings.goneCount);
  }

  // --- snapshots ---

  /** Ask the page for its state as of now; `taker` may be called with null. */
  ask(taker: Taken): void {
    if (!this.gives || this.log.root === 0) return taker(null);
    if (this.#asking) {
      this.#asking.takers.push(taker);
      return;
    }
    const { log, delivered } = this;
    const snap: Snapshot = {
      r: log.root,
      e: log.epochAt(delivered),
      s: delivered,
      line: log.line.filter((segment) => segment[1] <= delivered),
      ...this.applied.write(),
      ...this.mark,
      has: false,
      z: 0,
    };
    const token = this.token();
    this.#asking = { token, snap, takers: [taker] };
    this.timers.set("asking", this.now + this.settings.snapshotMs);
    this.out.push({ type: "askSnapshot", token });
  }

  /** The page is not asked any more. */
  #asked(snap: Snapshot | null): void {
    const takers = this.#asking?.takers ?? [];
    this.#asking = undefined;
    this.timers.clear("asking");
    for (const taker of takers) taker(snap);
  }

  /** The page has answered. */
  answer(token: number, given: boolean, state: unknown, size: number): void {
    const asking = this.#asking;
    if (!asking || asking.token !== token) return;
    this.#refused = given ? 0 : this.#refused + 1;
    this.#asked(given ? { ...asking.snap, has: true, state, z: size } : null);
    this.resume();
  }

  /** The page did not answer. */
  unasked(): void {
    if (this.#asking) this.answer(this.#asking.token, false, undefined, 0);
  }

  /** Where one starts who gets no state: where its own history ends to be ours, or as far back as the log is kept. */
  bare(at: Standing): Snapshot {
    const { log } = this;
    const seq = Math.max(common(at, log), log.base);
    const ledger = log.ledgerAt(seq, this.now);
    return {
      r: log.root,
      e: log.epochAt(seq),
      s: seq,
      line: log.line.filter((segment) => segment[1] <= seq),
      ...ledger.write(),
      ...this.mark,
      has: false,
      z: 0,
    };
  }

  /** Give up what we have and go on from `snap`. */
  install(snap: Snapshot): void {
    const { log, outbox } = this;
    const had = log.root !== 0;
    // The page would answer for what is given up. What waits to be delivered after that is in the new state, or given up.
    this.#asked(null);
    // Without a state the page is handed first what we have of that history.
    if (!snap.has) this.deliver(common(this.standing(), snap));
    const stood: Place = { r: log.root, e: log.epochAt(this.delivered), s: this.delivered };
    const continues = !had || lies(stood, snap);
    const ledger = Ledger.read(snap, this.now);
    const forked = lies(snap, log);
    const founding = isEmpty(snap);
    const reason = !had ? "join" : continues ? "behind" : "replaced";
    const about: About = { reason, ...giveUp(this, snap, ledger) };
    // The others are in the new history.
    outbox.orphans(() => true);
    if (snap.r !== log.root && !isEmpty({ r: log.root, s: log.last, line: log.line }))
      this.abandoned.add(log.root);
    if (snap.r !== log.root || snap.provisional !== undefined)
      this.provisional.take(snap.provisional, this.now);
    if (snap.has) this.handed = Ledger.read(snap, this.now);
    const old = this.applied.members;
    // Entries before a fork are as good as ever: others may lack them.
    if (snap.s >= log.base && forked) log.truncate(snap.s);
    else log.reset(snap.r, snap.s, snap.line, ledger.clone());
    this.applied = ledger;
    this.delivered = snap.s;
    this.highest = Math.max(this.highest, snap.s);
    if (snap.has) this.out.push({ type: "restore", state: snap.state, about });
    this.#tellMembers(old, ledger.members);
    this.whole = snap.has || (!had && founding);
    const complete = snap.has ? continues : !had && founding;
    const via = snap.has ? "snapshot" : complete || forked ? "log" : "none";
    this.recovered(complete, via, had ? this.now - (this.lost ?? this.shared) : 0, about);
    this.settle(
      outbox.settle(ledger.count(this.id), this.now, { r: snap.r, e: snap.e, s: snap.s }),
    );
  }

  /** Tells the page that it is up to date again. */
  recovered(complete: boolean, via: Via, awayMs: number, { reason, lost, lostMore }: About): void {
    this.notice({
      kind: "recovered",
      complete: complete && lost.length === 0 && !lostMore,
      via,
      awayMs,
      reason,
      lost,
      lostMore,
    });
    this.lost = undefined;
  }

  /** Caught up with its history, entry by entry: tells the page, if it was out of step. */
  caughtUp(): void {
    if (this.lost === undefined) return;
    this.recovered(true, "log", this.now - this.lost, { reason: "behind", ...this.orphans() });
  }

  /** Leads the group with its history, after it was out of step: tells the page, if something of its own is missing. */
  leads(): void {
    if (this.lost === undefined) return;
    const orphans = this.orphans();
    if (orphans.lost.length > 0 || orphans.lostMore)
      this.recovered(false, "log", this.now - this.lost, { reason: "behind", ...orphans });
    this.lost = undefined;
  }

  /** Returns, once, what was to be sent again and was not before this member was away for too long, if our history lacks it. */
  orphans(): GivenUp {
    const { id, log, now, outbox } = this;
    if (!outbox.hasOrphans) return { lost: [], lostMore: false };
    // What is yet to be handed to the page counts as well.
    const ledger = log.ledgerAt(log.last, now);
    const lost = outbox
      .orphans(({ n, place }) => lies(place, log) || ledger.holds(id, n) === "yes")
      .map((item) => lostOwn(id, item));
    return { lost, lostMore: outbox.missed() };
  }

  #tellMembers(old: Ledger["members"], fresh: Ledger["members"]): void {
    for (const [id, info] of old) if (!fresh.has(id)) this.#tellMember(id, info, undefined);
    for (const [id, info] of fresh) this.#tellMember(id, old.get(id), info);
  }

  /** What our page is told of another, by what it was told before. */
  #tellMember(id: PeerId, old: MemberInfo | undefined, info: MemberInfo | undefined): void {
    if (id === this.id) return;
    // Back before we looked again, it is news which way.
    if (old && !info) this.#paths.delete(id);
    if (info && !old) this.notice({ kind: "member", change: "join", id, profile: info.profile });
    else if (old && !info) this.notice({ kind: "member", change: "leave", id });
    else if (old && info && !sameProfile(old, info))
      this.notice({ kind: "profile", id, profile: info.profile });
  }

  /**
   * Bring one who stands at `at` onto our history: entries where they fit, else a snapshot of our page, else what is
   * kept. Done by a member for its host; it goes the way it was asked for.
   */
  give(to: PeerId, epoch: number, at: Standing, via: Path): void {
    const { log, settings } = this;
    const from = common(at, log);
    if (from >= at.done && from >= log.base) {
      const x = log.run(from + 1, settings.batchBytes);
      this.transmit(
        to,
        { t: "fill", e: epoch, r: log.root, p: log.epochAt(from), s: from + 1, x },
        via,
      );
      return;
    }
    const heal: Place = { r: at.r, e: at.e, s: at.s };
    this.ask((snap) => {
      // A page that failed once is asked again when the host asks again.
      if (this.epoch !== epoch || (!snap && this.gives)) return;
      this.transmit(to, { t: "restore", e: epoch, heal, snap: snap ?? this.bare(at) }, via);
    });
  }
}
