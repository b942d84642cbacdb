// Messages from one member to another, beside the log. They belong to no epoch: `e` is what the
// sender knows, and only the messages to and from the host are bound to it.

import { any, count, flag, list, perhaps, place, shape, text, type Check } from "../checks.ts";
import type { PeerId, Place } from "../types.ts";

/** A message to one member, in the sender's own count. */
export interface DirectItem {
  /** Grows from item to item, with gaps. */
  readonly n: number;
  /** How far the sender's page had been handed the log: the receiver's page is handed as much first. */
  readonly at: Place;
  readonly d: unknown;
  readonly z: number;
  /** Number of the request, among those of the sender. Absent in a message without an answer. */
  readonly q?: number;
}
/**
 * member -> member: messages for your page, in order. `after` is the `n` of the message before them
 * that is not acknowledged, 0 if there is none. `life` tells one load of the sender's page from
 * another. `key` is the receiver's key for this sender, or a negative number that the sender made up
 * until it knows that key. Such a message has no items.
 */
export interface Direct {
  readonly t: "direct";
  readonly e: number;
  readonly life: number;
  readonly key: number;
  readonly after: number;
  readonly x: readonly DirectItem[];
}
/**
 * The answer to `direct`: my page was handed everything up to `n`. `key` is my key for you, and
 * `asked` the one that you used. If the two differ, nothing of that message was taken.
 */
export interface Got {
  readonly t: "got";
  readonly e: number;
  readonly life: number;
  readonly key: number;
  readonly asked: number;
  readonly n: number;
}
/** The answer to request `q` of the member whose page has this `life`. */
export interface Reply {
  readonly t: "reply";
  readonly e: number;
  readonly life: number;
  readonly q: number;
  readonly d: unknown;
  readonly z: number;
}
/** The answer to `reply`, or sent before one: nobody waits for the answer to request `q` any more. */
export interface Replied {
  readonly t: "replied";
  readonly e: number;
  readonly life: number;
  readonly q: number;
}

/** A message from one member to another, straight or through the host. */
export type DirectMessage = Direct | Got | Reply | Replied;

/** member -> host: pass this on to `to`. */
export interface Pass {
  readonly t: "pass";
  readonly e: number;
  readonly to: PeerId;
  readonly m: DirectMessage;
}
/** host -> member: `from` says this to you. */
export interface Passed {
  readonly t: "passed";
  readonly e: number;
  readonly from: PeerId;
  readonly m: DirectMessage;
}
/**
 * host -> member: answers a `pass` of somebody who has not heard from the member `id`. `lacks`: its
 * library does not understand these messages.
 */
export interface Found {
  readonly t: "found";
  readonly e: number;
  readonly id: PeerId;
  readonly lacks: boolean;
}

export type DirectWire = DirectMessage | Pass | Passed | Found;

const number: Check = (v) => Number.isSafeInteger(v);
const item = shape({ n: count, at: shape(place), d: any, z: count, q: perhaps(count) });

const messageShapes: Readonly<Record<DirectMessage["t"], Check>> = {
  direct: shape({ life: count, key: number, after: count, x: list(item) }),
  got: shape({ life: count, key: number, asked: number, n: count }),
  reply: shape({ life: count, q: count, d: any, z: count }),
  replied: shape({ life: count, q: count }),
};

const message: Check = (v) => {
  if (typeof v !== "object" || v === null) return false;
  const { t } = v as { t?: unknown };
  return (
    typeof t === "string" &&
    Object.hasOwn(messageShapes, t) &&
    messageShapes[t as DirectMessage["t"]](v)
  );
};

export const directShapes: Readonly<Record<DirectWire["t"], Check>> = {
  ...messageShapes,
  pass: shape({ to: text, m: message }),
  passed: shape({ from: text, m: message }),
  found: shape({ id: text, lacks: flag }),
};

/** Returns whether this is a message of this file. */
export function isDirect(message: { readonly t: string }): message is DirectWire {
  return Object.hasOwn(directShapes, message.t);
}
