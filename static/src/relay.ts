// Sends data over the server as RELAY messages: cut to the size that the server takes, and no more
// at a time than the receiver and this page's socket can pass on soon.

import { utf8Length } from "./codec.ts";
import type { Env, Timer } from "./env.ts";
import { FairQueue, type Lane } from "./fair-queue.ts";
import type { Event } from "./group/index.ts";
import { RELAY_LIMITS, type RelayLimits } from "./payload.ts";
import { cut, pieceIn, quotedCost, Reassembler } from "./pieces.ts";

/** The part of the server's socket that the relay uses. */
export interface RelaySocket {
  /** Bytes that the socket holds and has not sent yet. */
  readonly buffered: number;
  /** Returns whether the text was taken. */
  send(text: string): boolean;
}

/** Receives the reports of the relay. */
export interface RelayHooks {
  /** Passes events of the relay to the state machine. */
  feed(event: Event): void;
  /** A ping to a member was answered after `ms`, or that member reports its own measurement. */
  measured(id: string, ms: number): void;
}

/** Bytes in the socket's own buffer. The rest waits here, so that heartbeats pass it. */
const IN_SOCKET_BYTES = 256 << 10;
/** Waiting bytes at which back-pressure begins and ends. */
const HIGH_BYTES = 512 << 10;
const LOW_BYTES = 128 << 10;
/** Interval of looking whether the socket has room. A WebSocket does not tell. */
const POLL_MS = 15;
/**
 * Bytes around the payload of a RELAY: `type`, and `dst` or `src`. An id has 128 bytes at most,
 * each of which may be escaped.
 */
const ENVELOPE_BYTES = 320;
/** Bytes around the text of a piece. */
const PIECE_ENVELOPE_BYTES = 64;
/**
 * A receiver that echoes no mark for this long is gone, or was: what was under way to it is lost.
 */
const STUCK_MS = 4_000;
/** Interval of reports that pieces of a long message arrive. */
const PROGRESS_MS = 500;
/** Round trips above this are not believed. */
const RTT_MAX_MS = 60_000;

/**
 * The frames of one message. Each is made when it is sent, because a long message is one text for
 * many receivers.
 */
type Frames = Iterator<string, undefined>;

/** State of sending to one member. Sizes are in bytes, counted from the start of the flow. */
interface Flow {
  sent: number;
  /** Value of `sent` in the last mark. */
  marked: number;
  /** Value of the last mark that the member has echoed. */
  echoed: number;
  /** When `echoed` last grew, or sending began. */
  progressAt: number;
  /** Messages that wait, by lane. The lanes alternate. */
  readonly messages: Frames[];
  readonly snapshots: Frames[];
  snapshotsNext: boolean;
}

/**
 * Messages between two relays. `m`: mark, "I have sent you `n` bytes". `e`: echo of a mark, "they
 * have arrived". `p`: ping at the time `n`, with the last round trip. `q`: answer to a ping.
 */
type Control =
  | { readonly r: "m" | "e"; readonly n: number }
  | { readonly r: "p"; readonly n: number; readonly ms?: number }
  | { readonly r: "q"; readonly n: number };

export class Relay {
  readonly #env: Env;
  readonly #socket: RelaySocket;
  readonly #hooks: RelayHooks;
  readonly #reassembler = new Reassembler();
  readonly #queue = new FairQueue(
    () => this.#socket.buffered < IN_SOCKET_BYTES,
    (frame) => this.#socket.send(frame),
  );
  readonly #flows = new Map<string, Flow>();
  /** Whether back-pressure is reported, for each of the machine's two links. */
  readonly #high = { relay: false, states: false };
  /** When it was last reported that pieces of a member arrive. */
  readonly #progressAt = new Map<string, number>();
  /** Number of the last message that went in pieces. */
  #lastCut = 0;
  /** Maximum bytes of payload in one frame. */
  #frameBytes = 0;
  /**
   * Bytes under way to one member before the next frame waits. With that frame they stay below half
   * of `queueBytes`.
   */
  #windowBytes = 0;
  #timer: Timer;
  #polling = false;

  constructor(env: Env, socket: RelaySocket, hooks: RelayHooks) {
    this.#env = env;
    this.#socket = socket;
    this.#hooks = hooks;
    this.#setLimits(RELAY_LIMITS);
  }

  /** Called when a new socket is open. What was under way on the old one is lost. */
  open(limits: RelayLimits): void {
    this.#setLimits(limits);
    this.close();
  }

  /** Forgets everything that waits or is under way. */
  close(): void {
    this.#queue.clear();
    this.#flows.clear();
    this.#progressAt.clear();
    this.#reassembler.forget();
    this.#reportPressure();
  }

  /** Measures the round trip to a member. `ms`: the last measurement, which the member is told. */
  ping(to: string, ms: number | undefined): void {
    this.#sendControl(to, {
      r: "p",
      n: this.#env.now(),
      ...(ms === undefined ? {} : { ms: Math.round(ms * 10) / 10 }),
    });
  }

  /** Forgets a member that has left. */
  forget(id: string): void {
    this.#flows.delete(id);
    this.#progressAt.delete(id);
    this.#reassembler.forget(id);
  }

  /**
   * Called when the host changes. Nobody listens any more to unfinished messages of, or to, the
   * last host.
   */
  hostChanged(): void {
    const before = this.#env.now() - STUCK_MS;
    for (const [id, flow] of this.#flows) {
      dropWaiting(flow);
      if (flow.sent === flow.echoed || flow.progressAt < before) this.#flows.delete(id);
    }
    this.#progressAt.clear();
    this.#reassembler.forget();
  }

  /** Returns whether a snapshot is being sent to a member. */
  hasSnapshot(to: string): boolean {
    const flow = this.#flows.get(to);
    return flow !== undefined && flow.snapshots.length > 0 && !this.#isStuck(flow);
  }

  /** Sends a message. Without `to` it goes to all members if this page hosts, else to the host. */
  send(to: string | undefined, text: string, lane: Lane): void {
    const frames = this.#framesOf(to, text);
    if (to === undefined) for (const frame of frames) this.#queue.push(frame, lane);
    else this.#sendTo(to, frames, lane);
    this.drain();
  }

  /** Handles the payload of a RELAY from a member. */
  received(from: string, payload: unknown): void {
    if (this.#handledControl(from, payload)) return;
    const piece = pieceIn(payload);
    if (!piece) return this.#receivedMessage(from, payload);
    const text = this.#reassembler.add(from, piece);
    if (text === undefined) return this.#reportProgress(from);
    try {
      this.#receivedMessage(from, JSON.parse(text));
    } catch {
      // The pieces make no message. They count as lost.
    }
  }

  /** Writes what the socket has room for, and reports back-pressure. */
  drain(): void {
    this.#queue.drain();
    this.#reportPressure();
  }

  #setLimits({ maxMessageBytes, queueBytes }: RelayLimits): void {
    this.#frameBytes = Math.max(256, Math.min(maxMessageBytes, queueBytes / 16) - ENVELOPE_BYTES);
    this.#windowBytes = (queueBytes * 3) / 8;
  }

  // --- sending ---

  *#framesOf(to: string | undefined, text: string): Generator<string, undefined> {
    const head =
      to === undefined
        ? '{"type":"RELAY","payload":'
        : `{"type":"RELAY","dst":${JSON.stringify(to)},"payload":`;
    // A character takes at most three bytes, so a short text need not be counted.
    if (text.length * 3 <= this.#frameBytes || utf8Length(text) <= this.#frameBytes)
      return void (yield `${head}${text}}`);
    const k = ++this.#lastCut;
    const pieces = cut(text, this.#frameBytes - PIECE_ENVELOPE_BYTES, quotedCost);
    for (const [i, x] of pieces.entries())
      yield `${head}${JSON.stringify({ k, i, of: pieces.length, x })}}`;
  }

  #sendTo(to: string, frames: Frames, lane: Lane): void {
    let flow = this.#flows.get(to);
    if (!flow) this.#flows.set(to, (flow = newFlow(this.#env.now())));
    if (this.#isStuck(flow)) {
      dropWaiting(flow);
      flow.echoed = flow.sent;
    }
    flow[lane].push(frames);
    this.#fillWindow(to, flow);
  }

  #isStuck({ sent, echoed, progressAt }: Flow): boolean {
    return sent - echoed > this.#windowBytes && this.#env.now() - progressAt > STUCK_MS;
  }

  /** Queues frames for a member until its window is full. */
  #fillWindow(to: string, flow: Flow): void {
    while (flow.sent - flow.echoed <= this.#windowBytes) {
      const [first, second]: readonly [Lane, Lane] = flow.snapshotsNext
        ? ["snapshots", "messages"]
        : ["messages", "snapshots"];
      const lane = flow[first].length > 0 ? first : second;
      const frames = flow[lane][0];
      if (!frames) return;
      const { value: frame } = frames.next();
      if (frame === undefined) {
        flow[lane].shift();
        continue;
      }
      flow.snapshotsNext = !flow.snapshotsNext;
      if (flow.sent === flow.echoed) flow.progressAt = this.#env.now();
      flow.sent += this.#queue.push(frame, lane);
      if (flow.sent - flow.marked < this.#windowBytes / 6) continue;
      flow.marked = flow.sent;
      this.#queue.push(controlText(to, { r: "m", n: flow.sent }), lane);
    }
  }

  // --- control messages ---

  #sendControl(to: string, message: Control): void {
    this.#socket.send(controlText(to, message));
  }

  /** Returns whether the payload was a control message. */
  #handledControl(from: string, payload: unknown): boolean {
    if (typeof payload !== "object" || payload === null) return false;
    const { r, n, ms } = payload as { r?: unknown; n?: unknown; ms?: unknown };
    if (typeof r !== "string" || typeof n !== "number") return false;
    switch (r) {
      case "m":
        this.#sendControl(from, { r: "e", n });
        break;
      case "e":
        this.#echoed(from, n);
        break;
      case "p":
        this.#sendControl(from, { r: "q", n });
        if (typeof ms === "number") this.#hooks.measured(from, ms);
        break;
      case "q": {
        const rttMs = this.#env.now() - n;
        if (rttMs >= 0 && rttMs < RTT_MAX_MS) this.#hooks.measured(from, rttMs);
        break;
      }
      default:
        break;
    }
    return true;
  }

  #echoed(from: string, n: number): void {
    const flow = this.#flows.get(from);
    if (!flow || n <= flow.echoed || n > flow.sent) return;
    flow.echoed = n;
    flow.progressAt = this.#env.now();
    this.#fillWindow(from, flow);
    this.drain();
  }

  // --- reports ---

  #receivedMessage(from: string, message: unknown): void {
    this.#hooks.feed({ type: "received", from, via: "relay", message });
  }

  #reportProgress(from: string): void {
    const now = this.#env.now();
    if (now - (this.#progressAt.get(from) ?? -PROGRESS_MS) < PROGRESS_MS) return;
    this.#progressAt.set(from, now);
    this.#hooks.feed({ type: "heard", from, via: "relay" });
  }

  #reportPressure(): void {
    const { messages, snapshots } = this.#queue.waiting;
    // While one lane fills the socket's buffer, that buffer does not tell how long the other lane
    // waits.
    this.#reportLoad("relay", messages + (snapshots > 0 ? 0 : this.#socket.buffered));
    this.#reportLoad("states", snapshots + (messages > 0 ? 0 : this.#socket.buffered));
    const isIdle = !this.#high.relay && !this.#high.states && messages + snapshots === 0;
    if (this.#polling || isIdle) return;
    this.#polling = true;
    this.#env.cancel(this.#timer);
    this.#timer = this.#env.after(POLL_MS, () => {
      this.#polling = false;
      this.drain();
    });
  }

  #reportLoad(link: "relay" | "states", bytes: number): void {
    const high = this.#high[link] ? bytes > LOW_BYTES : bytes > HIGH_BYTES;
    if (high === this.#high[link]) return;
    this.#high[link] = high;
    this.#hooks.feed({ type: "pressure", link, high });
  }
}

function newFlow(now: number): Flow {
  return {
    sent: 0,
    marked: 0,
    echoed: 0,
    progressAt: now,
    messages: [],
    snapshots: [],
    snapshotsNext: false,
  };
}

function dropWaiting(flow: Flow): void {
  flow.messages.length = 0;
  flow.snapshots.length = 0;
}

function controlText(to: string, message: Control): string {
  return JSON.stringify({ type: "RELAY", dst: to, payload: message });
}
