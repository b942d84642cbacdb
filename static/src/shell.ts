// Around the machine: its events come from WebSocket, data channels, clock and page, and its effects go there.

import { Channels, type Connection } from "./channels.ts";
import { pack, unpack } from "./codec.ts";
import { short, tellNotice, type Teller, type Told } from "./debug.ts";
import { Desk } from "./desk.ts";
import type { Env, Timer } from "./env.ts";
import { PeerstarError, type PeerstarErrorCode } from "./errors.ts";
import { Group, type Effect, type Event, type Notice, type Status, type Wire } from "./group/index.ts";
import { entryIn, hostIn, openIn } from "./payload.ts";
import { Relay } from "./relay.ts";
import { ServerSocket, type End, type Failure, type ServerMessage } from "./socket.ts";
import type { Ticket } from "./ticket.ts";

export interface ShellHooks {
  url(claim: { readonly epoch: number; readonly host: string } | undefined, ticket: string | undefined): string;
  visible(): boolean;
  notice(notice: Told, rttMs: number | undefined): void;
  /** `server`: the WebSocket is up; data channels may carry the group without. */
  status(state: Status, server: boolean): void;
  message(data: unknown, about: { readonly from: string; readonly seq: number; readonly epoch: number }): void;
  snapshot(): (() => unknown) | undefined;
  /** A promise if that takes time. */
  restore(state: unknown): unknown;
  error(error: PeerstarError): void;
  closed(end: End): void;
  /** OFFER and the like. */
  signal(message: ServerMessage): void;
  opened(ice: RTCIceServer[] | undefined): void;
  ice(ice: RTCIceServer[]): void;
  connect(id: string): Connection | undefined;
  over(connectionId: string): void;
}

export interface ShellOptions {
  readonly id: string;
  readonly profile: unknown;
  readonly p2p: boolean;
  readonly ticket?: Ticket | undefined;
}

interface Promised {
  readonly resolve: () => void;
  readonly reject: (error: PeerstarError) => void;
}

/** Signalling said while the WebSocket is away waits so long; the server would drop it as well. */
const SIGNAL_MS = 5_000;
const SIGNALS = 256;
/** Not in by then, or by one try that took its whole time: the page is told that the server cannot be reached. */
const UNREACHABLE_TRIES = 4;
/** Where nothing may be relayed, and no data channel opens. */
const UNREACHABLE_DIALS = 3;
/** A page that takes longer for its state than that has lost its turn; what waits must not grow without end. */
const PAGE_MS = 30_000;
const RELAY_PING_MS = 5_000;
/** More steps than that in so short a time are load. */
const STEPS = 16;
const STEPS_MS = 4;

export class Shell {
  readonly #env: Env;
  readonly #hooks: ShellHooks;
  readonly #tell: Teller;
  readonly #options: ShellOptions;
  readonly #machine: Group;
  readonly #socket: ServerSocket;
  readonly #relay: Relay;
  readonly #channels: Channels;
  readonly #desk = new Desk();
  readonly #texts = new WeakMap<Wire, string>();
  readonly #promises = new Map<number, Promised>();
  readonly #rtts = { p2p: new Map<string, number>(), relay: new Map<string, number>() };
  readonly #paths = new Map<string, "p2p" | "relay" | "none">();
  #pingTimer: Timer;
  #signals: { readonly text: string; readonly at: number }[] = [];
  #profile: unknown;
  #token = 0;
  #events: Event[] = [];
  #scheduled = false;
  #cooling = false;
  /** Steps since then. */
  #steps = 0;
  #stepsSince = -Infinity;
  #timer: Timer;
  #timerAt = Infinity;
  #relayWanted = true;
  #relayAllowed = true;
  #mayDial = false;
  #state: Status = "connecting";
  #server = false;
  /** The page was told so, and has not been in since. */
  #unreachable = false;
  #closed = false;
  #why: PeerstarErrorCode = "Closed";
  #reason: string | undefined;

  constructor(env: Env, options: ShellOptions, hooks: ShellHooks, tell: Teller) {
    this.#env = env;
    this.#hooks = hooks;
    this.#tell = tell;
    this.#options = options;
    this.#profile = options.profile;
    this.#machine = new Group(options.id);
    this.#socket = new ServerSocket(env, {
      ticket: options.ticket,
      url: (ticket) => hooks.url(this.#machine.host === undefined ? undefined : { epoch: this.#machine.epoch, host: this.#machine.host }, ticket),
      said: (message) => this.#said(message),
      lost: () => this.#lost(),
      ended: (end) => this.#ended(end),
      proved: (token) => this.feed({ type: "proved", token }),
      failed: (failure) => this.#failed(failure),
    });
    this.#relay = new Relay(env, this.#socket, {
      received: (from, message) => this.feed({ type: "received", from, via: "relay", message }),
      pressure: (high) => this.feed({ type: "pressure", link: "relay", high }),
      rtt: (id, ms) => this.#measured(id, ms, "relay"),
    });
    this.#channels = new Channels(env, {
      up: (id, up) => {
        tell(() => `data channel to ${short(id)} ${up ? "open" : "closed"}`);
        if (!up) this.#rtts.p2p.delete(id);
        this.feed({ type: "link", id, up });
      },
      received: (from, message) => this.feed({ type: "received", from, via: "p2p", message }),
      heard: (from) => this.feed({ type: "heard", from }),
      pressure: (link, high) => this.feed({ type: "pressure", link, high }),
      rtt: (id, ms) => this.#measured(id, ms, "p2p"),
      failed: (id, times) => {
        tell(() => `no data channel to ${short(id)}, ${times}×: dialling again in a while`);
        if (!this.#relayAllowed && times === UNREACHABLE_DIALS) this.#error("Unreachable", "No data channel to the host can be opened, and this server does not relay.");
      },
      connect: (id) => hooks.connect(id),
      over: (connectionId) => hooks.over(connectionId),
      online: () => this.#socket.up,
    });
  }

  // --- the page's side ---

  start(): void {
    if (this.#profile !== undefined) this.feed({ type: "profile", profile: this.#profile });
    this.#socket.dial();
  }

  get host(): string | undefined {
    return this.#machine.host;
  }

  get epoch(): number {
    return this.#machine.epoch;
  }

  get members(): string[] {
    return this.#machine.view().members;
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
    if (this.#closed) return rejected(this.#closedError());
    let packed;
    try {
      packed = pack(data);
    } catch (error) {
      return rejected(error instanceof Error ? error : new TypeError(String(error)));
    }
    const token = ++this.#token;
    const promise = new Promise<void>((resolve, reject) => this.#promises.set(token, { resolve, reject }));
    // Who does not look at it has the `error` event.
    promise.catch(() => {});
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
    this.#close({ code: 1000, reason: "left" }, "Closed");
  }

  /** pagehide of a page that may come back: gone for the others, with everything kept. */
  pause(): void {
    if (this.#closed) return;
    this.#tell(() => "the page goes, and may come back");
    this.#socket.pause();
    this.#channels.end();
    this.#flush();
  }

  resume(): void {
    if (this.#closed) return;
    this.#tell(() => "the page is back");
    this.#socket.dial();
    this.#aim();
  }

  wake(): void {
    this.#socket.wake();
    this.#kick();
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
    this.#events.push(event);
    if (this.#scheduled || this.#cooling) return;
    this.#scheduled = true;
    queueMicrotask(() => this.#flush());
  }

  /** Whole milliseconds: the machine's times go over the wire. */
  #now(): number {
    return Math.floor(this.#env.now());
  }

  /** A timer may be late in a hidden tab: whatever wakes the page lets it ring. */
  #kick(): void {
    if (this.#machine.nextDeadline() <= this.#now()) this.feed({ type: "timer" });
  }

  #flush(): void {
    this.#scheduled = false;
    while (this.#events.length > 0) {
      const events = this.#events;
      this.#events = [];
      this.#step(events);
    }
    if (this.#socket.up !== this.#server) this.#desk.do(() => this.#tellStatus(this.#state));
    this.#aim();
    this.#wake();
    if (this.#cooling || !this.#loaded()) return;
    // What comes before the browser has a moment goes together in one batch.
    this.#cooling = true;
    this.#env.soon(() => {
      this.#cooling = false;
      if (this.#events.length > 0) this.#flush();
    });
  }

  /** Without load nothing waits. */
  #loaded(): boolean {
    const now = this.#env.now();
    if (now - this.#stepsSince > STEPS_MS) {
      this.#stepsSince = now;
      this.#steps = 0;
    }
    return ++this.#steps > STEPS;
  }

  #step(events: readonly Event[]): void {
    let effects: Effect[];
    try {
      effects = this.#machine.handleAll(events, this.#now());
    } catch (error) {
      console.error("peerstar: the group's machine failed; please report this:", error);
      return;
    }
    for (const effect of effects) {
      try {
        this.#perform(effect);
      } catch (error) {
        console.error("peerstar:", effect.type, "failed:", error);
      }
    }
  }

  #wake(): void {
    const at = this.#machine.nextDeadline();
    if (at === this.#timerAt) return;
    this.#env.cancel(this.#timer);
    this.#timerAt = at;
    if (at === Infinity) return;
    // Never early: a timer that rings before its time would ring again and again.
    this.#timer = this.#env.after(Math.max(0, Math.ceil(at - this.#env.now())), () => {
      this.#timerAt = -Infinity;
      this.#events.push({ type: "timer" });
      this.#flush();
    });
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case "transmit": {
        const text = this.#text(effect.message);
        const bulk = isBulk(effect.message);
        if (effect.via === "p2p") this.#channels.send(effect.to, text, bulk);
        else this.#relay.send(effect.to, text, bulk);
        break;
      }
      case "fanout": this.#relay.send(undefined, this.#text(effect.message), isBulk(effect.message)); break;
      case "deliver": this.#desk.do(() => this.#deliver(effect)); break;
      case "settle": this.#desk.do(() => this.#settle(effect.token, effect.error)); break;
      case "askSnapshot": this.#desk.do(() => this.#askSnapshot(effect.token)); break;
      case "restore": this.#desk.do(() => this.#restore(effect.state)); break;
      case "suspect":
        this.#tell(() => `no word from the host ${short(effect.host)}: SUSPECT`);
        this.#say("SUSPECT", { host: effect.host, epoch: effect.epoch });
        break;
      case "resign": this.#say("RESIGN", effect.to === undefined ? { epoch: effect.epoch } : { epoch: effect.epoch, to: effect.to }); break;
      case "relayWanted":
        this.#relayWanted = effect.wanted;
        this.#status({ relay: effect.wanted });
        break;
      case "prove": this.#socket.prove(effect.token); break;
      case "check": this.#socket.wake(); break;
      case "redial":
        this.#tell(() => "the server has forgotten our epoch: dialling again to tell it");
        this.#socket.redial();
        break;
      case "unlink": this.#channels.close(effect.id); break;
      case "notice": this.#desk.do(() => this.#notice(effect.notice)); break;
    }
  }

  /** The same run goes to many members: written once. */
  #text(message: Wire): string {
    let text = this.#texts.get(message);
    if (text === undefined) this.#texts.set(message, (text = JSON.stringify(message)));
    return text;
  }

  // --- to the page ---

  #deliver({ from, seq, epoch, data }: Extract<Effect, { type: "deliver" }>): void {
    let unpacked: unknown;
    try {
      unpacked = unpack(data);
    } catch (error) {
      console.error(`peerstar: a message of ${from} cannot be read:`, error);
      return;
    }
    // leave() in a listener is the last that is heard.
    if (!this.#closed) this.#hooks.message(unpacked, { from, seq, epoch });
  }

  #settle(token: number, code: PeerstarErrorCode | undefined): void {
    const promised = this.#promises.get(token);
    if (!promised) return;
    this.#promises.delete(token);
    if (code === undefined) return promised.resolve();
    const error = code === "Closed" ? this.#closedError() : new PeerstarError(code);
    promised.reject(error);
    // What the end rejects is told once, by the end.
    if (code !== "Closed") this.#hooks.error(error);
  }

  #askSnapshot(token: number): void | Promise<void> {
    const give = this.#hooks.snapshot();
    if (!give) return this.feed({ type: "snapshot", token, given: false, size: 0 });
    const given = (state: unknown): void => {
      const { text, size } = pack(state);
      this.#tell(() => `gave a snapshot of ${size} bytes`);
      this.feed({ type: "snapshot", token, given: true, state: text, size });
    };
    const failed = (error: unknown): void => {
      console.error("peerstar: onSnapshot failed:", error);
      this.feed({ type: "snapshot", token, given: false, size: 0 });
    };
    try {
      const state = give();
      if (isPromise(state)) return this.#limited(state.then(given), "onSnapshot").catch(failed);
      given(state);
    } catch (error) {
      failed(error);
    }
  }

  #restore(packed: unknown): void | Promise<void> {
    try {
      const done = this.#hooks.restore(unpack(packed));
      if (isPromise(done)) {
        return this.#limited(done, "onRestore").catch((error: unknown) => console.error("peerstar: onRestore failed:", error));
      }
    } catch (error) {
      console.error("peerstar: onRestore failed:", error);
    }
  }

  #limited(work: Promise<unknown>, name: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.#env.after(PAGE_MS, () => reject(new Error(`${name} took longer than ${PAGE_MS / 1000} s`)));
      work.then(() => resolve(), reject).finally(() => this.#env.cancel(timer));
    });
  }

  #notice(notice: Notice): void {
    if (notice.kind === "status") return this.#tellStatus(notice.state);
    this.#tell(() => tellNotice(notice));
    if (notice.kind !== "link") return this.#hooks.notice(notice, undefined);
    const { id, path } = notice;
    this.#paths.set(id, path);
    if (path === "relay" && id === this.#machine.host) this.#pingHost();
    this.#hooks.notice(notice, path === "none" ? undefined : this.#rtts[path].get(id));
  }

  #tellStatus(state: Status): void {
    const server = this.#socket.up && state !== "closed";
    if (state === this.#state && server === this.#server) return;
    this.#state = state;
    this.#server = server;
    this.#tell(() => `${state}${server ? "" : ", without the server"}`);
    this.#hooks.status(state, server);
  }

  // --- round trips ---

  /** Data channels measure themselves. */
  #pingHost(): void {
    this.#env.cancel(this.#pingTimer);
    const { host } = this.#machine;
    if (this.#closed || host === undefined || this.#paths.get(host) !== "relay") return;
    if (this.#socket.up) this.#relay.ping(host, this.#rtts.relay.get(host));
    this.#pingTimer = this.#env.after(RELAY_PING_MS, () => this.#pingHost());
  }

  #measured(id: string, ms: number, path: "p2p" | "relay"): void {
    const rtts = this.#rtts[path];
    const old = rtts.get(id);
    const rtt = old === undefined ? ms : (old + ms) / 2;
    rtts.set(id, rtt);
    const news = old === undefined || Math.abs(rtt - old) > Math.max(2, old * 0.2);
    if (news && this.#paths.get(id) === path) this.#desk.do(() => this.#hooks.notice({ kind: "link", id, path }, rtt));
  }

  // --- the server ---

  #said(message: ServerMessage): void {
    const { type, src, payload } = message;
    switch (type) {
      case "OPEN": this.#opened(payload); break;
      case "HOST": {
        const host = hostIn(payload);
        if (!host) break;
        this.#tell(() => `HOST ${short(host.host)} epoch ${host.epoch} (${host.cause})`);
        this.#mayDial = (payload as { p2p?: unknown }).p2p !== false;
        this.feed({ type: "host", host });
        break;
      }
      case "JOIN": {
        const member = entryIn(payload);
        if (member) this.feed({ type: "joined", member });
        break;
      }
      case "LEAVE":
        if (src === undefined) break;
        this.#paths.delete(src);
        this.#rtts.relay.delete(src);
        this.#channels.close(src);
        this.#hooks.signal(message);
        this.feed({ type: "left", id: src });
        break;
      case "RELAY": if (src !== undefined) this.#relay.received(src, payload); break;
      case "EXPIRE":
        if (src !== undefined && this.#channels.isDialling(src)) this.#channels.absent(src);
        this.#hooks.signal(message);
        break;
      case "OFFER": case "ANSWER": case "CANDIDATE": this.#hooks.signal(message); break;
      case "ICE": {
        const { ice } = (payload ?? {}) as { ice?: unknown };
        if (Array.isArray(ice)) this.#hooks.ice(ice as RTCIceServer[]);
        break;
      }
      default: break;
    }
    this.#relay.pump();
    this.#kick();
  }

  #opened(payload: unknown): void {
    const told = openIn(payload);
    if (!told) return this.#ended({ code: 4400, reason: "This server has no pages: it is not Peerstar." });
    const { open, p2p, maxMessageBytes, ice } = told;
    this.#tell(() => `OPEN host ${short(open.host)} epoch ${open.epoch}, ${open.members} here${open.recovering ? ", recovering" : ""}`);
    this.#unreachable = false;
    this.#mayDial = p2p;
    this.#relayAllowed = open.relay;
    this.#relay.open(maxMessageBytes);
    this.#status({ eligible: true, visible: this.#hooks.visible(), relay: this.#relayWanted, ...(this.#profile === undefined ? {} : { profile: this.#profile }) });
    this.#hooks.opened(ice);
    const since = this.#env.now() - SIGNAL_MS;
    for (const { text, at } of this.#signals.splice(0)) if (at >= since) this.#socket.send(text);
    this.feed({ type: "open", open });
    this.#channels.online();
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

  #aim(): void {
    const { host } = this.#machine;
    this.#channels.aim(this.#closed || !this.#options.p2p || !this.#mayDial || host === this.#options.id ? undefined : host, this.#relayAllowed);
  }

  // --- the end ---

  #ended(end: End): void {
    const reason = end.code === 4426 ? "This page's version of the library is not this server's: reload the page." : end.reason;
    this.#close({ code: end.code, reason }, end.code === 4410 ? "Closed" : "Refused");
  }

  #close(end: End, why: PeerstarErrorCode): void {
    if (this.#closed) return;
    this.#why = why;
    this.#reason = end.reason;
    this.#tell(() => `closed: ${end.code} ${end.reason}`);
    this.#events.push({ type: "leave" });
    this.#flush();
    this.#closed = true;
    this.#socket.leave();
    this.#channels.end();
    this.#env.cancel(this.#timer);
    this.#env.cancel(this.#pingTimer);
    this.#desk.do(() => {
      // Whatever the machine no longer knows of.
      for (const token of [...this.#promises.keys()]) this.#settle(token, "Closed");
      if (why !== "Closed") this.#hooks.error(this.#closedError());
      this.#hooks.closed(end);
    });
  }

  #closedError(): PeerstarError {
    return this.#why === "Refused" ? new PeerstarError("Refused", `The server does not let this page in: ${this.#reason ?? ""}`) : new PeerstarError("Closed");
  }

  #error(code: PeerstarErrorCode, message: string): void {
    this.#desk.do(() => this.#hooks.error(new PeerstarError(code, message)));
  }
}

/** May be large, and is void or harmless in whatever order it comes. */
function isBulk({ t }: Wire): boolean {
  return t === "restore" || t === "snap";
}

function rejected(error: Error): Promise<void> {
  const promise = Promise.reject(error);
  promise.catch(() => {});
  return promise;
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}
