// Around the machine: its events come from WebSocket, data channels, clock and page, and its effects go there.

import { Channels, type Connection } from "./channels.ts";
import { pack } from "./codec.ts";
import { short, tellNotice, type Teller, type Told } from "./debug.ts";
import { Drive } from "./drive.ts";
import type { Env } from "./env.ts";
import { PeerstarError, type PeerstarErrorCode } from "./errors.ts";
import { Front, type FrontHooks } from "./front.ts";
import {
  Group,
  type Effect,
  type Event,
  type Notice,
  type Status,
  type Wire,
} from "./group/index.ts";
import { deputyIn, entryIn, fairIn, hostIn, isLost, openIn } from "./payload.ts";
import { Reach } from "./reach.ts";
import { Relay } from "./relay.ts";
import { ServerSocket, type End, type Failure, type Routes, type ServerMessage } from "./socket.ts";
import { idIn, type Ticket } from "./ticket.ts";

export interface ShellHooks extends FrontHooks {
  routes(): Routes;
  url(
    claim: { readonly epoch: number; readonly host: string } | undefined,
    ticket: string | undefined,
  ): string;
  visible(): boolean;
  notice(notice: Told, rttMs: number | undefined): void;
  /** `server`: the WebSocket is up; data channels may carry the group without. */
  status(state: Status, server: boolean): void;
  /** For good: nothing is needed any more. */
  left(): void;
  /** The last that the page hears. */
  closed(end: End): void;
  /** OFFER and the like. */
  signal(message: ServerMessage): void;
  /** The ticket names the id that this page has; before the first OPEN. */
  named(id: string): void;
  /** Gives what is wrong with the ICE servers, in words. */
  opened(ice: RTCIceServer[] | undefined): string | undefined;
  ice(ice: RTCIceServer[]): string | undefined;
  connect(id: string): Connection | undefined;
  over(connectionId: string): void;
}

export interface ShellOptions {
  /** Unless the ticket names one. */
  readonly id: string;
  /** More than all messages that earlier loads of the page sent under an id that a ticket names. */
  readonly counted?: number;
  readonly profile: unknown;
  readonly p2p: boolean;
  readonly ticket?: Ticket | undefined;
}

const SIGNALS = 256;
/** Not in by then, or by one try that took its whole time: the page is told that the server cannot be reached. */
const UNREACHABLE_TRIES = 4;
/** Where nothing may be relayed, and no data channel opens. */
const UNREACHABLE_DIALS = 3;

export class Shell {
  readonly #env: Env;
  readonly #hooks: ShellHooks;
  readonly #tell: Teller;
  readonly #options: ShellOptions;
  readonly #machine: Group;
  readonly #socket: ServerSocket;
  readonly #relay: Relay;
  readonly #channels: Channels;
  readonly #drive: Drive;
  readonly #front: Front;
  readonly #reach: Reach;
  readonly #texts = new WeakMap<Wire, string>();
  #signals: { readonly text: string; readonly at: number }[] = [];
  #id: string;
  /** The id is a ticket's. */
  #named = false;
  #profile: unknown;
  #token = 0;
  #relayWanted = true;
  #eligible = true;
  #relayAllowed = true;
  #mayDial = false;
  /** Who hosts next, as far as the server says: members keep a channel to it as well. */
  #deputy: string | undefined;
  /** The channels that the server was last told of, as JSON. */
  #reached = "{}";
  #state: Status = "connecting";
  #server = false;
  /** The page was told so, and has not been in since. */
  #unreachable = false;
  #closed = false;

  constructor(env: Env, options: ShellOptions, hooks: ShellHooks, tell: Teller) {
    this.#env = env;
    this.#hooks = hooks;
    this.#tell = tell;
    this.#options = options;
    this.#id = options.id;
    this.#profile = options.profile;
    this.#machine = new Group(options.id);
    this.#drive = new Drive(env, this.#machine, {
      perform: (effect) => this.#perform(effect),
      stepped: () => {
        if (this.#socket.up !== this.#server) this.#front.do(() => this.#tellStatus(this.#state));
        this.#tellEligible();
        this.#aim();
      },
    });
    this.#front = new Front(env, hooks, tell, (event) => this.feed(event));
    this.#reach = new Reach(env, {
      host: () => (this.#closed ? undefined : this.#machine.host),
      ping: (id, lastMs) => {
        if (this.#socket.up) this.#relay.ping(id, lastMs);
      },
      news: (id, path, ms) => this.#front.do(() => hooks.notice({ kind: "link", id, path }, ms)),
    });
    this.#socket = new ServerSocket(env, {
      ticket: options.ticket,
      routes: () => hooks.routes(),
      url: (ticket) => {
        this.#identify(ticket);
        return hooks.url(
          this.#machine.host === undefined
            ? undefined
            : { epoch: this.#machine.epoch, host: this.#machine.host },
          ticket,
        );
      },
      said: (message) => this.#said(message),
      lost: () => this.#lost(),
      ended: (end) => this.#ended(end),
      proved: (token) => this.feed({ type: "proved", token }),
      failed: (failure) => this.#failed(failure),
    });
    this.#relay = new Relay(env, this.#socket, {
      received: (from, message) => this.feed({ type: "received", from, via: "relay", message }),
      heard: (from) => this.feed({ type: "heard", from, via: "relay" }),
      pressure: (link, high) => this.feed({ type: "pressure", link, high }),
      rtt: (id, ms) => this.#reach.measured(id, ms, "relay"),
    });
    this.#channels = new Channels(env, {
      up: (id, up) => {
        tell(() => `data channel to ${short(id)} ${up ? "open" : "closed"}`);
        if (!up) this.#reach.closed(id);
        this.feed({ type: "link", id, up });
        this.#tellReached();
      },
      received: (from, message) => this.feed({ type: "received", from, via: "p2p", message }),
      heard: (from) => this.feed({ type: "heard", from, via: "p2p" }),
      alive: (id) => this.feed({ type: "alive", id }),
      pressure: (link, high) => this.feed({ type: "pressure", link, high }),
      rtt: (id, ms) => this.#reach.measured(id, ms, "p2p"),
      failed: (id, times) => {
        tell(() => `no data channel to ${short(id)}, ${times}×: dialling again in a while`);
        if (!this.#relayAllowed && id === this.#machine.host && times === UNREACHABLE_DIALS)
          this.#error(
            "Unreachable",
            "No data channel to the host can be opened, and this server does not relay.",
          );
      },
      connect: (id) => hooks.connect(id),
      over: (connectionId) => hooks.over(connectionId),
      online: () => this.#socket.up,
    });
  }

  // --- the page's side ---

  start(): void {
    if (this.#closed) return;
    if (this.#profile !== undefined) this.feed({ type: "profile", profile: this.#profile });
    this.#socket.dial();
  }

  /** Reads the id that a ticket names. Once in, an id is for good: the server refuses a ticket for another. */
  #identify(ticket: string | undefined): void {
    const id = ticket === undefined ? undefined : idIn(ticket);
    if (id === undefined || (this.#named && id === this.#id) || this.#machine.host !== undefined)
      return;
    this.#tell(() => `the ticket is for ${id}`);
    this.#id = id;
    this.#named = true;
    this.#machine.identify(id, this.#options.counted ?? 0);
    this.#hooks.named(id);
  }

  get host(): string | undefined {
    return this.#machine.host;
  }

  get epoch(): number {
    return this.#machine.epoch;
  }

  get profile(): unknown {
    return this.#profile;
  }

  /** JSON within the server's limit. Away, it is said with the next OPEN. */
  introduce(profile: unknown): void {
    this.#profile = profile;
    this.feed({ type: "profile", profile });
    this.#status({ profile });
  }

  send(data: unknown): Promise<void> {
    if (this.#closed) return rejected(this.#front.end);
    let packed;
    try {
      packed = pack(data);
    } catch (error) {
      // The page's mistake: where nobody looks at the promise, the browser tells of it.
      return Promise.reject(error);
    }
    const token = ++this.#token;
    const promise = this.#front.promise(token);
    this.feed({ type: "send", token, data: packed.text, size: packed.size });
    return promise;
  }

  able(able: boolean): void {
    this.feed({ type: "snapshots", able });
  }

  resign(to?: string): void {
    this.feed(to === undefined ? { type: "resign" } : { type: "resign", to });
  }

  leave(): void {
    this.#close({ code: 1000, reason: "left" });
  }

  /** The page is being closed. Says goodbye also where a script was stopped in the middle of a step, or of leaving. */
  part(): void {
    this.leave();
    this.#socket.leave();
  }

  /** pagehide of a page that may come back: gone for the others, with everything kept. */
  pause(): void {
    if (this.#closed) return;
    this.#tell(() => "the page goes, and may come back");
    this.#socket.pause();
    this.#channels.end();
    this.#drive.flush();
  }

  resume(): void {
    if (this.#closed) return;
    this.#tell(() => "the page is back");
    this.#socket.dial();
    this.#aim();
  }

  wake(): void {
    this.#socket.wake();
    this.#drive.kick();
  }

  /** Visible or not. */
  looked(): void {
    this.#status({ visible: this.#hooks.visible() });
    if (this.#hooks.visible()) this.wake();
  }

  accept(connection: Connection): void {
    if (this.#closed || !this.#options.p2p) connection.close();
    else this.#channels.accept(connection);
  }

  /** From PeerJS. */
  signal(message: object): void {
    const text = JSON.stringify(message);
    if (this.#socket.send(text)) return;
    if (this.#signals.length >= SIGNALS) this.#signals.shift();
    this.#signals.push({ text, at: this.#env.now() });
  }

  // --- the machine ---

  feed(event: Event): void {
    this.#drive.feed(event);
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case "transmit": {
        const { to, via, message } = effect;
        const bulk = isBulk(message);
        // One state on its way to one is enough: another is as good, and asked for again.
        if (bulk && (this.#channels.hasState(to) || this.#relay.hasState(to))) break;
        if (via === "p2p") this.#channels.send(to, this.#text(message), bulk);
        else this.#relay.send(to, this.#text(message), bulk);
        break;
      }
      case "fanout":
        this.#relay.send(undefined, this.#text(effect.message), isBulk(effect.message));
        break;
      case "deliver":
      case "settle":
      case "askSnapshot":
      case "restore":
        this.#front.hand(effect);
        break;
      case "suspect":
        this.#tell(() => `no word from the host ${short(effect.host)}: SUSPECT`);
        this.#say("SUSPECT", { host: effect.host, epoch: effect.epoch });
        break;
      case "trust":
        this.#tell(() => `the host ${short(effect.host)} speaks again: TRUST`);
        this.#say("TRUST", { host: effect.host, epoch: effect.epoch });
        break;
      case "resign":
        this.#say(
          "RESIGN",
          effect.to === undefined
            ? { epoch: effect.epoch }
            : { epoch: effect.epoch, to: effect.to },
        );
        break;
      case "relayWanted":
        this.#relayWanted = effect.wanted;
        this.#status({ relay: effect.wanted });
        break;
      case "prove":
        this.#socket.prove(effect.token);
        break;
      case "check":
        this.#socket.wake();
        break;
      case "redial":
        this.#tell(() => "the server has forgotten our epoch: dialling again to tell it");
        this.#socket.redial();
        break;
      case "disbelieved":
        this.#error(
          "Unreachable",
          `The server's clock was set back: it is at least ${minutes(effect.behindMs)} behind what it said before, so the server does not believe which host this page has. This page tries again, less and less often, until that clock is right to within 10 minutes, and delivers nothing until then. Reload the page to start anew with those who come now.`,
        );
        break;
      case "unlink":
        this.#channels.close(effect.id);
        break;
      case "notice":
        this.#front.do(() => this.#notice(effect.notice));
        break;
    }
  }

  /** The same run goes to many members: written once. */
  #text(message: Wire): string {
    let text = this.#texts.get(message);
    if (text === undefined) this.#texts.set(message, (text = JSON.stringify(message)));
    return text;
  }

  // --- to the page ---

  #notice(notice: Notice): void {
    if (notice.kind === "status") return this.#tellStatus(notice.state);
    this.#tell(() => tellNotice(notice));
    if (notice.kind === "member" && notice.change === "leave") this.#reach.gone(notice.id);
    if (notice.kind !== "link") return this.#hooks.notice(notice, undefined);
    this.#hooks.notice(notice, this.#reach.by(notice.id, notice.path));
  }

  #tellStatus(state: Status): void {
    const server = this.#socket.up && state !== "closed";
    if (state === this.#state && server === this.#server) return;
    this.#state = state;
    this.#server = server;
    this.#tell(() => `${state}${server ? "" : ", without the server"}`);
    this.#hooks.status(state, server);
  }

  // --- the server ---

  #said(message: ServerMessage): void {
    const { type, src, payload } = message;
    switch (type) {
      case "OPEN":
        this.#opened(payload);
        break;
      case "HOST": {
        const host = hostIn(payload);
        if (!host) break;
        this.#tell(() => `HOST ${short(host.host)} epoch ${host.epoch} (${host.cause})`);
        this.#mayDial = (payload as { p2p?: unknown }).p2p !== false;
        this.#told(payload);
        this.#relay.turn();
        this.#channels.turn();
        this.feed({ type: "host", host });
        break;
      }
      case "DEPUTY":
        this.#deputy = deputyIn(payload);
        this.#aim();
        break;
      case "JOIN": {
        const member = entryIn(payload);
        if (member) this.feed({ type: "joined", member });
        break;
      }
      case "LEAVE":
        if (src === undefined) break;
        this.#relay.gone(src);
        // What the server only lost may still be there, on its data channel.
        if (!isLost(payload)) {
          this.#reach.gone(src);
          this.#channels.close(src);
        }
        this.#hooks.signal(message);
        this.feed({ type: "left", id: src });
        break;
      case "RELAY":
        if (src !== undefined) this.#relay.received(src, payload);
        break;
      case "EXPIRE":
        if (src !== undefined && this.#channels.isDialling(src)) this.#channels.absent(src);
        this.#hooks.signal(message);
        break;
      case "OFFER":
      case "ANSWER":
      case "CANDIDATE":
        this.#hooks.signal(message);
        break;
      case "ICE": {
        const { ice } = (payload ?? {}) as { ice?: unknown };
        if (Array.isArray(ice)) this.#tellIce(this.#hooks.ice(ice as RTCIceServer[]));
        break;
      }
      default:
        break;
    }
    this.#relay.pump();
    this.#drive.kick();
  }

  #opened(payload: unknown): void {
    const told = openIn(payload);
    if (!told)
      return this.#ended({ code: 4400, reason: "This server has no pages: it is not Peerstar." });
    const { open, p2p, limits, expireMs, ice } = told;
    this.#tell(
      () =>
        `OPEN host ${short(open.host)} epoch ${open.epoch}, ${open.members} here${open.recovering ? ", recovering" : ""}`,
    );
    this.#unreachable = false;
    this.#mayDial = p2p;
    this.#told(payload);
    this.#relayAllowed = open.relay;
    this.#relay.open(limits);
    if (open.epoch > this.#machine.epoch) this.#channels.turn();
    this.#eligible = !this.#machine.disbelieved;
    const reached = this.#channels.reached();
    this.#reached = JSON.stringify(reached);
    this.#status({
      eligible: this.#eligible,
      visible: this.#hooks.visible(),
      relay: this.#relayWanted,
      ...(this.#options.p2p ? {} : { p2p: false }),
      ...(Object.keys(reached).length === 0 ? {} : { channels: reached }),
      ...(this.#profile === undefined ? {} : { profile: this.#profile }),
    });
    const problem = this.#hooks.opened(ice);
    // Signalling said while the WebSocket was away: what is older the server would have dropped as well.
    const since = this.#env.now() - expireMs;
    for (const { text, at } of this.#signals.splice(0)) if (at >= since) this.#socket.send(text);
    this.feed({ type: "open", open });
    this.#channels.online();
    this.#tellIce(problem);
  }

  #tellIce(problem: string | undefined): void {
    if (problem !== undefined)
      this.#error(
        "Unreachable",
        `This browser refuses a part of the server's ICE configuration, which is left out (${problem}). Members that cannot be reached without it are served over the server.`,
      );
  }

  /** A server that does not believe our epoch had better not name us host: we could not serve its members. */
  #tellEligible(): void {
    if (this.#eligible === !this.#machine.disbelieved) return;
    this.#eligible = !this.#eligible;
    this.#status({ eligible: this.#eligible });
  }

  #status(status: Readonly<Record<string, unknown>>): void {
    this.#say("STATUS", status);
  }

  #say(type: string, payload: unknown): void {
    this.#socket.send(JSON.stringify({ type, payload }));
  }

  #lost(): void {
    this.#tell(() => "the WebSocket is lost");
    this.#relay.close();
    this.feed({ type: "offline" });
  }

  #failed({ times, why, late }: Failure): void {
    this.#tell(() => `not in, ${times}×${why && `: ${why}`}`);
    if (this.#unreachable || (times < UNREACHABLE_TRIES && !late)) return;
    this.#unreachable = true;
    this.#error("Unreachable", `The server cannot be reached${why && ` (${why})`}; trying on.`);
  }

  /** What OPEN and HOST say of dialling. */
  #told(payload: unknown): void {
    this.#deputy = deputyIn(payload);
    const fairMs = fairIn(payload);
    if (fairMs !== undefined) this.#channels.allow(fairMs);
  }

  #aim(): void {
    const { p2p } = this.#options;
    const { host } = this.#machine;
    const id = this.#id;
    const hosts = host === id;
    const dials = p2p && !this.#closed && !hosts;
    const news = this.#channels.aim({
      host: dials && this.#mayDial ? host : undefined,
      deputy: dials && this.#deputy !== id ? this.#deputy : undefined,
      serves: hosts || this.#deputy === id,
      relayed: this.#relayAllowed,
    });
    if (news) this.#tellReached();
  }

  /** The server weighs suspicions by who reaches whom. */
  #tellReached(): void {
    if (!this.#server) return;
    const reached = this.#channels.reached();
    const text = JSON.stringify(reached);
    if (text === this.#reached) return;
    this.#reached = text;
    this.#status({ channels: reached });
  }

  // --- the end ---

  #ended(end: End): void {
    const reason = this.#reasonOf(end);
    const refused = end.code !== 4410;
    this.#close(
      { code: end.code, reason },
      refused
        ? new PeerstarError("Refused", `The server does not let this page in: ${reason}`)
        : undefined,
    );
  }

  #reasonOf({ code, reason }: End): string {
    if (code === 4426)
      return "This page's version of the library is not this server's: reload the page.";
    if (code === 4409 && this.#named)
      return `Another page, such as a second tab, is here with the id that this ticket names (${this.#id}). A ticket that names an id is for one page at a time.`;
    return reason;
  }

  #close(end: End, error = new PeerstarError("Closed")): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#tell(() => `closed: ${end.code} ${end.reason}`);
    this.#front.hush(error);
    // What is being delivered is settled as delivered, though a listener of it leaves.
    this.#drive.afterStep(() => {
      this.#drive.flush({ type: "leave" });
      this.#socket.leave();
      this.#relay.close();
      this.#channels.end();
      this.#drive.stop();
      this.#reach.stop();
      this.#hooks.left();
      this.#front.close(() => {
        this.#tellStatus("closed");
        this.#hooks.closed(end);
      });
    });
  }

  #error(code: PeerstarErrorCode, message: string): void {
    this.#front.error(new PeerstarError(code, message));
  }
}

/** May be large, and is void or harmless in whatever order it comes. */
function isBulk({ t }: Wire): boolean {
  return t === "restore" || t === "snap";
}

function minutes(ms: number): string {
  const whole = Math.max(1, Math.floor(ms / 60_000));
  return whole === 1 ? "1 minute" : `${whole} minutes`;
}

function rejected(error: Error): Promise<void> {
  const promise = Promise.reject(error);
  promise.catch(() => {});
  return promise;
}
