// Packs what pages send into text: JSON as it is, bytes as base64 after a letter that no JSON
// begins with. Text is immutable: the log keeps it for other members, whatever a page does with its
// own copy.

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
  /** Size of the page's data in bytes. Base64 does not count. */
  readonly size: number;
}

type Path = (string | number)[];
/** Bytes that were taken out of a value, and where they were. */
type Extracted = readonly [path: readonly (string | number)[], kind: ByteKind, base64: string];
/** A value with bytes in it: the value without them, and the bytes. */
interface Mixed {
  readonly v: unknown;
  readonly b: readonly Extracted[];
}

/** Packs a value. Throws a TypeError if it cannot be sent; the message says why and where. */
export function pack(data: unknown): Packed {
  const path: Path = [];
  try {
    if (!new Checker(path).needsExtractor(data)) return packJson(data);
    const extractor = new ByteExtractor(path);
    const v = extractor.extract(data, "");
    const [whole] = extractor.found;
    if (!whole) return packJson(v);
    return whole[0].length === 0
      ? { text: whole[1] + whole[2], size: extractor.bytes }
      : extractor.pack(v);
  } catch (error) {
    if (error instanceof Unsendable && path.length > 0)
      throw new TypeError(`${error.message} (found at ${placeOf(path)})`);
    // The call stack overflowed.
    if (error instanceof RangeError)
      throw new TypeError("what is nested so deeply cannot be sent", { cause: error });
    throw error;
  }
}

/** Returns a value as JSON. Throws a TypeError if it cannot be sent or contains bytes. */
export function jsonText(data: unknown): string {
  const { text } = pack(data);
  // These letters mark bytes; no JSON begins with them.
  if (/^[abx]/.test(text)) throw new TypeError("bytes cannot stand here: only what JSON can hold");
  return text;
}

/** Unpacks what `pack` made. Throws for anything else: another member's page may send anything. */
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

interface WithToJson {
  toJSON(key: string): unknown;
}

/** Returns whether the value has a `toJSON`. Like JSON, this asks a bigint as well. */
function hasToJson(value: unknown): value is WithToJson {
  return (
    (isObject(value) || typeof value === "bigint") &&
    typeof (value as Partial<WithToJson>).toJSON === "function"
  );
}

/** Writes a path as code would: `.list[3].name`. */
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

/** Walks a value and throws for what cannot be sent. */
class Checker {
  readonly #seen = new Set<object>();
  /** Where the walk is; after an error, where the error was found. */
  readonly #path: Path;

  constructor(path: Path) {
    this.#path = path;
  }

  /**
   * Returns whether JSON is not enough: the value holds bytes, or a `toJSON` that may return some.
   */
  needsExtractor(value: unknown): boolean {
    if (!isObject(value)) {
      if (typeof value === "bigint" && hasToJson(value)) return true;
      checkPrimitive(value);
      return false;
    }
    if (this.#seen.has(value)) return false;
    if (bytesIn(value) || hasToJson(value)) return true;
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
    const needs = this.needsExtractor(value);
    this.#path.pop();
    return needs;
  }
}

/** Copies a value as JSON would write it, takes the bytes out and notes where they were. */
class ByteExtractor {
  readonly found: Extracted[] = [];
  /** Number of bytes taken out. */
  bytes = 0;
  /** Length of their base64. */
  #base64 = 0;
  readonly #path: Path;
  /** Objects that contain the present one. */
  readonly #above = new Set<object>();

  constructor(path: Path) {
    this.#path = path;
    path.length = 0;
  }

  pack(v: unknown): Packed {
    const { text, size } = packJson({ v, b: this.found } satisfies Mixed);
    return { text: `x${text}`, size: size - this.#base64 + this.bytes };
  }

  /** Returns a copy of `given` without bytes. `key` is its name in the object that holds it. */
  extract(given: unknown, key: string): unknown {
    const isBytes = isObject(given) && bytesIn(given) !== undefined;
    const value = !isBytes && hasToJson(given) ? given.toJSON(key) : given;
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
    const copy = this.extract(value, String(step));
    this.#path.pop();
    return copy;
  }
}

/**
 * Returns the fields of an object. JSON calls `toJSON` once and ignores a `toJSON` of its result.
 */
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

/** Number of arguments that `String.fromCharCode` surely accepts. */
const CHUNK = 0x8000;

function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let i = 0; i < bytes.length; i += CHUNK)
    binary += String.fromCharCode(...bytes.subarray(i, i + CHUNK));
  return btoa(binary);
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** Returns the length of a text in UTF-8 bytes. */
export function utf8Length(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x80) continue;
    // The two halves of a surrogate pair take four bytes together.
    length += code < 0x800 || (code >= 0xd800 && code < 0xe000) ? 1 : 2;
  }
  return length;
}

/** Encodes a text in base64url. It needs no escaping in a path, so no proxy changes it. */
export function base64url(text: string): string {
  return toBase64(new TextEncoder().encode(text))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace(/=+$/, "");
}
