// Messages between members and host. Paths may lose, repeat and reorder them, so every message
// stands by itself and carries its epoch `e`.

import {
  any,
  count,
  flag,
  list,
  pair,
  perhaps,
  place,
  shape,
  text,
  type Check,
  type Fields,
} from "./checks.ts";
import { directShapes, type DirectWire } from "./direct/wire.ts";
import type { Entry, PeerId, Place, Snapshot, Standing } from "./types.ts";

/**
 * Version of the protocol, `&group=` in the WebSocket's address. The server refuses every other
 * version.
 */
export const PROTOCOL = 2;

/**
 * Names of what this library can do beyond the protocol, `&can=` in the WebSocket's address. They
 * are constant for the life of a page.
 */
export const CAN: readonly string[] = ["channels", "direct"];

/**
 * host -> member: asks where the member stands. First message of an epoch, repeated whenever the
 * host does not know.
 */
export interface Ask {
  readonly t: "ask";
  readonly e: number;
  readonly cause: string;
}
/**
 * member -> host: says where the member stands. Sent on every change of host and on returning,
 * until the host fills or restores the member. The first one to a host carries the head of the
 * outbox as `send` would, so that the host stamps it as soon as it leads.
 */
export interface At {
  readonly t: "at";
  readonly e: number;
  readonly at: Standing;
  readonly low?: number;
  readonly x?: readonly Item[];
  /** Names of what the member's library can do. Absent if there are none. */
  readonly can?: readonly string[];
}
/** host -> members: entries from `s` on. `p` is the epoch of the entry before. */
export interface Data {
  readonly t: "data";
  readonly e: number;
  readonly r: number;
  readonly p: number;
  readonly s: number;
  readonly x: readonly Entry[];
}
/**
 * host -> members: heartbeat. `at` is the host's last entry, and a member should have the entries
 * up to `sent`. The witnesses `w` acknowledge early. `k` counts heartbeats. `alone`: the host does not
 * have the server's word. Absent if it has.
 */
export interface Beat {
  readonly t: "beat";
  readonly e: number;
  readonly at: Place;
  readonly sent: number;
  readonly w: readonly PeerId[];
  readonly k: number;
  readonly cause: string;
  readonly alone?: boolean;
}
/**
 * member -> host: acknowledges all entries up to `at`. `gap` says that the member knows of entries
 * after that, which it lacks. `k` is the last heartbeat that it heard.
 */
export interface Ack {
  readonly t: "ack";
  readonly e: number;
  readonly at: Place;
  readonly gap: boolean;
  readonly k: number;
}
/** A message in the outbox of its sender: count, payload, size in bytes. */
export interface Item {
  readonly n: number;
  readonly d: unknown;
  readonly z: number;
}
/**
 * member -> host: asks to stamp `x`. Nothing below `low` will ever be sent (again). `at` and `k`
 * are as in `ack`.
 */
export interface Send {
  readonly t: "send";
  readonly e: number;
  readonly at: Place;
  readonly k: number;
  readonly low: number;
  readonly x: readonly Item[];
}
/** Messages to be stamped, from a `send` or from the head in an `at`. */
export type StampRequest = Pick<Send, "low" | "x"> & { readonly at: Place };
/** host -> sender: asks for the sender's message `n`, which is missing. */
export interface Need {
  readonly t: "need";
  readonly e: number;
  readonly n: number;
}
/** host -> member: asks for the entries that are missing at `at`. */
export interface Pull {
  readonly t: "pull";
  readonly e: number;
  readonly at: Standing;
}
/** member -> host: answers `pull`. Has the form of `data`. */
export interface Fill {
  readonly t: "fill";
  readonly e: number;
  readonly r: number;
  readonly p: number;
  readonly s: number;
  readonly x: readonly Entry[];
}
/** host -> member: asks for a snapshot. */
export interface Want {
  readonly t: "want";
  readonly e: number;
  readonly k: number;
}
/** member -> host: answers `want`, with null when the page gave no snapshot. */
export interface Snap {
  readonly t: "snap";
  readonly e: number;
  readonly k: number;
  readonly snap: Snapshot | null;
}
/**
 * any -> one that cannot be filled: restores it from `snap`. Void unless the receiver still stands
 * at `heal`.
 */
export interface Restore {
  readonly t: "restore";
  readonly e: number;
  readonly heal: Place;
  readonly snap: Snapshot;
}
/** any -> one of an older epoch: says that the server has named another host since. */
export interface Fence {
  readonly t: "fence";
  readonly e: number;
  readonly host: PeerId;
}
/** member -> host: says that the member leaves for good. */
export interface Bye {
  readonly t: "bye";
  readonly e: number;
}

export type Wire =
  | Ask
  | At
  | Data
  | Beat
  | Ack
  | Send
  | Need
  | Pull
  | Fill
  | Want
  | Snap
  | Restore
  | Fence
  | Bye
  | DirectWire;

const line = list(pair(count, count));
/** Members with an older library leave the mark out. */
const marked: Fields = { provisional: perhaps(count) };
const standing = shape({
  ...place,
  done: count,
  base: count,
  line,
  snap: flag,
  stale: flag,
  age: count,
  alone: perhaps(flag),
  ...marked,
});
const entry = shape({
  s: count,
  e: count,
  f: text,
  n: count,
  k: (v) => v === "d" || v === "j" || v === "l",
  d: any,
  z: count,
});
const info = shape({ group: flag });
const gaps = shape({ id: text, gaps: list(pair(count, count)), unsure: count });
const snapshot = shape({
  ...place,
  ...marked,
  line,
  counts: list(pair(text, count)),
  gaps: perhaps(list(gaps)),
  forgot: perhaps(flag),
  members: list(pair(text, info)),
  has: flag,
  z: count,
});
const items = list(shape({ n: count, z: count }));
const run: Fields = { r: count, p: count, s: count, x: list(entry) };

const shapes: Readonly<Record<Wire["t"], Check>> = {
  ask: shape({ cause: text }),
  at: (v) => shape({ at: standing, can: perhaps(list(text)) })(v) && isHead(v as At),
  data: shape(run),
  beat: shape({
    at: shape(place),
    sent: count,
    w: list(text),
    k: count,
    cause: text,
    alone: perhaps(flag),
  }),
  ack: shape({ at: shape(place), gap: flag, k: count }),
  send: shape({ at: shape(place), k: count, low: count, x: items }),
  need: shape({ n: count }),
  pull: shape({ at: standing }),
  fill: shape(run),
  want: shape({ k: count }),
  snap: shape({ k: count, snap: (v) => v === null || snapshot(v) }),
  restore: shape({ heal: shape(place), snap: snapshot }),
  fence: shape({ host: text }),
  bye: any,
  ...directShapes,
};

function isHead({ low, x }: At): boolean {
  return x === undefined ? low === undefined : count(low) && items(x);
}

/**
 * Returns whether `value` is a well-formed message. The page of another member may run any code.
 */
export function isWire(value: unknown): value is Wire {
  if (typeof value !== "object" || value === null) return false;
  const { t, e } = value as { t?: unknown; e?: unknown };
  return (
    typeof t === "string" &&
    Object.hasOwn(shapes, t) &&
    count(e) &&
    shapes[t as Wire["t"]](value) &&
    isTimely(value as Wire)
  );
}

/**
 * Returns whether nothing in the message is of a later epoch than the message: only the server
 * announces epochs.
 */
function isTimely(message: Wire): boolean {
  const { e } = message;
  const upTo = (track: Snapshot | Standing): boolean =>
    track.e <= e && track.line.every(([epoch]) => epoch <= e);
  switch (message.t) {
    case "data":
    case "fill":
      return message.x.every((entry) => entry.e <= e);
    case "at":
    case "pull":
      return upTo(message.at);
    case "restore":
      return upTo(message.snap);
    case "snap":
      return message.snap === null || upTo(message.snap);
    case "beat":
    case "ack":
    case "send":
      return message.at.e <= e;
    case "ask":
    case "need":
    case "want":
    case "fence":
    case "bye":
      return true;
    default:
      // Messages from one member to another belong to no epoch.
      return true;
  }
}
