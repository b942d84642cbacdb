// Data channels of the star: one for each pair. PeerJS makes them; when they are dead, nobody but us notices.

import type { Env, Timer } from "./env.ts";
import { type Lane, Lanes } from "./lanes.ts";
import { cut, Joiner } from "./pieces.ts";
import { Targets } from "./targets.ts";

/** As much of PeerJS's DataConnection as is used here. */
export interface Connection {
  readonly peer: string;
  readonly connectionId: string;
  readonly open: boolean;
  readonly dataChannel: RTCDataChannel | undefined;
  on(name: "open" | "close", listener: () => void): unknown;
  on(name: "data", listener: (data: unknown) => void): unknown;
  on(name: "error", listener: (error: unknown) => void): unknown;
  close(): void;
}

export interface ChannelHooks {
  up(id: string, up: boolean): void;
  received(id: string, message: unknown): void;
  /** In the middle of something long. */
  heard(id: string): void;
  /** A ping of the peer's page, or its answer to ours. */
  alive(id: string): void;
  pressure(id: string, high: boolean): void;
  rtt(id: string, ms: number): void;
  /** Dialling this target has failed so often in a row. */
  failed(id: string, times: number): void;
  connect(id: string): Connection | undefined;
  /** Nothing more is to be heard of that one. */
  over(connectionId: string): void;
  /** The WebSocket is up: signalling works. */
  online(): boolean;
}

/** A dial through a TURN server takes a few seconds. The server's `fairMs` may allow it more time. */
const OPEN_MS = 8_000;
/** A silent link counts as dead after `linkSilentMs` (2.5 s), so two pings fit in. */
const PING_MS = 1_000;
const SILENT_MS = 6_000;
/** While a page changes hosts, its data goes over the relay: the work of dialling must not be in its way. */
const MOVE_MS = 250;
/** PeerJS closes a connection on a message above 262,144 bytes; a character is three at most. */
const WHOLE = 64 << 10;
/** Small, because the first piece tells a host on a slow network that its question for a state is being answered. */
const PIECE = 4 << 10;
/** Far below the 8 MB at which PeerJS begins to queue. */
const IN_CHANNEL = 256 << 10;
/**
 * Bytes of states in the channel. A message waits behind them: 1.6 s where the network carries 20 KB/s. What waits
 * outside the channel lets messages pass and can be dropped.
 */
const STATES_IN_CHANNEL = 32 << 10;
const HIGH = 768 << 10;
const LOW = 192 << 10;
const HEARD_MS = 500;
/** Two that opened so close to each other were dialled from both sides. */
const TWICE_MS = 4_000;

/** The part this page plays in the star. */
export interface Aim {
  /** The host to dial; none for the host itself, and for a member that is served by the relay. */
  readonly host: string | undefined;
  /** The deputy to dial. */
  readonly deputy: string | undefined;
  /** Others rely on their channels to this page: it is the host or the deputy. */
  readonly serves: boolean;
  /** Data reaches the host over the relay until its channel is open. */
  readonly relayed: boolean;
}

export class Channels {
  readonly #env: Env;
  readonly #hooks: ChannelHooks;
  readonly #open = new Map<string, Channel>();
  readonly #opening = new Set<Channel>();
  readonly #targets: Targets;
  #host: string | undefined;
  #deputy: string | undefined;
  #serves = false;
  /** How long a dial may take. */
  #openMs = OPEN_MS;

  constructor(env: Env, hooks: ChannelHooks) {
    this.#env = env;
    this.#hooks = hooks;
    this.#targets = new Targets(env, {
      dial: (id) => this.#dial(id),
      release: (id) => this.#release(id),
      failed: (id, times) => hooks.failed(id, times),
    });
  }

  /** Dials whom this page is to have a channel to; returns whether that is news. No open channel closes and no dial ends for 30 s. */
  aim({ host, deputy, serves, relayed }: Aim): boolean {
    this.#serves = serves;
    if (host === this.#host && deputy === this.#deputy) return false;
    const moving = relayed && this.#host !== undefined && host !== this.#host;
    this.#host = host;
    this.#deputy = deputy;
    const ids = new Set([host, deputy].filter((id) => id !== undefined));
    this.#targets.set(ids, () =>
      moving ? MOVE_MS * (1 + this.#env.random()) : this.#env.random() * 60,
    );
    return true;
  }

  /** Takes the server's word for how long a dial may take, in ms. Never less than 8 s. */
  allow(fairMs: number): void {
    this.#openMs = Math.max(OPEN_MS, fairMs);
  }

  /** The WebSocket is back. */
  online(): void {
    this.#targets.retry(() => this.#env.random() * 100);
  }

  /** The targets that have an open channel, each with the time its dial took in ms. */
  reached(): Record<string, number> {
    const reached: Record<string, number> = {};
    for (const id of this.#targets.ids()) {
      const channel = this.#open.get(id);
      if (channel) reached[id] = Math.round(channel.openedAt - channel.madeAt);
    }
    return reached;
  }

  #dial(id: string): void {
    if (this.#open.has(id) || this.isDialling(id) || !this.#hooks.online()) return;
    let connection: Connection | undefined;
    try {
      connection = this.#hooks.connect(id);
    } catch (error) {
      // Too many RTCPeerConnections, or none at all in this browser.
      console.warn("peerstar: no data channel:", error);
    }
    if (connection) this.#take(connection, true);
    else this.#targets.again(id);
  }

  /** A former target: what this page dialled ends, unless others rely on their channels to this page. */
  #release(id: string): boolean {
    if (this.#serves) return false;
    for (const channel of [...this.#opening, this.#open.get(id)])
      if (channel?.id === id && channel.dialled) channel.end();
    return true;
  }

  /** One that another member dialled. */
  accept(connection: Connection): void {
    this.#take(connection, false);
  }

  #take(connection: Connection, dialled: boolean): void {
    const channel = new Channel(this.#env, connection, dialled, this.#openMs, {
      opened: () => this.#opened(channel),
      received: (message) => {
        if (this.#open.get(channel.id) === channel) this.#hooks.received(channel.id, message);
      },
      heard: () => {
        if (this.#open.get(channel.id) === channel) this.#hooks.heard(channel.id);
      },
      alive: () => {
        if (this.#open.get(channel.id) === channel) this.#hooks.alive(channel.id);
      },
      pressure: (high) => {
        if (this.#open.get(channel.id) === channel) this.#hooks.pressure(channel.id, high);
      },
      rtt: (ms) => this.#hooks.rtt(channel.id, ms),
      ended: () => this.#ended(channel),
    });
    this.#opening.add(channel);
  }

  #opened(channel: Channel): void {
    const { id } = channel;
    this.#opening.delete(channel);
    const old = this.#open.get(id);
    if (old) {
      // Both sides must choose the same one.
      const twice = channel.openedAt - old.openedAt < TWICE_MS && channel.dialled !== old.dialled;
      if (twice && old.key > channel.key) return channel.end();
      this.#open.delete(id);
      old.end();
      this.#hooks.up(id, false);
    }
    this.#open.set(id, channel);
    this.#targets.reached(id);
    this.#hooks.up(id, true);
  }

  #ended(channel: Channel): void {
    this.#opening.delete(channel);
    this.#hooks.over(channel.key);
    const was = this.#open.get(channel.id) === channel;
    if (was) {
      this.#open.delete(channel.id);
      this.#hooks.up(channel.id, false);
    }
    if ((was || channel.dialled) && !this.#open.has(channel.id)) this.#targets.again(channel.id);
  }

  send(id: string, text: string, bulk: boolean): void {
    this.#open.get(id)?.send(text, bulk);
  }

  hasState(id: string): boolean {
    return this.#open.get(id)?.hasState ?? false;
  }

  /** There is another host: nobody waits for a state of before. */
  turn(): void {
    for (const channel of this.#open.values()) channel.dropState();
  }

  /** Who was dialled is not there. */
  absent(id: string): void {
    for (const channel of [...this.#opening])
      if (channel.id === id && channel.dialled) channel.end();
  }

  isDialling(id: string): boolean {
    return [...this.#opening].some((channel) => channel.id === id && channel.dialled);
  }

  close(id: string): void {
    this.#open.get(id)?.end();
  }

  /** The page goes; `aim` may follow if it comes back. */
  end(): void {
    this.#host = undefined;
    this.#deputy = undefined;
    this.#targets.clear();
    for (const channel of [...this.#opening, ...this.#open.values()]) channel.end();
  }
}

interface OneHooks {
  opened(): void;
  received(message: unknown): void;
  heard(): void;
  alive(): void;
  pressure(high: boolean): void;
  rtt(ms: number): void;
  ended(): void;
}

/**
 * One channel. A frame is a whole message (JSON), `c<k>,<i>,<of>:<text>` a piece of one, `p<time>` a ping and
 * `q<time>` its answer.
 */
class Channel {
  readonly id: string;
  readonly key: string;
  readonly madeAt: number;
  openedAt = Infinity;
  readonly #env: Env;
  readonly #connection: Connection;
  readonly #hooks: OneHooks;
  readonly #joiner = new Joiner();
  readonly #lanes = new Lanes(
    (lane) =>
      this.#dc !== undefined &&
      this.#dc.bufferedAmount < IN_CHANNEL &&
      (lane === "small" || this.#statesInside() < STATES_IN_CHANNEL),
    (frame, bytes, lane) => this.#write(frame, bytes, lane),
  );
  /** Bytes written so far. */
  #written = 0;
  /** Pieces of states in the channel, each with the value of `#written` after it. */
  #pieces: { readonly end: number; readonly bytes: number }[] = [];
  #dc: RTCDataChannel | undefined;
  #high = false;
  #next = 0;
  #heardAt = 0;
  #toldAt = -Infinity;
  #tickDue = 0;
  #timer: Timer;
  #ended = false;

  constructor(
    env: Env,
    connection: Connection,
    readonly dialled: boolean,
    openMs: number,
    hooks: OneHooks,
  ) {
    this.#env = env;
    this.#connection = connection;
    this.#hooks = hooks;
    this.id = connection.peer;
    this.key = connection.connectionId;
    this.madeAt = env.now();
    this.#timer = env.after(openMs, () => this.end());
    connection.on("open", () => this.#opened());
    connection.on("data", (data) => this.#heard(data));
    connection.on("close", () => this.end());
    connection.on("error", () => this.end());
  }

  #opened(): void {
    const dc = this.#connection.dataChannel;
    if (this.#ended || this.#dc || !dc) return;
    this.#dc = dc;
    this.#env.cancel(this.#timer);
    dc.addEventListener("bufferedamountlow", () => this.#pump());
    const now = this.#env.now();
    this.openedAt = now;
    this.#heardAt = now;
    this.#hooks.opened();
    if (this.#ended) return;
    this.#ping();
    this.#schedule();
  }

  // --- in ---

  #heard(data: unknown): void {
    if (this.#ended || typeof data !== "string") return;
    this.#heardAt = this.#env.now();
    switch (data[0]) {
      case "{":
        return this.#message(data);
      case "c":
        return this.#piece(data);
      case "p":
        this.#write(`q${data.slice(1)}`);
        return this.#hooks.alive();
      case "q": {
        this.#hooks.alive();
        const ms = this.#env.now() - Number(data.slice(1));
        if (ms >= 0 && ms < 60_000) this.#hooks.rtt(ms);
        return;
      }
      default:
        return;
    }
  }

  #message(text: string): void {
    let message: unknown;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    this.#hooks.received(message);
  }

  #piece(data: string): void {
    const match = /^c(\d+),(\d+),(\d+):/.exec(data);
    if (!match) return;
    const text = this.#joiner.add("", {
      k: Number(match[1]),
      i: Number(match[2]),
      of: Number(match[3]),
      x: data.slice(match[0].length),
    });
    if (text !== undefined) return this.#message(text);
    const now = this.#env.now();
    if (now - this.#toldAt < HEARD_MS) return;
    this.#toldAt = now;
    this.#hooks.heard();
  }

  // --- out ---

  send(text: string, bulk: boolean): void {
    if (text.length <= (bulk ? PIECE : WHOLE)) this.#lanes.push(text, bulk);
    else {
      const k = ++this.#next;
      const pieces = cut(text, PIECE, () => 1);
      pieces.forEach((x, i) => this.#lanes.push(`c${k},${i},${pieces.length}:${x}`, bulk));
    }
    this.#pump();
  }

  get hasState(): boolean {
    return this.#lanes.waiting.bulk > 0 || this.#statesInside() > 0;
  }

  /** Returns the bytes of states that the channel holds, not counting what is on the network. */
  #statesInside(): number {
    const gone = this.#written - (this.#dc?.bufferedAmount ?? 0);
    this.#pieces = this.#pieces.filter(({ end }) => end > gone);
    return this.#pieces.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  dropState(): void {
    this.#lanes.dropBulk();
  }

  #pump(): void {
    const dc = this.#dc;
    if (!dc || this.#ended) return;
    this.#lanes.pour();
    // The bytes of states do not count: they do not tell how long messages wait.
    const { small, bulk } = this.#lanes.waiting;
    dc.bufferedAmountLowThreshold = (bulk > 0 ? STATES_IN_CHANNEL : LOW) / 2;
    const load = small + (bulk > 0 ? 0 : dc.bufferedAmount);
    const high = this.#high ? load > LOW : load > HIGH;
    if (high === this.#high || this.#ended) return;
    this.#high = high;
    this.#hooks.pressure(high);
  }

  #write(frame: string, bytes = frame.length, lane: Lane = "small"): boolean {
    const dc = this.#dc;
    if (dc?.readyState !== "open") return false;
    try {
      dc.send(frame);
      this.#written += bytes;
      if (lane === "bulk") this.#pieces.push({ end: this.#written, bytes });
      return true;
    } catch {
      this.end();
      return false;
    }
  }

  // --- life ---

  #ping(): void {
    this.#write(`p${this.#env.now().toFixed(1)}`);
  }

  #schedule(): void {
    this.#tickDue = this.#env.now() + PING_MS;
    this.#timer = this.#env.after(PING_MS, () => this.#tick());
  }

  #tick(): void {
    const now = this.#env.now();
    // A page that slept itself has heard nothing either: give the other side a chance first.
    if (now - this.#tickDue > PING_MS) this.#heardAt = now;
    if (now - this.#heardAt > SILENT_MS) return this.end();
    this.#ping();
    this.#schedule();
  }

  /** Once, however it ended. The other side comes back to life after a stop, and must then find nothing here. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#env.cancel(this.#timer);
    this.#connection.close();
    this.#hooks.ended();
  }
}
