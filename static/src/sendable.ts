// Decides which values can be sent: those of JSON, and bytes. JSON turns many other objects into
// `{}`; they are refused.

/** `a` is an ArrayBuffer, `b` a Uint8Array. */
export type ByteKind = "a" | "b";

/**
 * Thrown for a value that cannot be sent. The message says what the value is and what can be sent.
 */
export class Unsendable extends TypeError {}

export interface Bytes {
  readonly kind: ByteKind;
  readonly bytes: Uint8Array;
}

type Getter = (this: unknown) => unknown;
const getter = (holder: object, name: string | symbol): Getter =>
  Object.getOwnPropertyDescriptor(holder, name)?.get as Getter;

/** Returns the name of a typed array's kind, in any realm. Undefined for everything else. */
const typedArrayName = getter(
  Object.getPrototypeOf(Uint8Array.prototype) as object,
  Symbol.toStringTag,
);
/** Throws for everything but an ArrayBuffer of any realm. */
const bufferLength = getter(ArrayBuffer.prototype, "byteLength");

const tagOf = (value: object): string => Object.prototype.toString.call(value).slice(8, -1);

/**
 * Returns the bytes of an ArrayBuffer or Uint8Array, also of one from another realm (an iframe,
 * jsdom, `vm`). Undefined for everything else. Throws a TypeError for other views, and for a buffer
 * that was transferred.
 */
export function bytesIn(value: object): Bytes | undefined {
  if (ArrayBuffer.isView(value)) {
    const name = typedArrayName.call(value) as string | undefined;
    if (name !== "Uint8Array")
      throw new Unsendable(
        `${name ?? "DataView"} cannot be sent as it is: send its bytes, new Uint8Array(it.buffer, it.byteOffset, it.byteLength), or its numbers, Array.from(it)`,
      );
    return {
      kind: "b",
      bytes: attached(() => new Uint8Array(value.buffer, value.byteOffset, value.byteLength)),
    };
  }
  if (tagOf(value) !== "ArrayBuffer") return undefined;
  try {
    bufferLength.call(value);
  } catch {
    return undefined;
  }
  return { kind: "a", bytes: attached(() => new Uint8Array(value as ArrayBuffer)) };
}

function attached(view: () => Uint8Array): Uint8Array {
  try {
    return view();
  } catch {
    throw new Unsendable(
      "bytes that were transferred away cannot be sent: their buffer is detached",
    );
  }
}

/** Objects that JSON writes as the value inside them: `new Number(1)` is 1. */
const BOXED: ReadonlySet<string> = new Set(["Number", "String", "Boolean"]);
/** Kinds that an internal slot marks, not a prototype. */
const MARKED: ReadonlySet<string> = new Set(["Error", "RegExp", "Arguments"]);

const HINTS: Readonly<Record<string, string>> = {
  Map: "; send Array.from(it)",
  Set: "; send Array.from(it)",
  Error: "; send its message",
  RegExp: "; send its source",
  Arguments: "; send Array.from(it)",
  URLSearchParams: "; send String(it)",
  FormData: "; send Array.from(it)",
  Headers: "; send Array.from(it)",
  Blob: "; send await it.arrayBuffer()",
  File: "; send await it.arrayBuffer()",
  Promise: "; await it first",
};

function refusal(what: string, hint = ""): Unsendable {
  return new Unsendable(
    `${what} cannot be sent: only what JSON can hold, ArrayBuffer and Uint8Array${hint}`,
  );
}

/**
 * Throws a TypeError for a value that JSON drops, turns into null, or refuses. `undefined` is
 * dropped as in JSON.
 */
export function checkPrimitive(value: unknown): void {
  switch (typeof value) {
    case "function":
    case "symbol":
      throw refusal(`a ${typeof value}`);
    case "bigint":
      throw refusal("a bigint", "; send String(it)");
    case "number":
      if (!Number.isFinite(value)) throw refusal(String(value));
  }
}

/** Throws a TypeError for an object that JSON would turn into something else. */
export function checkObject(value: object): void {
  if (Array.isArray(value)) return;
  const prototype = Object.getPrototypeOf(value) as object | null;
  const tag = tagOf(value);
  if (tag === "Object" && (prototype === null || prototype === Object.prototype)) return;
  if (isBoxed(value)) return;
  const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null;
  const isEmpty = Object.keys(value).length === 0;
  if (MARKED.has(tag) || isPlatform(value, tag) || (isEmpty && !(isPlain && tag === "Object"))) {
    const name = tag === "Object" ? nameOf(prototype) : tag;
    throw refusal(name, HINTS[name] ?? "");
  }
}

export function isBoxed(value: object): boolean {
  return BOXED.has(tagOf(value)) && Object(value.valueOf()) !== value.valueOf();
}

/**
 * Returns whether this is an object of the language or the platform, or of a class that extends
 * one. The fields of such an object are not its value.
 */
function isPlatform(value: object, tag: string): boolean {
  const known = Object.hasOwn(globalThis, tag)
    ? (globalThis as Record<string, unknown>)[tag]
    : undefined;
  if (typeof known === "function" && tag !== "Object" && value instanceof known) return true;
  for (
    let at = Object.getPrototypeOf(value) as object | null;
    at !== null;
    at = Object.getPrototypeOf(at) as object | null
  ) {
    // The last prototype of the chain is the Object.prototype of some realm.
    if (Object.getPrototypeOf(at) === null) return false;
    const made: unknown = Object.getOwnPropertyDescriptor(at, "constructor")?.value;
    if (
      typeof made === "function" &&
      /\{\s*\[native code\]\s*\}$/.test(Function.prototype.toString.call(made))
    )
      return true;
  }
  return false;
}

function nameOf(prototype: object | null): string {
  const made = (prototype as { constructor?: { name?: unknown } } | null)?.constructor;
  return typeof made?.name === "string" && made.name !== ""
    ? `an instance of ${made.name} without fields`
    : "an object without fields";
}
