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

interface Parts {
  readonly texts: (string | undefined)[];
  missing: number;
}

/** Of one sender, so many unfinished messages at once, and so long. */
const UNFINISHED = 8;
const CHARS = 48 << 20;
const PIECES = 1 << 16;

export class Joiner {
  readonly #senders = new Map<string, Map<number, Parts>>();
  #chars = 0;

  /** The whole message, when that was its last piece. */
  add(from: string, { k, i, of, x }: Piece): string | undefined {
    if (of < 1 || of > PIECES || i < 0 || i >= of) return undefined;
    let messages = this.#senders.get(from);
    if (!messages) this.#senders.set(from, (messages = new Map()));
    let parts = messages.get(k);
    if (!parts) {
      // A message whose beginning was missed will never be whole.
      if (i !== 0) return undefined;
      const oldest = messages.keys().next();
      if (messages.size >= UNFINISHED && !oldest.done) this.#drop(messages, oldest.value);
      messages.set(k, (parts = { texts: new Array<string | undefined>(of), missing: of }));
    }
    if (parts.texts.length !== of || parts.texts[i] !== undefined) return undefined;
    if (this.#chars + x.length > CHARS) {
      this.#drop(messages, k);
      return undefined;
    }
    parts.texts[i] = x;
    this.#chars += x.length;
    if (--parts.missing > 0) return undefined;
    this.#drop(messages, k);
    return parts.texts.join("");
  }

  #drop(messages: Map<number, Parts>, k: number): void {
    for (const text of messages.get(k)?.texts ?? []) this.#chars -= text?.length ?? 0;
    messages.delete(k);
  }

  forget(from?: string): void {
    for (const [id, messages] of this.#senders) {
      if (from !== undefined && id !== from) continue;
      for (const k of [...messages.keys()]) this.#drop(messages, k);
      this.#senders.delete(id);
    }
  }
}

/** A piece, if that is what was received. */
export function pieceIn(value: unknown): Piece | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { k, i, of, x } = value as Partial<Record<keyof Piece, unknown>>;
  const whole = (n: unknown): n is number => typeof n === "number" && Number.isSafeInteger(n);
  return whole(k) && whole(i) && whole(of) && typeof x === "string" ? { k, i, of, x } : undefined;
}
