// The envelope around what an application says: what it is for, on which channel, and the packed
// data. The log carries envelopes as opaque text, so that host and server know no channels.

/**
 * Letters of the purposes. A purpose is bound into the envelope, so that a text of one purpose
 * cannot pass for one of another.
 */
export const PURPOSE = {
  /** Ordered message: an entry of the log. */
  message: "m",
  /** Message to one member. */
  direct: "d",
  /** Request to one member, and the answer to it. */
  request: "q",
  reply: "r",
  /** Volatile message. */
  cast: "c",
  /** Fields of a member's presence. */
  presence: "p",
  /** Profile of a member. */
  profile: "f",
  /** Parts of a snapshot. */
  parts: "s",
} as const;

export type Purpose = (typeof PURPOSE)[keyof typeof PURPOSE];

export interface Envelope {
  /** A letter of `PURPOSE`, or one that a later library uses. */
  readonly purpose: string;
  /** Name of the channel; "" is the group itself. */
  readonly channel: string;
  /** Packed data. */
  readonly payload: string;
}

/** First letter of an envelope that everybody can read. `s` is kept for sealed ones. */
const OPEN = "o";
const SEALED = "s";

/**
 * Returns the text of an envelope: `o`, the purpose, the length of the channel's name, `:`, the
 * name, the payload. A message on the channel "" is its bare payload, as libraries without channels
 * write it.
 */
export function wrap(purpose: Purpose, channel: string, payload: string): string {
  if (purpose === PURPOSE.message && channel === "") return payload;
  return `${OPEN}${purpose}${channel.length}:${channel}${payload}`;
}

/**
 * Returns what an envelope holds; undefined if this library cannot read it. Another member's page
 * may send anything.
 */
export function unwrap(text: unknown): Envelope | undefined {
  if (typeof text !== "string" || text[0] === SEALED) return undefined;
  if (text[0] !== OPEN) return { purpose: PURPOSE.message, channel: "", payload: text };
  const colon = text.indexOf(":");
  const digits = text.slice(2, colon);
  if (colon < 0 || !/^(0|[1-9]\d{0,2})$/.test(digits)) return undefined;
  const end = colon + 1 + Number(digits);
  if (end > text.length) return undefined;
  return {
    purpose: text[1] as string,
    channel: text.slice(colon + 1, end),
    payload: text.slice(end),
  };
}
