// A model of the server's page (src/core/page), as far as a group notices: who is there, who hosts, in which epoch, and
// who is told.

import type { HostPayload, OpenPayload, RosterEntry } from "../src/group/index.ts";
import { Reach } from "./reach.ts";
import type { Claim, Session } from "./session.ts";
import { Failure, type World } from "./world.ts";

const RECOVERY_MS = 2500;
const RETURN_MS = 3000;
const PROBE_MS = 2000;
/** No epoch is honestly so far above the server's clock. */
const AHEAD_MS = 600_000;

export type Departure = "goodbye" | "lost" | "silent" | "expelled";

interface Member {
  session: Session;
  /** The first and the last epoch it was told of. */
  told: { readonly first: number; readonly last: number } | undefined;
  claim: Claim | undefined;
  /** It was given the roster by this page. */
  rostered: boolean;
}

type Term =
  | { readonly kind: "vacant"; readonly told: number }
  | {
      readonly kind: "hosted";
      readonly host: string;
      readonly epoch: number;
      readonly cause: string;
      announced: boolean;
    }
  | { readonly kind: "recovering"; expected: Claim; readonly told: number };

/** What a page whose actor died leaves to its successor. */
export interface Estate {
  readonly told: number;
  readonly claim: Claim | undefined;
  readonly returning: readonly string[];
}

/** What was true when: what the checks go by. Outlives pages. */
export interface Annals {
  /** When an epoch's host was replaced. */
  readonly ended: Map<number, number>;
  readonly hosts: Map<number, string>;
}

export class Page {
  readonly #world: World;
  readonly #annals: Annals;
  readonly #members = new Map<string, Member>();
  /** Not said to be gone yet; whether only its socket is known to be. */
  readonly #returning = new Map<string, boolean>();
  readonly #madeAt: number;
  #term: Term;
  #history = false;
  #strangers: Session[] = [];
  #probing: object | undefined;
  readonly #reach: Reach;
  #dead = false;

  constructor(
    world: World,
    annals: Annals,
    estate: Estate = { told: 0, claim: undefined, returning: [] },
  ) {
    this.#world = world;
    this.#annals = annals;
    this.#madeAt = world.now;
    this.#term = { kind: "vacant", told: estate.told };
    this.#reach = new Reach(world, {
      sessions: () => [...this.#members.values()].map(({ session }) => session),
      host: () => this.#hostSession,
      pick: (but) => this.#fittest(this.host === undefined ? but : new Set([...but, this.host])),
      unreachable: (heir) => this.#replace("unreachable", heir?.id),
      dead: () => this.#dead,
    });
    if (estate.claim) this.#awaits(estate.claim, estate.told);
    for (const id of estate.returning) this.#mayReturn(id);
  }

  get host(): string | undefined {
    return this.#term.kind === "hosted" ? this.#term.host : undefined;
  }

  get epoch(): number {
    return this.#term.kind === "hosted" ? this.#term.epoch : 0;
  }

  /** Nobody is here, nobody is awaited. */
  get idle(): boolean {
    return this.#members.size === 0 && this.#returning.size === 0 && this.#term.kind === "vacant";
  }

  /** Its actor dies. */
  die(): Estate {
    this.#dead = true;
    const assignment = this.#assignment;
    return {
      told: this.#told,
      claim: assignment,
      returning: [...this.#returning.keys(), ...this.#members.keys()],
    };
  }

  // --- coming and going ---

  join(session: Session, claim: Claim | undefined, resumes: boolean): void {
    const live = this.#members.get(session.id);
    if (!live) return this.#admit(session, claim, resumes);
    if (resumes) return session.replaced();
    const old = live.session;
    if (!claim || !this.#wasTold(live, claim)) {
      old.replaced();
      this.gone(old, "expelled");
      return this.#admit(session, undefined, false);
    }
    // It keeps its seat, but a status is a session's word.
    this.#world.count("server: a newer socket keeps the seat");
    live.session = session;
    session.page = this;
    old.replaced();
    this.#reach.move();
    this.#open(live);
    if (old.profile !== undefined) this.#tellHostOf(session);
  }

  #admit(session: Session, claimed: Claim | undefined, resumes: boolean): void {
    const { id } = session;
    const claim =
      claimed && claimed.epoch <= this.#world.serverClock + AHEAD_MS ? claimed : undefined;
    const known = this.#returning.delete(id);
    const member: Member = {
      session,
      told: resumes && claim ? { first: claim.epoch, last: claim.epoch } : undefined,
      claim,
      rostered: false,
    };
    this.#members.set(id, member);
    session.page = this;
    const before = this.host;
    this.#consider(member);
    // A host that has its roster from this page, and not from the one before, has not got those who were not back then.
    const missed = before !== undefined && this.#members.get(before)?.rostered;
    this.#reach.move();
    if (!resumes) this.#open(member);
    else if (this.#term.kind === "hosted" && member.told?.last !== this.#term.epoch)
      this.#term.announced = false;
    this.#announce();
    if (resumes && known && !missed) return;
    if (this.#term.kind === "recovering") this.#strangers.push(session);
    else if (this.host === before) this.#tellHostOf(session);
  }

  gone(session: Session, departure: Departure): void {
    const { id } = session;
    const member = this.#members.get(id);
    if (member?.session !== session) return;
    this.#members.delete(id);
    if (this.host === id) {
      this.#end();
      this.#term = { kind: "vacant", told: this.#told };
      const heir = this.#heir() ?? this.#pick();
      if (heir) this.#elect(heir, this.#told, departure === "silent" ? "timeout" : "left");
    }
    this.#reach.move();
    this.#announce();
    const lost = departure === "lost" || departure === "silent";
    if (departure === "lost" || this.#term.kind === "recovering") this.#mayReturn(id, lost);
    else this.#sayGone(id, lost);
  }

  #mayReturn(id: string, lost = true): void {
    this.#returning.set(id, lost);
    const wait = (): void => {
      if (this.#dead || !this.#returning.has(id)) return;
      if (this.#term.kind === "recovering") return this.#world.clock.after(RETURN_MS, wait);
      this.#returning.delete(id);
      this.#sayGone(id, lost);
    };
    this.#world.clock.after(RETURN_MS, wait);
  }

  #sayGone(id: string, lost: boolean): void {
    this.#hostSession?.down({ kind: "leave", id, lost });
  }

  // --- who hosts ---

  #consider(newcomer: Member): void {
    const { claim, session } = newcomer;
    const term = this.#term;
    if (term.kind === "vacant") {
      if (claim) this.#awaits(claim, term.told);
      else this.#install(session.id, this.#above(term.told), "left");
    } else if (term.kind === "recovering") {
      if (claim && claim.epoch > term.expected.epoch) term.expected = claim;
    } else if (claim) this.#weigh(session.id, claim, term.host, term.epoch);
    if (this.#term.kind === "recovering" && this.#members.has(this.#term.expected.host))
      this.#recover();
    if (
      this.#term.kind === "hosted" &&
      session.group &&
      !this.#members.get(this.#term.host)?.session.group
    )
      this.#elect(session.id, this.#term.epoch, "upgraded");
  }

  #awaits(expected: Claim, told: number): void {
    this.#term = { kind: "recovering", expected, told };
    this.#world.clock.after(RECOVERY_MS, () => {
      if (this.#dead || this.#term.kind !== "recovering") return;
      this.#recover();
      this.#announce();
    });
  }

  #weigh(newcomer: string, claim: Claim, host: string, epoch: number): void {
    if (claim.host === host && claim.epoch === epoch) return;
    if (!this.#history && this.#world.now < this.#madeAt + RECOVERY_MS) {
      this.#history = true;
      this.#world.count("server: newcomer gives way to a claimant");
      this.#elect(
        [claim.host, newcomer].find((id) => this.#mayHost(id)) ?? host,
        Math.max(epoch, claim.epoch),
        "restarted",
      );
    } else if (claim.epoch >= epoch) this.#elect(host, claim.epoch, "restarted");
  }

  #recover(): void {
    if (this.#term.kind !== "recovering") return;
    const { expected, told } = this.#term;
    const claims = [...this.#members.values()].flatMap(({ session, claim }) =>
      claim ? [{ who: session.id, ...claim }] : [],
    );
    const unanimous = claims.every(
      ({ host, epoch }) => host === expected.host && epoch === expected.epoch,
    );
    this.#history = true;
    const strangers = this.#strangers.splice(0);
    if (unanimous && this.#mayHost(expected.host) && expected.epoch >= told) {
      this.#world.count("server: host stands after restart");
      this.#install(expected.host, expected.epoch, "restarted");
      if (this.#members.get(expected.host)?.told?.last === expected.epoch)
        for (const stranger of strangers) this.#tellHostOf(stranger);
    } else {
      if (!this.#annals.ended.has(expected.epoch))
        this.#annals.ended.set(expected.epoch, this.#world.now);
      const heir = this.#mostClaimed(claims) ?? this.#pick();
      if (heir === undefined) this.#term = { kind: "vacant", told: Math.max(expected.epoch, told) };
      else {
        this.#world.count("server: election after restart");
        this.#elect(heir, Math.max(expected.epoch, told), "restarted");
      }
    }
    for (const member of this.#members.values()) member.claim = undefined;
  }

  /** Others decide; one's own word for oneself counts only when nobody says otherwise. */
  #mostClaimed(claims: readonly (Claim & { readonly who: string })[]): string | undefined {
    const first = claims[0];
    if (!first) return undefined;
    if (claims.every(({ host }) => host === first.host))
      return this.#mayHost(first.host) ? first.host : undefined;
    const votes = (host: string): number =>
      claims.filter((claim) => claim.host === host && claim.who !== host).length;
    const able = claims.filter(({ host }) => this.#mayHost(host) && votes(host) > 0);
    return able.sort((a, b) => votes(b.host) - votes(a.host) || b.epoch - a.epoch)[0]?.host;
  }

  /** While a group member is here only group members may host. */
  #mayHost(id: string): boolean {
    const member = this.#members.get(id);
    return (
      member !== undefined &&
      (member.session.group || [...this.#members.values()].every(({ session }) => !session.group))
    );
  }

  #pick(but?: string): string | undefined {
    return this.#fittest(but === undefined ? new Set() : new Set([but]))?.id;
  }

  #fittest(but: ReadonlySet<string>): Session | undefined {
    let fit = [...this.#members.values()]
      .map(({ session }) => session)
      .filter(({ id }) => !but.has(id) && this.#mayHost(id));
    if (fit.some((session) => !this.#reach.outOfReach(session)))
      fit = fit.filter((session) => !this.#reach.outOfReach(session));
    if (fit.some(({ mayRelay }) => mayRelay)) fit = fit.filter(({ mayRelay }) => mayRelay);
    if (fit.some(({ stalled }) => !stalled)) fit = fit.filter(({ stalled }) => !stalled);
    return fit.length > 0 ? this.#world.random.pick(fit) : undefined;
  }

  /** The deputy, where it is here and runs. */
  #heir(): string | undefined {
    const { deputy } = this.#reach;
    const session =
      deputy === undefined || deputy === this.host ? undefined : this.#members.get(deputy)?.session;
    return session && !session.stalled && this.#mayHost(session.id) ? session.id : undefined;
  }

  #elect(host: string, above: number, cause: string): void {
    this.#end();
    this.#install(host, this.#above(above), cause);
    this.#world.count(`server: host changed, ${cause}`);
    this.#world.say("srv", () => `host ${host} epoch ${this.epoch} (${cause})`);
  }

  #install(host: string, epoch: number, cause: string): void {
    this.#term = { kind: "hosted", host, epoch, cause, announced: false };
    this.#probing = undefined;
    const { hosts, ended } = this.#annals;
    const other = hosts.get(epoch);
    if (other !== undefined && other !== host)
      throw new Failure("model", `two hosts in epoch ${epoch}`);
    hosts.set(epoch, host);
    ended.delete(epoch);
    this.#reach.begin();
  }

  #end(): void {
    if (this.#term.kind === "hosted") this.#annals.ended.set(this.#term.epoch, this.#world.now);
  }

  /** While the clock is behind, the next epochs may have been told before. The server's gap is shorter; here no two may ever meet by chance. */
  #above(epoch: number): number {
    const { serverClock, random } = this.#world;
    return Math.max(serverClock, epoch + (epoch > serverClock + 1000 ? random.int(1, 20_000) : 1));
  }

  get #told(): number {
    const term = this.#term;
    return term.kind === "hosted"
      ? term.epoch
      : term.kind === "vacant"
        ? term.told
        : Math.max(term.expected.epoch, term.told);
  }

  get #assignment(): Claim | undefined {
    const term = this.#term;
    return term.kind === "hosted"
      ? { host: term.host, epoch: term.epoch }
      : term.kind === "recovering"
        ? term.expected
        : undefined;
  }

  #wasTold({ told }: Member, claim: Claim): boolean {
    const now = this.#assignment;
    if (!now || !told) return false;
    return (
      claim.epoch >= told.first &&
      claim.epoch <= now.epoch &&
      (claim.epoch < now.epoch || claim.host === now.host)
    );
  }

  /** The host goes, though it is still here. */
  #replace(cause: string, to?: string): void {
    const { host } = this;
    const heir =
      to !== undefined && to !== host && this.#mayHost(to)
        ? to
        : (this.#heir() ?? this.#pick(host));
    if (heir === undefined) return;
    this.#elect(heir, this.#told, cause);
    this.#announce();
  }

  relieve(): void {
    if (this.#term.kind === "hosted") this.#replace("resigned");
  }

  // --- what members say ---

  resign(session: Session, epoch: number, to: string | undefined): void {
    if (this.host === session.id && this.epoch === epoch) this.#replace("resigned", to);
  }

  suspect(session: Session, host: string, epoch: number): void {
    const suspected = this.#hostSession;
    if (!suspected?.group || host !== this.host || epoch !== this.epoch || session.id === host)
      return;
    if (!this.#world.profile.relay || !session.mayRelay || !suspected.mayRelay) {
      this.#reach.suspect(session);
      if (this.#hostSession !== suspected) return;
    }
    if (this.#probing) return;
    const probe = (this.#probing = {});
    const { spoken } = suspected;
    suspected.down({ kind: "probe" });
    this.#world.clock.after(PROBE_MS, () => {
      if (this.#dead || this.#probing !== probe) return;
      this.#probing = undefined;
      if (this.#hostSession !== suspected || suspected.spoken !== spoken) return;
      suspected.stalled = true;
      this.#replace("stalled");
    });
  }

  trust(session: Session, host: string, epoch: number): void {
    if (host === this.host && epoch === this.epoch) this.#reach.trust(session);
  }

  /** A member says which channels it has. */
  linked(session: Session, before: ReadonlyMap<string, number>): void {
    this.#reach.channels(session, before);
  }

  /** To whom a group member's RELAY goes. */
  receivers(from: Session, to: string | undefined): readonly Session[] {
    const named = to ?? (this.host === from.id ? undefined : this.host);
    if (named === undefined && to === undefined && this.host !== from.id) return [];
    const among =
      named === undefined
        ? [...this.#members.values()]
            .map(({ session }) => session)
            .filter((session) => session !== from && session.relay)
        : [this.#members.get(named)?.session];
    return among.filter((session): session is Session => session?.group === true);
  }

  /** It says another profile than before. */
  renamed(session: Session): void {
    if (this.#term.kind === "recovering") this.#strangers.push(session);
    else this.#tellHostOf(session);
  }

  // --- words ---

  get #hostSession(): Session | undefined {
    return this.host === undefined ? undefined : this.#members.get(this.host)?.session;
  }

  #tellHostOf(session: Session): void {
    if (this.#hostSession !== session)
      this.#hostSession?.down({ kind: "join", member: entry(session) });
  }

  #open(member: Member): void {
    const now = this.#assignment as Claim;
    const { relay, resumeMs } = this.#world.profile;
    const open: OpenPayload = {
      ...now,
      members: this.#members.size,
      relay: relay && member.session.mayRelay,
      resumeMs,
      fairMs: this.#reach.fairMs,
      upMs: this.#world.now - this.#world.server.beganAt,
      ...(this.host === member.session.id ? { roster: this.#roster() } : {}),
      ...(this.#term.kind === "recovering" ? { recovering: true } : {}),
    };
    this.#tell(member, now.epoch);
    member.session.assignment = now;
    member.session.down({ kind: "open", open });
    this.#tellDeputy(member.session);
  }

  #announce(): void {
    const term = this.#term;
    if (term.kind !== "hosted" || term.announced) return;
    term.announced = true;
    const { host, epoch, cause } = term;
    const members = [...this.#members.values()];
    // The host first: the others will turn to it.
    for (const member of [
      ...members.filter(({ session }) => session.id === host),
      ...members.filter(({ session }) => session.id !== host),
    ]) {
      if (member.told?.last === epoch) continue;
      const payload: HostPayload = {
        host,
        epoch,
        cause,
        fairMs: this.#reach.fairMs,
        ...(member.session.id === host ? { roster: this.#roster() } : {}),
      };
      this.#tell(member, epoch);
      member.session.assignment = { host, epoch };
      member.session.down({ kind: "host", host: payload });
      this.#tellDeputy(member.session);
    }
  }

  /** The real server says it in OPEN and HOST. */
  #tellDeputy(session: Session): void {
    if (session.group && !(this.#world.profile.relay && session.mayRelay))
      session.down({ kind: "deputy", deputy: this.#reach.deputy });
  }

  #tell(member: Member, epoch: number): void {
    if (this.host === member.session.id) member.rostered = true;
    member.told = { first: member.told?.first ?? epoch, last: epoch };
  }

  #roster(): RosterEntry[] {
    return [...this.#members.values()].map(({ session }) => entry(session));
  }
}

function entry({ id, group, mayRelay, profile }: Session): RosterEntry {
  return {
    id,
    group,
    ...(mayRelay ? {} : { relay: false }),
    ...(profile === undefined ? {} : { profile }),
  };
}
