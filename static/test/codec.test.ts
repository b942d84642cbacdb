import assert from "node:assert/strict";
import { test } from "node:test";
import { base64url, pack, unpack, utf8Length } from "../src/codec.ts";

const trip = (data: unknown): unknown => unpack(pack(data).text);

test("JSON values survive packing and unpacking", () => {
  for (const data of [
    null,
    true,
    0,
    -1.5,
    "",
    "text",
    'ü€😀\u0000"\\',
    [],
    {},
    [1, [2, { a: null }]],
    { v: 1, b: [["x"]] },
    "b64",
    "a",
    "xyz",
  ])
    assert.deepEqual(trip(data), data);
});

test("bytes survive packing and unpacking anywhere in a value", () => {
  const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => i * 31);
  assert.deepEqual(trip(bytes), bytes);
  assert.ok(trip(bytes) instanceof Uint8Array);
  const buffer = trip(bytes.buffer);
  assert.ok(buffer instanceof ArrayBuffer);
  assert.deepEqual(new Uint8Array(buffer), bytes);
  const mixed = {
    a: [1, bytes.subarray(3, 9)],
    b: { c: new ArrayBuffer(2) },
    d: "x",
    "": bytes.subarray(0, 0),
  };
  assert.deepEqual(trip(mixed), { ...mixed, a: [1, bytes.slice(3, 9)] });
});

test("the size counts the page's data, not the text", () => {
  assert.equal(pack(new Uint8Array(1000)).size, 1000);
  assert.equal(pack("ü€😀a").size, 2 + 2 + 3 + 4 + 1);
  const { size } = pack({ x: new Uint8Array(3000) });
  assert.ok(size >= 3000 && size < 3060, `${size}`);
});

test("a packed value does not change with the page's object", () => {
  const data = { list: [1] };
  const { text } = pack(data);
  data.list.push(2);
  assert.deepEqual(unpack(text), { list: [1] });
  assert.notEqual(unpack(text), unpack(text));
});

test("a value that cannot be sent throws a TypeError", () => {
  const loop: { self?: unknown } = {};
  loop.self = loop;
  for (const data of [undefined, () => 1, Symbol("x"), 1n, loop])
    assert.throws(() => pack(data), TypeError);
});

test("a value that JSON would lose silently throws a TypeError that names it and its place", () => {
  for (const data of [
    new Map(),
    new Set(),
    new Blob(),
    Promise.resolve(1),
    new Float32Array(1),
    new DataView(new ArrayBuffer(1)),
    new SharedArrayBuffer(1),
  ]) {
    const name = Object.prototype.toString.call(data).slice(8, -1);
    for (const around of [data, [{ a: data }], { bytes: new Uint8Array(1), a: data }])
      assert.throws(() => pack(around), {
        name: "TypeError",
        message: new RegExp(`^${name} cannot be sent`),
      });
  }
  class Point {
    constructor(readonly x: number) {}
  }
  class Table {
    readonly map = new Map([["a", 1]]);
    toJSON = () => [...this.map];
  }
  assert.deepEqual(
    trip({
      at: new Date(0),
      point: new Point(1),
      table: new Table(),
      bare: Object.assign(Object.create(null), { a: 1 }),
    }),
    { at: "1970-01-01T00:00:00.000Z", point: { x: 1 }, table: [["a", 1]], bare: { a: 1 } },
  );
});

test("unpacking throws for anything that pack did not make, without side effects", () => {
  for (const text of [
    1,
    null,
    {},
    "",
    "{",
    "b!",
    'x{"v":null,"b":[[["__proto__","x"],"b",""]]}',
    'x{"v":{},"b":[[[],"b",""]]}',
  ])
    assert.throws(() => unpack(text));
  assert.equal(({} as { x?: unknown }).x, undefined);
});

test("utf8Length counts the bytes of UTF-8", () => {
  for (const text of ["", "abc", "ü", "€", "😀", "a😀€ü\u0000"])
    assert.equal(utf8Length(text), new TextEncoder().encode(text).length);
});

test("base64url encodes a page's name without padding", () => {
  assert.equal(base64url("https://example.org/board"), "aHR0cHM6Ly9leGFtcGxlLm9yZy9ib2FyZA");
  assert.equal(base64url("ü?>"), Buffer.from("ü?>").toString("base64url"));
});
