// What pages send, as text: JSON as it is; bytes as base64 behind a letter no JSON begins with. Text, because it is
// immutable: the log keeps it for others while a page does with its own copy what it likes.

export interface Packed {
  readonly text: string;
  /** Bytes of what the page sent, not of the text. */
  readonly size: number;
}

type Kind = "a" | "b";
type Bytes = readonly [path: readonly (string | number)[], kind: Kind, base64: string];
interface Mixed {
  readonly v: unknown;
  readonly b: readonly Bytes[];
}

/** Throws a TypeError for what cannot be sent. */
export function pack(data: unknown): Packed {
  const bytes = bytesOf(data);
  if (bytes) return { text: kindOf(data) + toBase64(bytes), size: bytes.length };
  if (mayHoldBytes(data)) {
    const mixed = new Mixer();
    const v = mixed.take(data, []);
    if (mixed.found.length > 0) {
      const text = jsonOf({ v, b: mixed.found } satisfies Mixed);
      return { text: `x${text}`, size: utf8Length(text) - mixed.saved };
    }
  }
  const text = jsonOf(data);
  return { text, size: utf8Length(text) };
}

/** Throws if that is not what `pack` makes: another member's page may run anything. */
export function unpack(packed: unknown): unknown {
  if (typeof packed !== "string") throw new TypeError("not a packed value");
  switch (packed[0]) {
    case "a": return fromBase64(packed.slice(1)).buffer;
    case "b": return fromBase64(packed.slice(1));
    case "x": return unmix(JSON.parse(packed.slice(1)) as Mixed);
    default: return JSON.parse(packed);
  }
}

function jsonOf(data: unknown): string {
  const text = JSON.stringify(data) as string | undefined;
  if (text === undefined) throw new TypeError(`${typeof data} cannot be sent: only what JSON can hold, ArrayBuffer and Uint8Array`);
  return text;
}

function bytesOf(data: unknown): Uint8Array | undefined {
  if (data instanceof Uint8Array) return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  return undefined;
}

/** What JSON would make `{}` or a table of numbers of, without a word. */
const LOST: ReadonlySet<string> = new Set(["Map", "Set", "Promise", "Blob", "File", "SharedArrayBuffer"]);

function refuse(value: object): void {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === Array.prototype) return;
  const name = Object.prototype.toString.call(value).slice(8, -1);
  if (ArrayBuffer.isView(value)) throw new TypeError(`${name} cannot be sent as it is: send its bytes, new Uint8Array(it.buffer, it.byteOffset, it.byteLength), or its numbers, Array.from(it)`);
  if (LOST.has(name)) throw new TypeError(`${name} cannot be sent: only what JSON can hold, ArrayBuffer and Uint8Array`);
}

/** It says itself what it is in JSON. */
const hasJson = (value: object): boolean => typeof (value as { toJSON?: unknown }).toJSON === "function";

const kindOf = (data: unknown): Kind => (data instanceof ArrayBuffer ? "a" : "b");

function mayHoldBytes(data: unknown): boolean {
  if (typeof data !== "object" || data === null) return false;
  const seen = new Set<object>();
  const look = (value: unknown): boolean => {
    if (typeof value !== "object" || value === null || seen.has(value)) return false;
    if (bytesOf(value)) return true;
    if (hasJson(value)) return false;
    refuse(value);
    seen.add(value);
    return Object.values(value).some(look);
  };
  return look(data);
}

/** Takes bytes out of a tree and notes where they were. */
class Mixer {
  readonly found: Bytes[] = [];
  /** What base64 and its place take beyond the bytes. */
  saved = 0;

  take(value: unknown, path: readonly (string | number)[]): unknown {
    if (typeof value !== "object" || value === null) return value;
    const bytes = bytesOf(value);
    if (bytes) {
      const base64 = toBase64(bytes);
      this.found.push([path, kindOf(value), base64]);
      this.saved += base64.length - bytes.length;
      return null;
    }
    if (hasJson(value)) return value;
    refuse(value);
    if (path.length > 200) throw new TypeError("what was sent is nested too deeply, or holds itself");
    if (Array.isArray(value)) return value.map((item: unknown, i) => this.take(item, [...path, i]));
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, this.take(item, [...path, name])]));
  }
}

function unmix({ v, b }: Mixed): unknown {
  for (const [path, kind, base64] of b) {
    let holder = v as Record<string | number, unknown>;
    for (const step of path.slice(0, -1)) {
      if (!Object.hasOwn(holder, step)) throw new TypeError("bytes without a place");
      holder = holder[step] as Record<string | number, unknown>;
    }
    const last = path[path.length - 1];
    if (last === undefined || !Object.hasOwn(holder, last)) throw new TypeError("bytes without a place");
    const bytes = fromBase64(base64);
    holder[last] = kind === "a" ? bytes.buffer : bytes;
  }
  return v;
}

/** `String.fromCharCode` takes only so many at once. */
const STEP = 0x8000;

function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let i = 0; i < bytes.length; i += STEP) binary += String.fromCharCode(...bytes.subarray(i, i + STEP));
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
  return toBase64(new TextEncoder().encode(text)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
