// The server. Its core runs in lock-step (addon.ts), with the simulation's time and randomness. Sockets open and
// close, the page's actor may die, and the whole process may.

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

export class Server {
  readonly #world: World;
  #core: Core;
  /** The server's end of each socket, by the number of its session. */
  readonly #sockets = new Map<number, Socket>();
  #sessions = 0;
  #hosted: Assignment | undefined;
  #recovering = false;
  /** The last assignment that the page made. */
  #last: Assignment | undefined;
  /** The host of each epoch. */
  readonly #hosts = new Map<number, string>();
  /** When the host of each past epoch was replaced. */
  readonly #ended = new Map<number, number>();
  #timerAt = Infinity;
  up = true;

  constructor(world: World) {
    this.#world = world;
    this.#core = startCore(rules(world));
  }

  get host(): string | undefined {
    return this.#hosted?.host;
  }

  get epoch(): number {
    return this.#hosted?.epoch ?? 0;
  }

  /** When the host of each past epoch was replaced: the checks take it for the truth. */
  get ended(): ReadonlyMap<number, number> {
    return this.#ended;
  }

  get steady(): boolean {
    return this.up && this.host !== undefined;
  }

  connect(dialled: Omit<Dialled, "session">, socket: Socket): void {
    if (!this.up) return socket.closeClient();
    const session = ++this.#sessions;
    const isOpen = (): boolean => this.#sockets.get(session) === socket;
    this.#sockets.set(session, socket);
    socket.onText = (text) => {
      if (isOpen()) this.#step((moment) => this.#core.text(...moment, session, text));
    };
    socket.onCut = () => {
      if (isOpen()) this.#core.silence(this.#now, session);
    };
    socket.onServerClose = (end) => {
      if (isOpen()) this.#closed(session, end);
    };
    this.#step((moment) =>
      this.#core.connect(...moment, JSON.stringify({ session, ...dialled } satisfies Dialled)),
    );
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
    for (const [session, socket] of this.#sockets) {
      this.#world.clock.after(this.#world.random.int(0, RESUME_MS), () => {
        if (this.#sockets.get(session) === socket)
          this.#step((moment) => this.#core.resume(...moment, session));
      });
    }
  }

  /** The process ends. Another begins after `downMs`, with its clock set back by `backMs`. */
  restart(downMs: number, backMs: number): void {
    const { clock, random, server } = this.#world;
    this.up = false;
    if (this.#hosted) this.#ended.set(this.#hosted.epoch, clock.now);
    this.#hosted = undefined;
    this.#recovering = false;
    const sockets = [...this.#sockets.values()];
    this.#sockets.clear();
    for (const socket of sockets) socket.die(random.int(0, 300), 0);
    clock.after(downMs, () => {
      this.up = true;
      server.beganAt = clock.now;
      server.backMs += backMs;
      this.#timerAt = Infinity;
      this.#core = startCore(rules(this.#world));
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
        const socket = this.#sockets.get(one.close.session);
        this.#sockets.delete(one.close.session);
        socket?.dismiss(one.close.code);
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
    const other = this.#hosts.get(epoch);
    if (other !== undefined && other !== host) {
      const what = `epoch ${epoch} has two hosts, ${other} and ${host}`;
      // While the clock is behind, a random gap is all that the server has against that.
      if (this.#world.server.backMs > 0) throw new Abandoned("an epoch was told twice by chance");
      throw new Failure("4 one host in an epoch", what);
    }
    if (this.#last && this.#last.epoch !== epoch) this.#end(this.#last.epoch);
    this.#last = { host, epoch };
    this.#hosts.set(epoch, host);
    this.#ended.delete(epoch);
  }

  #end(epoch: number): void {
    if (!this.#ended.has(epoch)) this.#ended.set(epoch, this.#world.now);
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
    const socket = this.#sockets.get(session);
    if (message.type !== "RELAY" || quiet) socket?.down(message);
    else if (!random.chance(profile.loss)) {
      socket?.down(message, random.chance(profile.reorder) ? random.int(1, 300) : 0);
      if (random.chance(profile.repeat)) socket?.down(message, random.int(0, 600));
    }
  }
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
