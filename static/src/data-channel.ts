// One data channel to one member. PeerJS opens it; this file notices when it is dead.
//
// A frame is one of four: a whole message (JSON); `c<k>,<i>,<of>:<text>`, a piece of a message;
// `p<time>`, a ping; `q<time>`, the answer to a ping.

import type { Connection } from "./connection.ts";
import type { Env, Timer } from "./env.ts";
import { FairQueue, type Lane } from "./fair-queue.ts";
import type { Event } from "./group/index.ts";
import { cut, Reassembler } from "./pieces.ts";

/** Receives the reports of a channel. */
export interface ChannelOwner {
  opened(channel: DataChannel): void;
  /** Called once, when the channel has closed or could not be opened. */
  ended(channel: DataChannel): void;
  /** Passes on what the channel reports to the state machine. */
  report(channel: DataChannel, event: Event): void;
  /** A ping was answered after `ms`. */
  measured(id: string, ms: number): void;
}

/**
 * Interval of pings. The state machine takes a link for dead after 2.5 s of silence
 * (`linkSilentMs`), so two pings fit into that time.
 */
const PING_MS = 1_000;
/** A channel that is silent for this long is closed. */
const SILENT_MS = 6_000;
/**
 * PeerJS closes a connection on a message above 262,144 bytes. A character takes at most three
 * bytes.
 */
const WHOLE_CHARS = 64 << 10;
/** Small, so that on a slow network the first piece tells the host in time that a giver answers. */
const PIECE_CHARS = 4 << 10;
/** Bytes in the data channel's own buffer. PeerJS begins to queue at 8 MB. */
const IN_CHANNEL_BYTES = 256 << 10;
/**
 * Bytes of snapshots in that buffer. Messages wait behind them: for 1.6 s where the network carries
 * 20 KB/s. What waits outside the buffer lets messages pass and can be dropped.
 */
const SNAPSHOTS_IN_CHANNEL_BYTES = 32 << 10;
/** Waiting bytes at which back-pressure begins and ends. */
const HIGH_BYTES = 768 << 10;
const LOW_BYTES = 192 << 10;
/** Interval of reports that pieces of a long message arrive. */
const PROGRESS_MS = 500;

export class DataChannel {
  readonly id: string;
  /** The connection's id, which is the same on both sides. */
  readonly key: string;
  readonly createdAt: number;
  openedAt = Infinity;
  readonly #env: Env;
  readonly #connection: Connection;
  readonly #owner: ChannelOwner;
  readonly #reassembler = new Reassembler();
  readonly #queue = new FairQueue(
    (lane) =>
      this.#dc !== undefined &&
      this.#dc.bufferedAmount < IN_CHANNEL_BYTES &&
      (lane === "messages" || this.#bufferedSnapshots() < SNAPSHOTS_IN_CHANNEL_BYTES),
    (frame, bytes, lane) => this.#write(frame, bytes, lane),
  );
  /** Bytes written so far. */
  #written = 0;
  /** Snapshot pieces in the channel's buffer, each with the value of `#written` after it. */
  #pieces: { readonly end: number; readonly bytes: number }[] = [];
  #dc: RTCDataChannel | undefined;
  /** Whether back-pressure is reported. */
  #high = false;
  /** Number of the last message that went in pieces. */
  #lastCut = 0;
  #heardAt = 0;
  #progressAt = -Infinity;
  #tickDue = 0;
  /** The dial's timeout; once the channel is open, the next tick. */
  #timer: Timer;
  #ended = false;

  /** `dialled`: whether this page dialled. `dialMs`: how long the dial may take. */
  constructor(
    env: Env,
    connection: Connection,
    readonly dialled: boolean,
    dialMs: number,
    owner: ChannelOwner,
  ) {
    this.#env = env;
    this.#connection = connection;
    this.#owner = owner;
    this.id = connection.peer;
    this.key = connection.connectionId;
    this.createdAt = env.now();
    this.#timer = env.after(dialMs, () => this.end());
    connection.on("open", () => this.#opened());
    connection.on("data", (data) => this.#received(data));
    connection.on("close", () => this.end());
    connection.on("error", () => this.end());
  }

  /** How long the dial took, in ms. */
  get dialMs(): number {
    return this.openedAt - this.createdAt;
  }

  /** Whether a snapshot waits to be sent, in the queue or in the channel's buffer. */
  get hasSnapshot(): boolean {
    return this.#queue.waiting.snapshots > 0 || this.#bufferedSnapshots() > 0;
  }

  send(text: string, lane: Lane): void {
    if (text.length <= (lane === "messages" ? WHOLE_CHARS : PIECE_CHARS))
      this.#queue.push(text, lane);
    else {
      const k = ++this.#lastCut;
      const pieces = cut(text, PIECE_CHARS, () => 1);
      pieces.forEach((x, i) => this.#queue.push(`c${k},${i},${pieces.length}:${x}`, lane));
    }
    this.#drain();
  }

  dropSnapshots(): void {
    this.#queue.dropSnapshots();
  }

  /**
   * Closes the connection. A stopped page at the other end may come back to life, and must then
   * find it closed.
   */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#env.cancel(this.#timer);
    this.#connection.close();
    this.#owner.ended(this);
  }

  #opened(): void {
    const dc = this.#connection.dataChannel;
    if (this.#ended || this.#dc || !dc) return;
    this.#dc = dc;
    this.#env.cancel(this.#timer);
    dc.addEventListener("bufferedamountlow", () => this.#drain());
    const now = this.#env.now();
    this.openedAt = now;
    this.#heardAt = now;
    this.#owner.opened(this);
    if (this.#ended) return;
    this.#ping();
    this.#schedule();
  }

  // --- receiving ---

  #received(data: unknown): void {
    if (this.#ended || typeof data !== "string") return;
    this.#heardAt = this.#env.now();
    switch (data[0]) {
      case "{":
        return this.#receivedMessage(data);
      case "c":
        return this.#receivedPiece(data);
      case "p":
        this.#write(`q${data.slice(1)}`);
        return this.#report({ type: "alive", id: this.id });
      case "q": {
        this.#report({ type: "alive", id: this.id });
        const ms = this.#env.now() - Number(data.slice(1));
        if (ms >= 0 && ms < 60_000) this.#owner.measured(this.id, ms);
        return;
      }
      default:
        return;
    }
  }

  #receivedMessage(text: string): void {
    let message: unknown;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    this.#report({ type: "received", from: this.id, via: "p2p", message });
  }

  #receivedPiece(data: string): void {
    const match = /^c(\d+),(\d+),(\d+):/.exec(data);
    if (!match) return;
    const text = this.#reassembler.add("", {
      k: Number(match[1]),
      i: Number(match[2]),
      of: Number(match[3]),
      x: data.slice(match[0].length),
    });
    if (text !== undefined) return this.#receivedMessage(text);
    const now = this.#env.now();
    if (now - this.#progressAt < PROGRESS_MS) return;
    this.#progressAt = now;
    this.#report({ type: "heard", from: this.id, via: "p2p" });
  }

  #report(event: Event): void {
    this.#owner.report(this, event);
  }

  // --- sending ---

  #drain(): void {
    const dc = this.#dc;
    if (!dc || this.#ended) return;
    this.#queue.drain();
    // While a snapshot fills the channel's buffer, that buffer does not tell how long messages
    // wait.
    const { messages, snapshots } = this.#queue.waiting;
    dc.bufferedAmountLowThreshold = (snapshots > 0 ? SNAPSHOTS_IN_CHANNEL_BYTES : LOW_BYTES) / 2;
    const load = messages + (snapshots > 0 ? 0 : dc.bufferedAmount);
    const high = this.#high ? load > LOW_BYTES : load > HIGH_BYTES;
    if (high === this.#high || this.#ended) return;
    this.#high = high;
    this.#report({ type: "pressure", link: this.id, high });
  }

  /** Returns the bytes of snapshots in the channel's buffer. */
  #bufferedSnapshots(): number {
    const gone = this.#written - (this.#dc?.bufferedAmount ?? 0);
    this.#pieces = this.#pieces.filter(({ end }) => end > gone);
    return this.#pieces.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  #write(frame: string, bytes = frame.length, lane: Lane = "messages"): boolean {
    const dc = this.#dc;
    if (dc?.readyState !== "open") return false;
    try {
      dc.send(frame);
      this.#written += bytes;
      if (lane === "snapshots") this.#pieces.push({ end: this.#written, bytes });
      return true;
    } catch {
      this.end();
      return false;
    }
  }

  // --- liveness ---

  #ping(): void {
    this.#write(`p${this.#env.now().toFixed(1)}`);
  }

  #schedule(): void {
    this.#tickDue = this.#env.now() + PING_MS;
    this.#timer = this.#env.after(PING_MS, () => this.#tick());
  }

  #tick(): void {
    const now = this.#env.now();
    // A page that slept has heard nothing either, so the other side gets another `SILENT_MS`.
    if (now - this.#tickDue > PING_MS) this.#heardAt = now;
    if (now - this.#heardAt > SILENT_MS) return this.end();
    this.#ping();
    this.#schedule();
  }
}
