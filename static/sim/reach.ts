// A model of how the server weighs who reaches whom (src/core/page): suspicions, the fair time of a dial, the deputy.

import type { Session } from "./session.ts";
import type { World } from "./world.ts";

const WINDOW = 16;
const FIRST_DIAL_MS = 2500;
const LEAST_MS = 3000;
const MOST_MS = 30_000;
/** Without an `unreachable` election for so long, all is as at first. */
const CALM_MS = 60_000;
const DEPUTY_MS = 10_000;
const SETTLED_MS = 2000;

/** The page, as far as this model needs it. */
export interface ReachHooks {
  readonly sessions: () => readonly Session[];
  readonly host: () => Session | undefined;
  /** A random one among the fit, without the host. */
  readonly pick: (but: ReadonlySet<string>) => Session | undefined;
  /** The deputy is to host: `unreachable`; without deputies, whoever is picked. */
  readonly unreachable: (heir: Session | undefined) => void;
  readonly dead: () => boolean;
}

export class Reach {
  readonly #world: World;
  readonly #hooks: ReachHooks;
  readonly #dials: number[] = Array.from({ length: WINDOW }, () => FIRST_DIAL_MS);
  #doublings = 0;
  #unreachableAt = -Infinity;
  /** Members that suspect the host, each with the time its suspicion began. */
  readonly #suspecting = new Map<Session, number>();
  #deputy: Session | undefined;
  #movedAt = 0;

  constructor(world: World, hooks: ReachHooks) {
    this.#world = world;
    this.#hooks = hooks;
  }

  get deputy(): string | undefined {
    return this.#deputy?.id;
  }

  /** How long a dial may fairly take. Where the simulation's links are quicker than people's, its times are a quarter. */
  get fairMs(): number {
    const sorted = [...this.#dials].sort((a, b) => a - b);
    const p90 = sorted[Math.ceil(WINDOW * 0.9) - 1] as number;
    const fair = Math.min(
      MOST_MS,
      Math.max(LEAST_MS, 3 * p90) * 2 ** (this.#calm ? 0 : this.#doublings),
    );
    return this.#world.profile.slowDials ? fair : fair / 4;
  }

  get #calm(): boolean {
    return this.#world.now - this.#unreachableAt >= CALM_MS;
  }

  /** Returns whether a host was replaced as `unreachable` since the last calm minute. */
  outOfReach(session: Session): boolean {
    return session.outOfReach && !this.#calm;
  }

  // --- what happens ---

  /** A new term. */
  begin(): void {
    this.#suspecting.clear();
    if (this.#deputy === this.#hooks.host()) this.#deputy = undefined;
    this.move();
  }

  /** Somebody came or went, or may be fit no more. */
  move(): void {
    this.#movedAt = this.#world.now;
    const here = new Set(this.#hooks.sessions());
    for (const session of [...this.#suspecting.keys()])
      if (!here.has(session)) this.#suspecting.delete(session);
    if (this.#deputy && !here.has(this.#deputy)) this.#deputy = undefined;
    if (!this.#deputy) this.#name(new Set());
    this.#weigh();
  }

  channels(session: Session, before: ReadonlyMap<string, number>): void {
    for (const [id, ms] of session.channels) {
      if (before.has(id)) continue;
      this.#dials.shift();
      this.#dials.push(ms);
    }
    this.#weigh();
  }

  suspect(session: Session): void {
    if (!this.#suspecting.has(session)) this.#suspecting.set(session, this.#world.now);
    const wait = this.#countsAt(session) - this.#world.now;
    if (wait > 0) this.#world.clock.after(Math.ceil(wait), () => this.#weigh());
    this.#weigh();
  }

  trust(session: Session): void {
    this.#suspecting.delete(session);
  }

  // --- what follows ---

  /** A suspicion counts once it has lasted for the fair time of a dial. */
  #countsAt(session: Session): number {
    return (this.#suspecting.get(session) ?? Infinity) + this.fairMs;
  }

  #weigh(): void {
    const host = this.#hooks.host();
    if (!host || this.#hooks.dead()) return;
    const suspecting = new Set(
      [...this.#suspecting.keys()].filter((session) => this.#countsAt(session) <= this.#world.now),
    );
    const sessions = this.#hooks.sessions();
    if (suspecting.size < 2 || suspecting.size * 2 <= sessions.length) return;
    const deputies = this.#world.profile.deputies;
    if (deputies && !this.#deputy) return;
    if (this.#deputy) {
      const reaching = (id: string, but: ReadonlySet<Session>): number =>
        sessions.filter((session) => session.channels.has(id) && !but.has(session)).length;
      if (reaching(this.#deputy.id, new Set()) <= reaching(host.id, suspecting)) return;
    }
    host.outOfReach = true;
    if (this.#calm) {
      this.#doublings = 0;
      for (const session of sessions) session.outOfReach = session === host;
    }
    this.#doublings++;
    this.#unreachableAt = this.#world.now;
    this.#hooks.unreachable(this.#deputy);
  }

  /** Returns the members that dial the deputy: nothing may be relayed to them. */
  #dialling(): readonly Session[] {
    return this.#hooks
      .sessions()
      .filter((session) => session.group && !(this.#world.profile.relay && session.mayRelay));
  }

  #name(but: ReadonlySet<string>): void {
    const { profile, clock } = this.#world;
    const dialling = this.#dialling();
    if (!profile.deputies || !this.#hooks.host()?.group || dialling.length === 0) return;
    const heir = this.#hooks.pick(but);
    if (!heir?.group || heir === this.#deputy) return;
    this.#deputy = heir;
    this.#world.count("server: deputy named");
    for (const session of dialling) session.down({ kind: "deputy", deputy: heir.id });
    clock.after(Math.max(this.#scale(DEPUTY_MS), this.fairMs), () => this.#review(heir));
  }

  /** A deputy that fewer than half reach gives way. */
  #review(deputy: Session): void {
    if (this.#hooks.dead() || this.#deputy !== deputy) return;
    const { now, clock } = this.#world;
    const settledAt = this.#movedAt + this.#scale(SETTLED_MS);
    if (now < settledAt) return void clock.at(settledAt, () => this.#review(deputy));
    const dialling = this.#dialling().filter(
      (session) => session !== deputy && session !== this.#hooks.host(),
    );
    const reaching = dialling.filter((session) => session.channels.has(deputy.id)).length;
    if (reaching * 2 < dialling.length) this.#name(new Set([deputy.id]));
    if (this.#deputy === deputy && !this.#world.quiet)
      clock.after(this.#scale(DEPUTY_MS), () => this.#review(deputy));
  }

  #scale(ms: number): number {
    return this.#world.profile.slowDials ? ms : ms / 4;
  }
}
