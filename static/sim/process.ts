// One process of the server. Its core runs in lock-step (addon.ts), with the simulation's time and randomness. Sockets
// open and close, the page's actor may die, and the whole process may.

import type { ServerMessage } from "../src/socket-types.ts";
import {
  startCore,
  type Assignment,
  type Core,
  type Dialled,
  type Moment,
  type Report,
  type Rules,
} from "./addon.ts";
import type { Socket, SocketEnd } from "./socket.ts";
import { Abandoned, Failure, type World } from "./world.ts";

/** Settings of the page, in ms of the simulation's time. */
const RECOVERY_MS = 2500;
const RETURN_MS = 3000;
const PROBE_MS = 2000;
const TIMEOUT_MS = 4000;
const HOST_TIMEOUT_MS = 2000;
const FRESH_MS = 2500;
const PING_MS = 1000;
const HIDDEN_MS = 1000;
/** Longest time between the death of the page's actor and the word of one of its sessions to the successor. */
const RESUME_MS = 40;
/** Share of lost sockets of which the server hears nothing: only the silence tells. */
const UNNOTICED = 0.3;
/** Code with which the client closes its socket, if a close frame arrives. */
const CLOSE_CODES: Readonly<Record<SocketEnd, number | null>> = {
  goodbye: 1000,
  "going-away": 1001,
  again: 4000,
  lost: null,
};

/** What the processes of the server have in common: who hosted, in which epoch. */
export class Terms {
  /** The host of each epoch. */
  readonly hosts = new Map<number, string>();
  /** When the host of each past epoch was replaced. */
  readonly ended = new Map<number, number>();
}

/** What a client on a socket was told, and what it said of itself. */
interface Session {
  readonly dialled: Omit<Dialled, "session">;
  readonly socket: Socket;
  readonly told: { assignment?: Assignment; alone: boolean };
  readonly status: Record<string, unknown>;
}

/** A session without a page: its client has noticed nothing. */
export type Stray = Session;

export class Process {
  readonly #world: World;
  /** Its share of the epochs, where there are several processes. */
  readonly #slot: number | undefined;
  readonly #terms: Terms;
  #core: Core;
  /** The sessions by their numbers. */
  readonly #sockets = new Map<number, Session>();
  /** Sessions that came from another process and await the first word of this one. */
  readonly #resuming = new Set<number>();
  #sessions = 0;
  /** Whether the page is on its own. */
  #isAlone = false;
  #hosted: Assignment | undefined;
  #recovering = false;
  /** The last assignment that the page made. */
  #last: Assignment | undefined;
  #timerAt = Infinity;
  up = true;

  constructor(world: World, terms: Terms, slot?: number) {
    this.#world = world;
    this.#terms = terms;
    this.#slot = slot;
    this.#core = startCore(rules(world), slot);
  }

  get host(): string | undefined {
    return this.#hosted?.host;
  }

  get epoch(): number {
    return this.#hosted?.epoch ?? 0;
  }

  get steady(): boolean {
    return this.up && this.host !== undefined;
  }

  connect(dialled: Omit<Dialled, "session">, socket: Socket): void {
    if (!this.up) return socket.closeClient();
    this.#begin({ dialled, socket, told: { alone: false }, status: {} });
  }

  #begin(begun: Session): number {
    const { dialled, socket } = begun;
    const session = ++this.#sessions;
    const isOpen = (): boolean => this.#sockets.get(session) === begun;
    this.#sockets.set(session, begun);
    socket.onText = (text) => {
      if (isOpen()) this.#text(session, begun, text);
    };
    socket.onCut = () => {
      if (isOpen()) this.#core.silence(this.#now, session);
    };
    socket.onServerClose = (end) => {
      if (isOpen()) this.#closed(session, end);
    };
    const all = { ...dialled, session } satisfies Dialled;
    this.#step((moment) => this.#core.connect(...moment, JSON.stringify(all)));
    this.#sayAlone();
    return session;
  }

  #text(session: number, { status }: Session, text: string): void {
    const message = JSON.parse(text) as { type: string; payload?: unknown };
    if (message.type === "STATUS") Object.assign(status, message.payload);
    this.#step((moment) => this.#core.text(...moment, session, text));
  }

  // --- halves ---

  /** The page is on its own from now on. */
  beAlone(): void {
    this.#isAlone = true;
    this.#sayAlone();
  }

  /** A page is made with its first member, and has to be told then. */
  #sayAlone(): void {
    if (this.#isAlone) this.#step((moment) => this.#core.setAlone(...moment, true));
  }

  /** Lets the sessions of a client go that belongs to another half now. */
  release(id: string, afterMs: number): Stray[] {
    const strays: Stray[] = [];
    for (const [session, stray] of this.#sockets) {
      if (stray.dialled.id !== id) continue;
      strays.push(stray);
      this.#sockets.delete(session);
      this.#core.silence(this.#now, session);
      loosen(stray);
      this.#world.clock.after(afterMs, () => {
        if (this.up) this.#step((moment) => this.#core.closed(...moment, session, null));
      });
    }
    return strays;
  }

  /** Returns whether a client has a session here. */
  knows(id: string): boolean {
    return [...this.#sockets.values()].some(({ dialled }) => dialled.id === id);
  }

  /** Takes over the session of a client, which says what it was told. */
  adopt({ dialled, socket, told, status }: Stray): void {
    if (!socket.serverOpen || !this.up || !told.assignment) return socket.die(0, 0);
    const session = {
      dialled: { ...dialled, claim: told.assignment },
      socket,
      told,
      status,
    };
    const number = this.#sessions + 1;
    this.#resuming.add(number);
    this.#begin(session);
    this.#text(number, session, JSON.stringify({ type: "STATUS", payload: status }));
  }

  /** The process has no part in the page any more. Returns its sessions. */
  retire(): Stray[] {
    this.up = false;
    if (this.#hosted) this.#end(this.#hosted.epoch);
    this.#hosted = undefined;
    const all = [...this.#sockets.values()];
    this.#sockets.clear();
    for (const stray of all) loosen(stray);
    return all;
  }

  /** Tells a client of another process what is news to it in an OPEN. */
  #resumed({ dialled, socket, told }: Session, payload: Open): void {
    const { host, epoch, alone = false, roster, p2p, fairMs, deputy } = payload;
    const messages: ServerMessage[] = [];
    if (alone !== told.alone) messages.push({ type: "ALONE", payload: { alone } });
    const isNews = told.assignment?.epoch !== epoch || told.assignment.host !== host;
    if (isNews || host === dialled.id) {
      if (!isNews) this.#world.count("server: a host is told its own epoch");
      const cause = "restarted";
      messages.push({ type: "HOST", payload: { host, epoch, cause, roster, p2p, fairMs, deputy } });
    }
    told.assignment = { host, epoch };
    told.alone = alone;
    if (this.#world.random.chance(0.5)) messages.reverse();
    for (const message of messages) socket.down(message);
  }

  #closed(session: number, end: SocketEnd): void {
    if (end === "lost" && this.#world.random.chance(UNNOTICED))
      return this.#core.silence(this.#now, session);
    this.#sockets.delete(session);
    this.#step((moment) => this.#core.closed(...moment, session, CLOSE_CODES[end]));
  }

  /** The page's actor dies. Its sessions tell the successor what they know. */
  losePage(): void {
    const core = this.#core;
    this.#step((moment) => core.losePage(...moment));
    for (const [session, one] of this.#sockets) {
      this.#world.clock.after(this.#world.random.int(0, RESUME_MS), () => {
        if (this.#sockets.get(session) === one)
          this.#step((moment) => this.#core.resume(...moment, session));
      });
    }
  }

  /** The process ends. Another begins after `downMs`, with its clock set back by `backMs`. */
  restart(downMs: number, backMs: number): void {
    const { clock, random, server } = this.#world;
    this.up = false;
    if (this.#hosted) this.#terms.ended.set(this.#hosted.epoch, clock.now);
    this.#hosted = undefined;
    this.#recovering = false;
    const sockets = [...this.#sockets.values()];
    this.#sockets.clear();
    for (const { socket } of sockets) socket.die(random.int(0, 300), 0);
    clock.after(downMs, () => {
      this.up = true;
      server.beganAt = clock.now;
      server.backMs += backMs;
      this.#timerAt = Infinity;
      this.#core = startCore(rules(this.#world), this.#slot);
    });
  }

  // --- the core ---

  /** The server's time, in ms since its start. */
  get #now(): number {
    const { now, server, pace } = this.#world;
    return (now - server.beganAt) * pace;
  }

  #step(run: (moment: Moment) => string): void {
    const random = Math.floor(this.#world.random.unit() * 2 ** 32);
    this.#take(JSON.parse(run([this.#now, this.#world.serverClock, random])) as Report);
  }

  #take({ told, hosted, recovering, deadline, violation }: Report): void {
    if (violation !== null) throw new Failure("invariant of the page", violation);
    const before = { hosted: this.#hosted, recovering: this.#recovering };
    const left = told.some((one) => "left" in one);
    let elected = false;
    for (const one of told) {
      if ("frame" in one) for (const session of one.frame.to) this.#send(session, one.frame.frame);
      else if ("close" in one) {
        this.#world.count(`server: closes, ${one.close.name}`);
        if (one.close.name === "replaced" && !left)
          this.#world.count("server: a newer socket keeps the seat");
        const closed = this.#sockets.get(one.close.session);
        this.#sockets.delete(one.close.session);
        closed?.socket.dismiss(one.close.code);
      } else if ("elected" in one) {
        elected = true;
        this.#elected(one.elected, before);
      } else if ("deputy" in one && one.deputy.id !== null)
        this.#world.count("server: deputy named");
    }
    if (hosted) this.#install(hosted);
    else if (!recovering && this.#last) this.#end(this.#last.epoch);
    if (before.recovering && hosted && !elected)
      this.#world.count("server: host stands after restart");
    this.#hosted = hosted ?? undefined;
    this.#recovering = recovering;
    if (deadline !== null) this.#arm(deadline);
  }

  #elected(
    { host, epoch, cause }: Assignment & { readonly cause: string },
    before: { readonly hosted: Assignment | undefined; readonly recovering: boolean },
  ): void {
    const { world } = { world: this.#world };
    world.count(`server: host changed, ${cause}`);
    world.say("srv", () => `host ${host} epoch ${epoch} (${cause})`);
    if (cause === "restarted" && before.recovering) world.count("server: election after restart");
    if (cause === "restarted" && before.hosted && before.hosted.host !== host)
      world.count("server: newcomer gives way to a claimant");
    this.#install({ host, epoch });
  }

  #install({ host, epoch }: Assignment): void {
    const other = this.#terms.hosts.get(epoch);
    if (other !== undefined && other !== host) {
      const what = `epoch ${epoch} has two hosts, ${other} and ${host}`;
      // While the clock is behind, a random gap is all that the server has against that.
      if (this.#world.server.backMs > 0) throw new Abandoned("an epoch was told twice by chance");
      throw new Failure("4 one host in an epoch", what);
    }
    if (this.#last && this.#last.epoch !== epoch) this.#end(this.#last.epoch);
    this.#last = { host, epoch };
    this.#terms.hosts.set(epoch, host);
    this.#terms.ended.delete(epoch);
  }

  #end(epoch: number): void {
    const { ended } = this.#terms;
    if (!ended.has(epoch)) ended.set(epoch, this.#world.now);
  }

  /** Sets the timer of the page to `deadline`, unless it rings earlier anyway: that does no harm. */
  #arm(deadline: number): void {
    const { clock, server, pace } = this.#world;
    const at = Math.max(clock.now, Math.ceil(server.beganAt + deadline / pace));
    if (this.#timerAt <= at) return;
    this.#timerAt = at;
    const core = this.#core;
    clock.at(at, () => {
      if (this.#core !== core || !this.up || this.#timerAt !== at) return;
      this.#timerAt = Infinity;
      this.#step((moment) => core.timer(...moment));
    });
  }

  /** Sends a message to a session. The library relies on little, so a RELAY may be lost, repeated and overtaken. */
  #send(session: number, message: ServerMessage): void {
    const { random, profile, quiet } = this.#world;
    const to = this.#sockets.get(session);
    const socket = to?.socket;
    const { type } = message;
    if (to && type === "OPEN" && this.#resuming.delete(session))
      return this.#resumed(to, message.payload as Open);
    if (to && (type === "OPEN" || type === "HOST")) {
      const { host, epoch } = message.payload as Open;
      to.told.assignment = { host, epoch };
    }
    if (to && (type === "OPEN" || type === "ALONE"))
      to.told.alone = (message.payload as Partial<Open>).alone === true;
    if (type !== "RELAY" || quiet) socket?.down(message);
    else if (!random.chance(profile.loss)) {
      socket?.down(message, random.chance(profile.reorder) ? random.int(1, 300) : 0);
      if (random.chance(profile.repeat)) socket?.down(message, random.int(0, 600));
    }
  }
}

/** A session without a page remembers what its client says of itself, and drops the rest. */
function loosen({ socket, status }: Session): void {
  socket.onCut = socket.onServerClose = () => {};
  socket.onText = (text) => {
    const { type, payload } = JSON.parse(text) as { type: string; payload?: object };
    if (type === "STATUS") Object.assign(status, payload);
  };
}

/** Payload of an OPEN, as far as it is of interest here. */
interface Open extends Assignment {
  readonly alone?: boolean;
  readonly roster?: unknown;
  readonly p2p?: unknown;
  readonly fairMs?: unknown;
  readonly deputy?: unknown;
}

function rules({ profile, pace }: World): Rules {
  return {
    star: profile.star,
    deputies: profile.deputies ? 1 : 0,
    relay: profile.relay,
    recoveryMs: RECOVERY_MS * pace,
    timeoutMs: TIMEOUT_MS * pace,
    hostTimeoutMs: HOST_TIMEOUT_MS * pace,
    freshMs: FRESH_MS * pace,
    returnMs: RETURN_MS * pace,
    probeMs: PROBE_MS * pace,
    hiddenMs: HIDDEN_MS * pace,
    resumeMs: profile.resumeMs,
    pingMs: PING_MS * pace,
  };
}
