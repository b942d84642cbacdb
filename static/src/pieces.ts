// Cuts messages that are too long for a link into pieces and reassembles them. A message with a
// lost piece is lost; the state machine sends it again.

export interface Piece {
  /** Number of the message, counted by its sender. */
  readonly k: number;
  /** Index of the piece, from 0. */
  readonly i: number;
  /** Number of pieces of the message. */
  readonly of: number;
  /** Text of the piece. */
  readonly x: string;
}

/**
 * Cuts a text into pieces of at most `room` bytes. `cost` returns the bytes of a UTF-16 code unit
 * on the link. A surrogate pair is never cut apart.
 */
export function cut(text: string, room: number, cost: (code: number) => number): string[] {
  const pieces: string[] = [];
  let start = 0;
  let used = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const price = cost(code);
    const isLowSurrogate = code >= 0xdc00 && code < 0xe000;
    if (used + price > room && i > start && !isLowSurrogate) {
      pieces.push(text.slice(start, i));
      start = i;
      used = 0;
    }
    used += price;
  }
  pieces.push(text.slice(start));
  return pieces;
}

/** Returns the UTF-8 bytes of a code unit of JSON text when that text is put into a JSON string. */
export function quotedCost(code: number): number {
  if (code === 0x22 || code === 0x5c) return 2;
  return code < 0x80 ? 1 : code < 0x800 ? 2 : code >= 0xd800 && code < 0xe000 ? 2 : 3;
}

/**
 * Returns the length of JSON text as a JSON string. Only quotes and backslashes must be escaped in
 * it.
 */
export function quotedChars(text: string): number {
  let chars = text.length + 2;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x22 || code === 0x5c) chars++;
  }
  return chars;
}

/**
 * Maximum length of a message in characters. Every receiver has room for it beside other unfinished
 * messages.
 */
export const LONGEST = 48 << 20;
/**
 * Maximum cost of all unfinished messages of a reassembler. The cost of a piece is its characters
 * and `PIECE_COST`.
 */
const ROOM = 64 << 20;
const PIECE_COST = 64;
const MESSAGE_COST = 512;
/** Maximum number of pieces of one message. */
const PIECES = 1 << 16;

interface UnfinishedMessage {
  readonly from: string;
  readonly of: number;
  readonly texts: Map<number, string>;
  cost: number;
}

/** Joins the pieces of long messages. */
export class Reassembler {
  /**
   * Ordered by the last piece: the message that waited longest comes first and is dropped first.
   */
  readonly #unfinished = new Map<string, UnfinishedMessage>();
  #cost = 0;

  /** Adds a piece. Returns the whole message if the piece was its last. */
  add(from: string, { k, i, of, x }: Piece): string | undefined {
    if (of < 1 || of > PIECES || i < 0 || i >= of) return undefined;
    const key = `${k} ${from}`;
    let parts = this.#unfinished.get(key);
    if (!parts) {
      // A message whose first piece was missed can never be whole.
      if (i !== 0) return undefined;
      parts = { from, of, texts: new Map(), cost: MESSAGE_COST };
      this.#cost += MESSAGE_COST;
    }
    if (parts.of !== of || parts.texts.has(i)) return undefined;
    this.#unfinished.delete(key);
    this.#unfinished.set(key, parts);
    parts.texts.set(i, x);
    parts.cost += x.length + PIECE_COST;
    this.#cost += x.length + PIECE_COST;
    for (const oldest of this.#unfinished.keys()) {
      if (this.#cost <= ROOM) break;
      this.#drop(oldest);
    }
    if (parts.texts.size < of || !this.#unfinished.has(key)) return undefined;
    this.#drop(key);
    return Array.from({ length: of }, (_, n) => parts.texts.get(n)).join("");
  }

  #drop(key: string): void {
    this.#cost -= this.#unfinished.get(key)?.cost ?? 0;
    this.#unfinished.delete(key);
  }

  /** Drops the unfinished messages of one sender, or of all. */
  forget(from?: string): void {
    for (const [key, parts] of this.#unfinished)
      if (from === undefined || parts.from === from) this.#drop(key);
  }
}

/** Returns the value as a piece, or undefined if it is something else. */
export function pieceIn(value: unknown): Piece | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { k, i, of, x } = value as Partial<Record<keyof Piece, unknown>>;
  const whole = (n: unknown): n is number => typeof n === "number" && Number.isSafeInteger(n);
  return whole(k) && whole(i) && whole(of) && typeof x === "string" ? { k, i, of, x } : undefined;
}
