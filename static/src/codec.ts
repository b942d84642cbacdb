// What pages send, as text: JSON as it is; bytes as base64 behind a letter no JSON begins with. Text, because it is
// immutable: the log keeps it for others while a page does with its own copy what it likes.

import {
  bytesIn,
  checkObject,
  checkPrimitive,
  isBoxed,
  Unsendable,
  type ByteKind,
} from "./sendable.ts";

export interface Packed {
  readonly text: string;
  /** Bytes of what the page sent, not of the text. */
  readonly size: number;
}

type Path = (string | number)[];
type Noted = readonly [path: readonly (string | number)[], kind: ByteKind, base64: string];
interface Mixed {
  readonly v: unknown;
  readonly b: readonly Noted[];
}

/** Throws a TypeError for what cannot be sent. */
export function pack(data: unknown): Packed {
  const path: Path = [];
  try {
    if (!new Look(path).needsMixer(data)) return packJson(data);
    const mixer = new Mixer(path);
    const v = mixer.take(data, "");
    const [whole] = mixer.found;
    if (!whole) return packJson(v);
    return whole[0].length === 0 ? { text: whole[1] + whole[2], size: mixer.bytes } : mixer.pack(v);
  } catch (error) {
    if (error instanceof Unsendable && path.length > 0)
      throw new TypeError(`${error.message} (found at ${placeOf(path)})`);
    // The stack is used up.
    if (error instanceof RangeError)
      throw new TypeError("what is nested so deeply cannot be sent", { cause: error });
    throw error;
  }
}

/** JSON of something that may hold no bytes. Throws a TypeError for what cannot be sent. */
export function jsonText(data: unknown): string {
  const { text } = pack(data);
  // No JSON begins with these letters.
  if (/^[abx]/.test(text)) throw new TypeError("bytes cannot stand here: only what JSON can hold");
  return text;
}

/** Throws if that is not what `pack` makes: another member's page may run anything. */
export function unpack(packed: unknown): unknown {
  if (typeof packed !== "string") throw new TypeError("not a packed value");
  switch (packed[0]) {
    case "a":
      return fromBase64(packed.slice(1)).buffer;
    case "b":
      return fromBase64(packed.slice(1));
    case "x":
      return unmix(JSON.parse(packed.slice(1)) as Mixed);
    default:
      return JSON.parse(packed);
  }
}

function packJson(data: unknown): Packed {
  const text = JSON.stringify(data) as string | undefined;
  if (text === undefined)
    throw new TypeError(
      `${typeof data} cannot be sent: only what JSON can hold, ArrayBuffer and Uint8Array`,
    );
  return { text, size: utf8Length(text) };
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

interface HasJson {
  toJSON(key: string): unknown;
}

/** The value says itself what it is in JSON. As JSON does, a bigint is asked as well. */
function hasJson(value: unknown): value is HasJson {
  return (
    (isObject(value) || typeof value === "bigint") &&
    typeof (value as Partial<HasJson>).toJSON === "function"
  );
}

/** Where in the data something is: `.list[3].name`. */
function placeOf(path: Path): string {
  return path
    .map((step) =>
      typeof step === "number"
        ? `[${step}]`
        : /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(step)
          ? `.${step}`
          : `[${JSON.stringify(step)}]`,
    )
    .join("");
}

/** Goes through a tree and refuses what cannot be sent. */
class Look {
  readonly #seen = new Set<object>();
  /** Where it is. After an error, where that was found. */
  readonly #path: Path;

  constructor(path: Path) {
    this.#path = path;
  }

  /** Returns whether JSON alone would not do: there are bytes in it, or something with a `toJSON` that may give some. */
  needsMixer(value: unknown): boolean {
    if (!isObject(value)) {
      if (typeof value === "bigint" && hasJson(value)) return true;
      checkPrimitive(value);
      return false;
    }
    if (this.#seen.has(value)) return false;
    if (bytesIn(value) || hasJson(value)) return true;
    checkObject(value);
    this.#seen.add(value);
    if (Array.isArray(value)) {
      for (let i = 0; i < value.length; i++) if (this.#in(i, value[i])) return true;
      return false;
    }
    for (const name of Object.keys(value))
      if (this.#in(name, (value as Record<string, unknown>)[name])) return true;
    return false;
  }

  #in(step: string | number, value: unknown): boolean {
    this.#path.push(step);
    const needs = this.needsMixer(value);
    this.#path.pop();
    return needs;
  }
}

/** Copies a tree as JSON would write it, takes the bytes out and notes where they were. */
class Mixer {
  readonly found: Noted[] = [];
  /** Bytes taken out, and the length of their base64. */
  bytes = 0;
  #base64 = 0;
  readonly #path: Path;
  readonly #above = new Set<object>();

  constructor(path: Path) {
    this.#path = path;
    path.length = 0;
  }

  pack(v: unknown): Packed {
    const { text, size } = packJson({ v, b: this.found } satisfies Mixed);
    return { text: `x${text}`, size: size - this.#base64 + this.bytes };
  }

  /** `key` is the name `given` has in what holds it. */
  take(given: unknown, key: string): unknown {
    const isBytes = isObject(given) && bytesIn(given) !== undefined;
    const value = !isBytes && hasJson(given) ? given.toJSON(key) : given;
    if (!isObject(value)) {
      checkPrimitive(value);
      return value;
    }
    const bytes = bytesIn(value);
    if (bytes) {
      const base64 = toBase64(bytes.bytes);
      this.found.push([[...this.#path], bytes.kind, base64]);
      this.bytes += bytes.bytes.length;
      this.#base64 += base64.length;
      return null;
    }
    checkObject(value);
    if (isBoxed(value)) return value.valueOf();
    if (this.#above.has(value)) throw new Unsendable("what holds itself cannot be sent");
    this.#above.add(value);
    const copy = Array.isArray(value)
      ? Array.from(value, (item: unknown, i) => this.#in(i, item))
      : Object.fromEntries(fieldsOf(value).map(([name, item]) => [name, this.#in(name, item)]));
    this.#above.delete(value);
    return copy;
  }

  #in(step: string | number, value: unknown): unknown {
    this.#path.push(step);
    const taken = this.take(value, String(step));
    this.#path.pop();
    return taken;
  }
}

/** Of what `toJSON` gave JSON asks no further `toJSON`. */
const fieldsOf = (value: object): [string, unknown][] =>
  Object.entries(value).filter(([name, item]) => name !== "toJSON" || typeof item !== "function");

function unmix({ v, b }: Mixed): unknown {
  for (const [path, kind, base64] of b) {
    let holder = v as Record<string | number, unknown>;
    for (const step of path.slice(0, -1)) {
      if (!Object.hasOwn(holder, step)) throw new TypeError("bytes without a place");
      holder = holder[step] as Record<string | number, unknown>;
    }
    const last = path[path.length - 1];
    if (last === undefined || !Object.hasOwn(holder, last))
      throw new TypeError("bytes without a place");
    const bytes = fromBase64(base64);
    holder[last] = kind === "a" ? bytes.buffer : bytes;
  }
  return v;
}

/** `String.fromCharCode` takes only so many at once. */
const STEP = 0x8000;

function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let i = 0; i < bytes.length; i += STEP)
    binary += String.fromCharCode(...bytes.subarray(i, i + STEP));
  return btoa(binary);
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

export function utf8Length(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x80) continue;
    // Two halves of a pair take four bytes together.
    length += code < 0x800 || (code >= 0xd800 && code < 0xe000) ? 1 : 2;
  }
  return length;
}

/** Base64 that needs no escaping in a path, so that no proxy can touch it. */
export function base64url(text: string): string {
  return toBase64(new TextEncoder().encode(text))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace(/=+$/, "");
}
