// A model of the server, as DESIGN.md section 4 says: who is on the page, who hosts, in which epoch; and the relay.

import type { HostPayload, OpenPayload, RosterEntry, Wire } from "../src/group/index.ts";
import type { Socket } from "./socket.ts";
import { Failure, type World } from "./world.ts";

export interface Claim {
  readonly epoch: number;
  readonly host: string;
}

export type Up =
  | { readonly kind: "relay"; readonly to?: string; readonly message: Wire }
  | { readonly kind: "status"; readonly relay?: boolean; readonly profile?: string }
  | { readonly kind: "suspect"; readonly host: string; readonly epoch: number }
  | { readonly kind: "resign"; readonly epoch: number; readonly to?: string }
  | { readonly kind: "heartbeat"; readonly token: number }
  | { readonly kind: "probed" };

export type Down =
  | { readonly kind: "open"; readonly open: OpenPayload }
  | { readonly kind: "host"; readonly host: HostPayload }
  | { readonly kind: "join"; readonly member: RosterEntry }
  | { readonly kind: "leave"; readonly id: string }
  | { readonly kind: "relay"; readonly from: string; readonly message: Wire }
  | { readonly kind: "heartbeat"; readonly token: number }
  | { readonly kind: "probe" };

export type ServerSocket = Socket<Up, Down>;

interface Session {
  readonly id: string;
  readonly socket: ServerSocket;
  readonly claim: Claim | undefined;
  relay: boolean;
  profile?: string;
  heard: number;
}

interface Page {
  host: string;
  epoch: number;
  readonly madeAt: number;
  recovering: boolean;
  claims: Claim[];
  /** The host was there by a claim, or took over from one: its history goes before. */
  claimed: boolean;
}

const RECOVERY_MS = 2500;
const PROBE_MS = 2000;
/** The server's clock: it goes on through restarts. */
const CLOCK = 1_000_000;

export class Server {
  readonly #world: World;
  readonly #sessions = new Map<string, Session>();
  #page: Page | undefined;
  up = true;
  #probing = false;
  /** When an epoch's host was replaced: what the checks take for the truth. */
  readonly ended = new Map<number, number>();
  readonly #hosts = new Map<number, string>();

  constructor(world: World) {
    this.#world = world;
  }

  get host(): string | undefined {
    return this.#page?.host;
  }

  get epoch(): number {
    return this.#page?.epoch ?? 0;
  }

  has(id: string): boolean {
    return this.#sessions.has(id);
  }

  get steady(): boolean {
    return this.up && this.#page !== undefined && !this.#page.recovering && this.#sessions.has(this.#page.host);
  }

  // --- sockets ---

  connect(id: string, claim: Claim | undefined, socket: ServerSocket): void {
    if (!this.up) return socket.closeClient();
    const old = this.#sessions.get(id);
    if (old) {
      old.socket.closeServer();
      old.socket.closeClient();
    }
    socket.onUp = (message) => this.#take(id, socket, message);
    socket.onServerClose = () => this.#gone(id, socket);
    this.#join({ id, socket, claim, relay: true, heard: this.#world.now });
  }

  restart(downMs: number): void {
    this.up = false;
    this.#end();
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    this.#page = undefined;
    for (const { socket } of sessions) {
      socket.onServerClose = () => {};
      socket.die(this.#world.random.int(0, 300), 0);
    }
    this.#world.clock.after(downMs, () => {
      this.up = true;
    });
  }

  // --- members ---

  #join(session: Session): void {
    const { now, clock } = this.#world;
    const { id, claim } = session;
    const page = this.#page;
    this.#sessions.set(id, session);
    if (!page) {
      if (claim) {
        this.#page = { host: claim.host, epoch: claim.epoch, madeAt: now, recovering: true, claims: [], claimed: true };
        const made = this.#page;
        clock.after(RECOVERY_MS, () => {
          if (this.#page === made && made.recovering) this.#recover();
        });
      } else {
        this.#page = { host: id, epoch: CLOCK + now, madeAt: now, recovering: false, claims: [], claimed: false };
        this.#name();
      }
    }
    const live = this.#page as Page;
    if (claim) live.claims.push(claim);
    if (live.recovering && id === live.host) {
      if (live.claims.every((other) => other.epoch === live.epoch && other.host === live.host)) {
        live.recovering = false;
        this.#world.count("server: host stands after restart");
        this.#name();
      } else {
        this.#open(session);
        return this.#recover();
      }
    }
    this.#open(session);
    if (live.recovering) return;
    this.#tellHost(session);
    if (!live.claimed && claim && now - live.madeAt < RECOVERY_MS && id !== live.host) {
      live.claimed = true;
      this.#world.count("server: newcomer gives way to a claimant");
      return this.#elect("restarted", id);
    }
    if (claim && claim.epoch > live.epoch) this.#elect("restarted", live.host, claim.epoch);
  }

  #open(session: Session): void {
    const page = this.#page as Page;
    const { relay, resumeMs } = this.#world.profile;
    const open: OpenPayload = {
      host: page.host, epoch: page.epoch, members: this.#sessions.size, relay, resumeMs,
      ...(page.host === session.id ? { roster: this.#roster() } : {}),
      ...(page.recovering ? { recovering: true } : {}),
    };
    session.socket.down({ kind: "open", open });
  }

  #roster(): RosterEntry[] {
    return [...this.#sessions.values()].map(entry);
  }

  #tellHost(session: Session): void {
    const page = this.#page as Page;
    if (!page.recovering && session.id !== page.host) this.#sessions.get(page.host)?.socket.down({ kind: "join", member: entry(session) });
  }

  #gone(id: string, socket: ServerSocket): void {
    const session = this.#sessions.get(id);
    if (session?.socket !== socket) return;
    this.#sessions.delete(id);
    const page = this.#page;
    if (!page) return;
    if (this.#sessions.size === 0) {
      this.#end();
      this.#page = undefined;
      return;
    }
    if (page.recovering) return;
    if (page.host === id) this.#elect("left");
    else this.#sessions.get(page.host)?.socket.down({ kind: "leave", id });
  }

  // --- elections ---

  #recover(): void {
    const page = this.#page as Page;
    page.recovering = false;
    const votes = new Map<string, number>();
    for (const { host } of page.claims) if (this.#sessions.has(host)) votes.set(host, (votes.get(host) ?? 0) + 1);
    let best: string | undefined;
    for (const [host, n] of votes) if (best === undefined || n > (votes.get(best) ?? 0)) best = host;
    const claimants = [...this.#sessions.values()].filter((session) => session.claim).map((session) => session.id);
    const heir = best ?? this.#world.random.pick(claimants.length > 0 ? claimants : [...this.#sessions.keys()]);
    this.#world.count("server: election after restart");
    this.#elect("restarted", heir, Math.max(0, ...page.claims.map((claim) => claim.epoch)));
  }

  #elect(cause: string, heir?: string, above = 0): void {
    const page = this.#page as Page;
    const { now, random } = this.#world;
    this.#end();
    const others = [...this.#sessions.keys()].filter((id) => id !== page.host);
    const host = heir !== undefined && this.#sessions.has(heir) ? heir : random.pick(others);
    page.host = host;
    page.epoch = Math.max(CLOCK + now, above, page.epoch) + 1;
    this.#name();
    this.#world.count(`server: host changed, ${cause}`);
    this.#world.say("srv", () => `host ${host} epoch ${page.epoch} (${cause})`);
    for (const session of this.#sessions.values()) {
      const payload: HostPayload = { host, epoch: page.epoch, cause, ...(session.id === host ? { roster: this.#roster() } : {}) };
      session.socket.down({ kind: "host", host: payload });
    }
  }

  #name(): void {
    const { epoch, host } = this.#page as Page;
    const other = this.#hosts.get(epoch);
    if (other !== undefined && other !== host) throw new Failure("model", `two hosts in epoch ${epoch}`);
    this.#hosts.set(epoch, host);
    this.ended.delete(epoch);
  }

  #end(): void {
    if (this.#page) this.ended.set(this.#page.epoch, this.#world.now);
  }

  // --- messages ---

  #take(id: string, socket: ServerSocket, message: Up): void {
    const session = this.#sessions.get(id);
    if (session?.socket !== socket) return;
    session.heard = this.#world.now;
    const page = this.#page as Page;
    switch (message.kind) {
      case "relay": this.#relay(session, message.to, message.message); break;
      case "status":
        session.relay = message.relay ?? session.relay;
        if (message.profile === undefined || message.profile === session.profile) break;
        session.profile = message.profile;
        this.#tellHost(session);
        break;
      case "heartbeat": socket.down({ kind: "heartbeat", token: message.token }); break;
      case "suspect": if (!page.recovering && message.epoch === page.epoch && message.host === page.host) this.#probe(page); break;
      case "resign":
        if (!page.recovering && page.host === id && page.epoch === message.epoch && this.#sessions.size > 1) this.#elect("resigned", message.to === id ? undefined : message.to);
        break;
      case "probed": break;
    }
  }

  #probe(page: Page): void {
    const session = this.#sessions.get(page.host);
    if (this.#probing || !session || this.#sessions.size < 2) return;
    this.#probing = true;
    const { epoch } = page;
    const asked = this.#world.now;
    session.socket.down({ kind: "probe" });
    this.#world.clock.after(PROBE_MS, () => {
      this.#probing = false;
      const still = this.#page === page && page.epoch === epoch && this.#sessions.get(page.host) === session;
      if (still && session.heard < asked && this.#sessions.size > 1) this.#elect("stalled");
    });
  }

  #relay(from: Session, to: string | undefined, message: Wire): void {
    if (!this.#world.profile.relay) return;
    if (to !== undefined) {
      const session = this.#sessions.get(to);
      if (session) this.#pass(from.id, session, message);
    } else if (this.#page?.host === from.id) {
      for (const session of this.#sessions.values()) if (session !== from && session.relay) this.#pass(from.id, session, message);
    }
  }

  /** The links' contract is weak, so the relay may misbehave as well. */
  #pass(from: string, session: Session, message: Wire): void {
    const { random, profile, quiet } = this.#world;
    const down: Down = { kind: "relay", from, message };
    if (quiet) return session.socket.down(down);
    if (random.chance(profile.loss)) return;
    session.socket.down(down, random.chance(profile.reorder) ? random.int(1, 300) : 0);
    if (random.chance(profile.repeat)) session.socket.down(down, random.int(0, 600));
  }
}

function entry({ id, profile }: Session): RosterEntry {
  return { id, group: true, ...(profile === undefined ? {} : { profile }) };
}
