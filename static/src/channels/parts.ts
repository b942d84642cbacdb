// The parts of a snapshot: what a page gives of each channel, and the form in which that travels.

import { quotedChars } from "../pieces.ts";

/** A message as the group's log has it, in its envelope. */
export interface LoggedMessage {
  readonly from: string;
  /** The sender's own count. */
  readonly n: number;
  readonly seq: number;
  readonly epoch: number;
  readonly text: string;
}

/** One channel at one place of the log. */
export interface Part {
  /** State that some page gave, packed. Undefined if none was given. */
  readonly state: string | undefined;
  /** Messages after that state, or after the channel's beginning. */
  readonly messages: readonly LoggedMessage[];
  /** Whether state and messages are all of the channel. */
  readonly whole: boolean;
}

/** A channel on which nobody has said anything. */
export const EMPTY: Part = { state: undefined, messages: [], whole: true };
/** A channel of which the giver of a snapshot knows nothing. */
export const UNKNOWN: Part = { state: undefined, messages: [], whole: false };

export interface Parts {
  readonly of: ReadonlyMap<string, Part>;
  /** Whether channels that are not listed are known to be empty. */
  readonly all: boolean;
}

/** Parts on the wire. Sealed parts will be a text. */
type WireParts = readonly [all: 0 | 1, parts: readonly WirePart[]];
/** Name, state, whether whole, messages. */
type WirePart = readonly [string, string | null, 0 | 1, readonly WireMessage[]];
type WireMessage = readonly [from: string, n: number, seq: number, epoch: number, text: string];

export function writeParts({ of, all }: Parts): unknown {
  const parts = Array.from(of, ([name, { state, messages, whole }]): WirePart => {
    const list = messages.map(
      ({ from, n, seq, epoch, text }): WireMessage => [from, n, seq, epoch, text],
    );
    return [name, state ?? null, whole ? 1 : 0, list];
  });
  return [all ? 1 : 0, parts] satisfies WireParts;
}

/** Returns the characters that a part takes in a message, about. */
export function charsOf({ state, messages }: Part): number {
  return messages.reduce(
    (sum, { from, text }) => sum + quotedChars(from) + quotedChars(text) + 48,
    state === undefined ? 16 : quotedChars(state),
  );
}

/**
 * Reads parts. Returns undefined where a snapshot has none, as of a library without channels, and
 * for what is malformed: another member's page may send anything.
 */
export function readParts(parts: unknown): Parts | undefined {
  if (!Array.isArray(parts)) return undefined;
  const [all, list] = parts as unknown[];
  if ((all !== 0 && all !== 1) || !Array.isArray(list)) return undefined;
  const of = new Map<string, Part>();
  for (const part of list as unknown[]) {
    if (!isPart(part)) return undefined;
    const [name, state, whole, said] = part;
    const messages = said.map(([from, n, seq, epoch, text]) => ({ from, n, seq, epoch, text }));
    of.set(name, { state: state ?? undefined, messages, whole: whole === 1 });
  }
  return { of, all: all === 1 };
}

function isPart(value: unknown): value is WirePart {
  if (!Array.isArray(value)) return false;
  const [name, state, whole, messages] = value as unknown[];
  return (
    typeof name === "string" &&
    (state === null || typeof state === "string") &&
    (whole === 0 || whole === 1) &&
    Array.isArray(messages) &&
    messages.every(isMessage)
  );
}

function isMessage(value: unknown): value is WireMessage {
  if (!Array.isArray(value)) return false;
  const [from, n, seq, epoch, text] = value as unknown[];
  return (
    typeof from === "string" &&
    Number.isSafeInteger(n) &&
    Number.isSafeInteger(seq) &&
    Number.isSafeInteger(epoch) &&
    typeof text === "string"
  );
}
