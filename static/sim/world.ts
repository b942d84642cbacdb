// The surroundings of one schedule: time, chance, the kind of network, counters and the trace.

import type { Settings } from "../src/group/index.ts";
import { Clock } from "./clock.ts";
import { Prng } from "./prng.ts";

/** The kind of a schedule, drawn from its seed. */
export interface Profile {
  readonly nodes: number;
  readonly activeMs: number;
  /** Pages that give snapshots; `first`: only the page of the member that joins first. */
  readonly givers: "all" | "some" | "first" | "none";
  readonly relay: boolean;
  readonly p2p: boolean;
  readonly loss: number;
  readonly repeat: number;
  readonly reorder: number;
  readonly latencyMs: number;
  readonly faultMs: number;
  readonly sendMs: number;
  readonly resumeMs: number;
  readonly settings: Partial<Settings>;
  readonly small: boolean;
  /** Whether hosts go one after another, and come back. */
  readonly storm: boolean;
  /** Whether stock clients join, too. */
  readonly stock: boolean;
  /** Whether some members may not relay. */
  readonly rights: boolean;
  /** Whether the host's page is hidden now and then. */
  readonly hides: boolean;
  /** Time that a page's state takes on its way from one member to another, in ms. */
  readonly stateMs: number;
  /** Whether data channels take 1 to 8 s to open, and all else is as slow as in the field. */
  readonly slowDials: boolean;
  /** Share of dials that fail. */
  readonly dialLoss: number;
  /** Number of members that dial the host where there is a relay for the others. */
  readonly star: number;
  /** Whether the server names deputies where nothing may be relayed to some member. */
  readonly deputies: boolean;
  /** Longest time for which browsers hold back dials after the server was gone, in ms. */
  readonly holdMs: number;
  /** Whether the server's clock may be set back while it restarts. */
  readonly clocks: boolean;
  /**
   * Whether the page is in two halves now and then, each with its part of the server. `calm`: and nobody is away
   * for long besides, so that at no time all members of one half are.
   */
  readonly halves: "none" | "calm" | "stormy";
}

/** Most steps of a schedule; a sound protocol takes some thousands. */
const STEPS = 200_000;
/** The server's clock at first, in ms since 1970. */
const CLOCK = 1_000_000;
/** Time for which the server has been up at first. */
const UP_MS = 3_600_000;
/** Some times of the protocol, shorter by about as much as `resumeMs` is. */
const SCALED = { freshMs: 12_000, provisionalMs: 24_000, claimMostMs: 6000 } as const;

/** Kinds of halves, as often as they are drawn. */
const HALVES = ["none", "none", "none", "none", "none", "calm", "calm", "stormy"] as const;

const names = new Map<string, string>();

export class Failure extends Error {
  constructor(
    readonly guarantee: string,
    detail: string,
  ) {
    super(`${guarantee}: ${detail}`);
  }
}

/** A schedule ends without a verdict, by bad luck that the protocol does not rule out. */
export class Abandoned extends Error {}

export class World {
  readonly clock = new Clock(STEPS, () => {
    throw new Failure("2 nothing is stuck", `they come to no rest in ${STEPS} steps`);
  });
  readonly random: Prng;
  readonly profile: Profile;
  readonly counts: Map<string, number>;
  readonly trace: string[] | undefined;
  /** Whether the faults have stopped. */
  quiet = false;
  /** When the server's process began, and how far its clock was set back since the first one. */
  server = { beganAt: -UP_MS, backMs: 0 };

  /** Draws the kind of the schedule, except for what `profile` says. */
  constructor(
    readonly seed: number,
    counts: Map<string, number>,
    traced: boolean,
    profile: Partial<Profile> = {},
  ) {
    this.random = new Prng(seed);
    this.counts = counts;
    this.trace = traced ? [] : undefined;
    this.profile = { ...draw(this.random), ...profile };
  }

  get now(): number {
    return this.clock.now;
  }

  /**
   * Factor by which the server's time runs faster. Where links are quicker than people's, the server is quicker as
   * well: what the page times by constants (dials, deputies) takes a quarter of the time.
   */
  get pace(): number {
    return this.profile.slowDials ? 1 : 4;
  }

  /** The server's clock goes on through restarts, unless it is set back. */
  get serverClock(): number {
    return CLOCK + this.now - this.server.backMs;
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  /** Counts one more message of this type. */
  sent(type: string): void {
    let name = names.get(type);
    if (name === undefined) names.set(type, (name = `message ${type}`));
    this.count(name);
  }

  say(who: string, what: () => string): void {
    if (this.trace) this.trace.push(`${String(this.now).padStart(6)}  ${who.padEnd(4)} ${what()}`);
  }

  latency(): number {
    const { latencyMs } = this.profile;
    return this.random.chance(0.03)
      ? this.random.int(latencyMs, latencyMs * 8)
      : this.random.int(1, latencyMs);
  }
}

function draw(random: Prng): Profile {
  const profile = drawOne(random);
  return { ...profile, halves: profile.clocks ? "none" : random.pick(HALVES) };
}

function drawOne(random: Prng): Omit<Profile, "halves"> {
  const rough = random.chance(0.5);
  const small = random.chance(0.15);
  const links = random.unit();
  const slowDials = random.chance(0.05);
  const rights = random.chance(0.15);
  const holdMs = !slowDials && random.chance(0.25) ? random.int(3000, 18_000) : 0;
  return {
    nodes: random.int(2, 8),
    activeMs: slowDials
      ? random.int(20_000, 60_000)
      : holdMs > 0
        ? random.int(12_000, 30_000)
        : random.chance(0.2)
          ? random.int(6000, 14_000)
          : random.int(2500, 7000),
    givers: random.pick(["all", "all", "all", "all", "some", "first", "none", "none"]),
    relay: links < 0.85,
    p2p: links > 0.2,
    loss: rough ? random.pick([0, 0.02, 0.1, 0.25]) : 0,
    repeat: rough ? random.pick([0, 0.05, 0.2]) : 0,
    reorder: rough ? random.pick([0, 0.05, 0.3]) : 0,
    latencyMs: random.pick([5, 20, 60]),
    faultMs: slowDials ? random.pick([2000, 6000]) : random.pick([200, 400, 1000]),
    sendMs: slowDials ? 1000 : random.pick([80, 150, 400]),
    resumeMs: slowDials ? 30_000 : random.pick([4000, 7000]),
    small,
    storm: random.chance(0.25),
    stock: random.chance(0.2),
    rights,
    // A member that may not relay has to dial, and a page whose star is full turns it away.
    star: !rights && random.chance(0.3) ? random.int(0, 3) : 64,
    hides: random.chance(0.15),
    stateMs: random.chance(0.2) ? random.pick([300, 1000, 2500, 6000]) : 0,
    slowDials,
    dialLoss: 0.1,
    deputies: random.chance(0.7),
    holdMs,
    clocks: random.chance(holdMs > 0 ? 0.4 : 0.1),
    settings: small
      ? {
          ...SCALED,
          goneCount: 2,
          outboxBytes: 400,
          outboxCount: 12,
          logBytes: 1500,
          logCount: 24,
          windowBytes: 200,
          batchBytes: 120,
          aheadCount: 12,
          aheadBytes: 600,
          messageBytes: 90,
        }
      : SCALED,
  };
}
