// Data over the server: RELAY within the size it takes, and no more in the socket than can leave soon.

import { utf8Length } from "./codec.ts";
import type { Env, Timer } from "./env.ts";
import { Lanes } from "./lanes.ts";
import { cut, Joiner, pieceIn, quotedCost } from "./pieces.ts";
import type { ServerSocket } from "./socket.ts";

/** Left in the socket at once; the rest waits here, so that heartbeats pass it. */
const IN_SOCKET = 256 << 10;
const HIGH = 512 << 10;
const LOW = 128 << 10;
const LOOK_MS = 15;
/** Bytes for `type` and `dst` (`src`, when it is delivered) around the payload: an id has 128 at most, each of which may be escaped. */
const AROUND = 320;
/** Bytes around a piece's text. */
const PIECE_AROUND = 64;
/** No answer to a mark for so long: it is gone, or was, and what was under way is lost. */
const STUCK_MS = 4_000;
const HEARD_MS = 500;

export interface RelayHooks {
  received(from: string, message: unknown): void;
  /** In the middle of something long. */
  heard(from: string): void;
  pressure(of: "relay" | "states", high: boolean): void;
  rtt(id: string, ms: number): void;
}

/** The frames of one message, each written when it goes: what waits for many is one text. */
type Frames = Iterator<string, undefined>;

/** What the server takes, in bytes. */
export interface RelayLimits {
  /** Of one message as it is delivered. */
  readonly maxMessageBytes: number;
  /** What the server keeps for one member that is slow. Its peers may fill half of that; what is beyond is dropped. */
  readonly queueBytes: number;
}

/** A server that does not say has these. */
export const RELAY_LIMITS: RelayLimits = { maxMessageBytes: 65_536, queueBytes: 1 << 20 };

/** What goes to one member, and how much of it is known to have come, in bytes. */
interface Way {
  sent: number;
  marked: number;
  echoed: number;
  /** When that last grew. */
  at: number;
  /** They take turns. */
  readonly small: Frames[];
  readonly bulk: Frames[];
  turn: boolean;
}

/** Between two relays: `m` so many bytes I sent you, `e` and they came; `p` a ping, with the last round trip, `q` its answer. */
type Control =
  | { readonly r: "m" | "e"; readonly n: number }
  | { readonly r: "p"; readonly n: number; readonly ms?: number }
  | { readonly r: "q"; readonly n: number };

export class Relay {
  readonly #env: Env;
  readonly #socket: ServerSocket;
  readonly #hooks: RelayHooks;
  readonly #joiner = new Joiner();
  readonly #lanes = new Lanes(
    () => this.#socket.buffered < IN_SOCKET,
    (frame) => this.#socket.send(frame),
  );
  readonly #ways = new Map<string, Way>();
  readonly #high = { relay: false, states: false };
  /** When it was last said that pieces of one come. */
  readonly #told = new Map<string, number>();
  #next = 0;
  /** Bytes of payload in one frame. */
  #room = 0;
  /** Bytes under way to one member, without the frame that goes beyond: together less than half of `queueBytes`. */
  #window = 0;
  #timer: Timer;
  #looking = false;

  constructor(env: Env, socket: ServerSocket, hooks: RelayHooks) {
    this.#env = env;
    this.#socket = socket;
    this.#hooks = hooks;
    this.#limit(RELAY_LIMITS);
  }

  /** A new socket: what was under way is lost. */
  open(limits: RelayLimits): void {
    this.#limit(limits);
    this.close();
  }

  #limit({ maxMessageBytes, queueBytes }: RelayLimits): void {
    this.#room = Math.max(256, Math.min(maxMessageBytes, queueBytes / 16) - AROUND);
    this.#window = (queueBytes * 3) / 8;
  }

  close(): void {
    this.#lanes.clear();
    this.#ways.clear();
    this.#told.clear();
    this.#joiner.forget();
    this.#press();
  }

  /** Measures the way to one and back; `ms`, what was measured last, is told along. */
  ping(to: string, ms: number | undefined): void {
    this.#control(to, {
      r: "p",
      n: this.#env.now(),
      ...(ms === undefined ? {} : { ms: Math.round(ms * 10) / 10 }),
    });
  }

  /** That one has gone. */
  gone(id: string): void {
    this.#ways.delete(id);
    this.#told.delete(id);
    this.#joiner.forget(id);
  }

  /** There is another host: nobody listens to what the last one, or anyone to it, has not finished. */
  turn(): void {
    const before = this.#env.now() - STUCK_MS;
    for (const [id, way] of this.#ways) {
      drop(way);
      if (way.sent === way.echoed || way.at < before) this.#ways.delete(id);
    }
    this.#told.clear();
    this.#joiner.forget();
  }

  hasState(to: string): boolean {
    const way = this.#ways.get(to);
    return way !== undefined && way.bulk.length > 0 && !this.#isStuck(way);
  }

  /** Without `to`: to all, if we host; else to the host. */
  send(to: string | undefined, text: string, bulk: boolean): void {
    const frames = this.#frames(to, text);
    if (to === undefined) for (const frame of frames) this.#lanes.push(frame, bulk);
    else this.#sendTo(to, frames, bulk);
    this.pump();
  }

  *#frames(to: string | undefined, text: string): Generator<string, undefined> {
    const head =
      to === undefined
        ? '{"type":"RELAY","payload":'
        : `{"type":"RELAY","dst":${JSON.stringify(to)},"payload":`;
    // A third is sure to fit without counting.
    if (text.length * 3 <= this.#room || utf8Length(text) <= this.#room)
      return void (yield `${head}${text}}`);
    const k = ++this.#next;
    const pieces = cut(text, this.#room - PIECE_AROUND, quotedCost);
    for (const [i, x] of pieces.entries())
      yield `${head}${JSON.stringify({ k, i, of: pieces.length, x })}}`;
  }

  #sendTo(to: string, frames: Frames, bulk: boolean): void {
    let way = this.#ways.get(to);
    if (!way)
      this.#ways.set(
        to,
        (way = {
          sent: 0,
          marked: 0,
          echoed: 0,
          at: this.#env.now(),
          small: [],
          bulk: [],
          turn: false,
        }),
      );
    if (this.#isStuck(way)) {
      drop(way);
      way.echoed = way.sent;
    }
    (bulk ? way.bulk : way.small).push(frames);
    this.#fly(to, way);
  }

  #isStuck({ sent, echoed, at }: Way): boolean {
    return sent - echoed > this.#window && this.#env.now() - at > STUCK_MS;
  }

  #fly(to: string, way: Way): void {
    while (way.sent - way.echoed <= this.#window) {
      const [one, other] = way.turn ? [way.bulk, way.small] : [way.small, way.bulk];
      const lane = one.length > 0 ? one : other;
      const frames = lane[0];
      if (!frames) return;
      const { value: frame } = frames.next();
      const bulk = lane === way.bulk;
      if (frame === undefined) {
        lane.shift();
        continue;
      }
      way.turn = !way.turn;
      if (way.sent === way.echoed) way.at = this.#env.now();
      way.sent += this.#lanes.push(frame, bulk);
      if (way.sent - way.marked < this.#window / 6) continue;
      way.marked = way.sent;
      this.#lanes.push(control(to, { r: "m", n: way.sent }), bulk);
    }
  }

  #echoed(from: string, n: number): void {
    const way = this.#ways.get(from);
    if (!way || n <= way.echoed || n > way.sent) return;
    way.echoed = n;
    way.at = this.#env.now();
    this.#fly(from, way);
    this.pump();
  }

  #control(to: string, message: Control): void {
    this.#socket.send(control(to, message));
  }

  /** True if that was for us. */
  #controlled(from: string, payload: unknown): boolean {
    if (typeof payload !== "object" || payload === null) return false;
    const { r, n, ms } = payload as { r?: unknown; n?: unknown; ms?: unknown };
    if (typeof r !== "string" || typeof n !== "number") return false;
    switch (r) {
      case "m":
        this.#control(from, { r: "e", n });
        break;
      case "e":
        this.#echoed(from, n);
        break;
      case "p":
        this.#control(from, { r: "q", n });
        if (typeof ms === "number") this.#hooks.rtt(from, ms);
        break;
      case "q": {
        const took = this.#env.now() - n;
        if (took >= 0 && took < 60_000) this.#hooks.rtt(from, took);
        break;
      }
      default:
        break;
    }
    return true;
  }

  received(from: string, payload: unknown): void {
    if (this.#controlled(from, payload)) return;
    const piece = pieceIn(payload);
    if (!piece) return this.#hooks.received(from, payload);
    const text = this.#joiner.add(from, piece);
    if (text === undefined) return this.#inPieces(from);
    try {
      this.#hooks.received(from, JSON.parse(text));
    } catch {
      // Pieces of no message: as good as lost.
    }
  }

  #inPieces(from: string): void {
    const now = this.#env.now();
    if (now - (this.#told.get(from) ?? -HEARD_MS) < HEARD_MS) return;
    this.#told.set(from, now);
    this.#hooks.heard(from);
  }

  #weigh(of: "relay" | "states", load: number): void {
    const high = this.#high[of] ? load > LOW : load > HIGH;
    if (high === this.#high[of]) return;
    this.#high[of] = high;
    this.#hooks.pressure(of, high);
  }

  pump(): void {
    this.#lanes.pour();
    this.#press();
  }

  /** A WebSocket does not tell when it has room again. */
  #press(): void {
    const { small, bulk } = this.#lanes.waiting;
    // What one lane fills the socket with says nothing of how long the other waits.
    this.#weigh("relay", small + (bulk > 0 ? 0 : this.#socket.buffered));
    this.#weigh("states", bulk + (small > 0 ? 0 : this.#socket.buffered));
    if (this.#looking || (!this.#high.relay && !this.#high.states && small + bulk === 0)) return;
    this.#looking = true;
    this.#env.cancel(this.#timer);
    this.#timer = this.#env.after(LOOK_MS, () => {
      this.#looking = false;
      this.pump();
    });
  }
}

function drop(way: Way): void {
  way.small.length = 0;
  way.bulk.length = 0;
}

function control(to: string, message: Control): string {
  return JSON.stringify({ type: "RELAY", dst: to, payload: message });
}
