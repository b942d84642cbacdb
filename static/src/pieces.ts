// Messages longer than a link takes at once go in pieces. A lost piece is a lost message: the machine sends it again.

export interface Piece {
  /** Which message of this sender. */
  readonly k: number;
  readonly i: number;
  readonly of: number;
  readonly x: string;
}

/** Cuts by what each character costs on the link, never between the halves of a pair. */
export function cut(text: string, room: number, cost: (code: number) => number): string[] {
  const pieces: string[] = [];
  let start = 0;
  let used = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const price = cost(code);
    const pair = code >= 0xdc00 && code < 0xe000;
    if (used + price > room && i > start && !pair) {
      pieces.push(text.slice(start, i));
      start = i;
      used = 0;
    }
    used += price;
  }
  pieces.push(text.slice(start));
  return pieces;
}

/** What a character of JSON takes when it is put into a JSON string once more, in UTF-8. */
export function quotedCost(code: number): number {
  if (code === 0x22 || code === 0x5c) return 2;
  return code < 0x80 ? 1 : code < 0x800 ? 2 : code >= 0xd800 && code < 0xe000 ? 2 : 3;
}

/** How many characters a text of JSON has as a string in JSON: what must be escaped in it are quotes and backslashes. */
export function quotedChars(text: string): number {
  let chars = text.length + 2;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x22 || code === 0x5c) chars++;
  }
  return chars;
}

/** No message has more characters: every receiver has room for so many, with what else is under way to it. */
export const LONGEST = 48 << 20;
/** Characters of all unfinished messages, and what keeping a piece, and beginning a message, takes beside its text. */
const ROOM = 64 << 20;
const PIECE_COST = 64;
const MESSAGE_COST = 512;
const PIECES = 1 << 16;

interface Parts {
  readonly from: string;
  readonly of: number;
  readonly texts: Map<number, string>;
  cost: number;
}

export class Joiner {
  /** What was longest without a piece comes first: it goes when there is no room. */
  readonly #unfinished = new Map<string, Parts>();
  #cost = 0;

  /** The whole message, when that was its last piece. */
  add(from: string, { k, i, of, x }: Piece): string | undefined {
    if (of < 1 || of > PIECES || i < 0 || i >= of) return undefined;
    const key = `${k} ${from}`;
    let parts = this.#unfinished.get(key);
    if (!parts) {
      // A message whose beginning was missed will never be whole.
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

  forget(from?: string): void {
    for (const [key, parts] of this.#unfinished)
      if (from === undefined || parts.from === from) this.#drop(key);
  }
}

/** A piece, if that is what was received. */
export function pieceIn(value: unknown): Piece | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { k, i, of, x } = value as Partial<Record<keyof Piece, unknown>>;
  const whole = (n: unknown): n is number => typeof n === "number" && Number.isSafeInteger(n);
  return whole(k) && whole(i) && whole(of) && typeof x === "string" ? { k, i, of, x } : undefined;
}
