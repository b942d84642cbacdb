// Tests what can be sent. JSON silently turns many objects into `{}`; the library must refuse them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { runInNewContext } from "node:vm";
import { jsonText, pack, unpack } from "../src/codec.ts";

const trip = (data: unknown): unknown => unpack(pack(data).text);
const refused = (data: unknown, message: RegExp): void => {
  for (const around of [data, [1, { a: data }], { bytes: new Uint8Array(1), a: data }])
    assert.throws(() => pack(around), { name: "TypeError", message });
};
const made = (code: string): unknown => runInNewContext(code);

test("bytes of another realm are sent as bytes, anywhere in a value", () => {
  const [buffer, view] = [
    made("new Uint8Array([1, 2, 3]).buffer"),
    made("new Uint8Array([0, 1, 2, 3]).subarray(1)"),
  ];
  assert.ok(!(buffer instanceof ArrayBuffer));
  assert.ok(trip(buffer) instanceof ArrayBuffer);
  assert.deepEqual(new Uint8Array(trip(buffer) as ArrayBuffer), Uint8Array.of(1, 2, 3));
  assert.deepEqual(trip(view), Uint8Array.of(1, 2, 3));
  assert.deepEqual(trip({ a: [view] }), { a: [Uint8Array.of(1, 2, 3)] });
  assert.deepEqual(trip(Buffer.from([1, 2])), Uint8Array.of(1, 2));
});

test("objects and arrays of another realm are sent as they are", () => {
  assert.deepEqual(trip(made("({ a: [1, { b: null }], at: new Date(0) })")), {
    a: [1, { b: null }],
    at: "1970-01-01T00:00:00.000Z",
  });
  for (const code of [
    "new Map([[1, 2]])",
    "new Set()",
    "new Error('x')",
    "/x/",
    "Promise.resolve()",
    "new WeakMap()",
    "[].values()",
    "new Float64Array(1)",
    "new SharedArrayBuffer(1)",
  ])
    refused(made(code), /cannot be sent/);
});

test("an object that JSON would empty or change throws a TypeError that names it", () => {
  function* numbers(): Generator<number> {
    yield 1;
  }
  class Failure extends TypeError {
    readonly code = 7;
  }
  class Named extends Error {
    readonly code = 7;
    get [Symbol.toStringTag](): string {
      return "Named";
    }
  }
  class Secret {
    #kept = 1;
    get kept(): number {
      return this.#kept;
    }
  }
  class Table extends Map<string, number> {
    readonly title = "t";
  }
  for (const [data, message] of [
    [new Error("x"), /^Error cannot be sent.*send its message/],
    [new Failure("x"), /^Error/],
    [new Named("x"), /^Named/],
    [new DOMException("x"), /^DOMException/],
    [/x/g, /^RegExp/],
    [new URLSearchParams("a=1"), /^URLSearchParams.*String\(it\)/],
    [new FormData(), /^FormData/],
    [new Headers({ a: "1" }), /^Headers/],
    [new Response("x"), /^Response/],
    [new Event("x"), /^Event/],
    [new WeakMap(), /^WeakMap/],
    [new WeakSet(), /^WeakSet/],
    [new WeakRef({}), /^WeakRef/],
    [new Table([["a", 1]]), /^Map/],
    [[1].values(), /^Array Iterator/],
    [new Map().entries(), /^Map Iterator/],
    ["x".matchAll(/x/g), /Iterator/],
    [numbers(), /^Generator/],
    [new Blob(["x"]), /^Blob.*arrayBuffer/],
    [Promise.resolve(1), /^Promise.*await/],
    [new AbortController(), /^AbortController/],
    [new TextEncoder(), /^TextEncoder/],
    [new Intl.NumberFormat(), /^Intl.NumberFormat/],
    [Math, /^Math/],
    [
      (function () {
        return arguments;
      })(),
      /^Arguments/,
    ],
    [new Secret(), /^an instance of Secret/],
    [Object.create({ a: 1 }), /without fields/],
    [Object(Symbol("x")), /^Symbol/],
    [Object(1n), /^BigInt/],
  ] as const)
    refused(data, message);
});

test("functions, symbols, bigints and non-finite numbers throw a TypeError, also inside a value", () => {
  refused(() => 1, /^a function cannot be sent/);
  refused(class {}, /^a function/);
  refused(Symbol("x"), /^a symbol/);
  refused(1n, /^a bigint.*String\(it\)/);
  for (const number of [NaN, Infinity, -Infinity])
    refused(number, new RegExp(`^${number} cannot be sent`));
  class Button {
    readonly label = "x";
    readonly onclick = (): void => {};
  }
  refused(new Button(), /^a function/);
});

test("the error names the place in the value", () => {
  assert.throws(
    () => pack({ list: [{}, { "of all": new Map() }] }),
    /^TypeError: Map cannot be sent.*\(found at \.list\[1\]\["of all"\]\)$/,
  );
  assert.throws(
    () => pack({ at: new Date(0), list: [1, { x: NaN }] }),
    /\(found at \.list\[1\]\.x\)$/,
  );
  assert.throws(() => pack(new Map()), /Uint8Array; send Array\.from\(it\)$/);
});

test("the result of toJSON is sent, with its bytes, and checked like any value", () => {
  const as = (toJSON: (key: string) => unknown) => ({ toJSON });
  assert.deepEqual(trip(as(() => Uint8Array.of(1, 2))), Uint8Array.of(1, 2));
  assert.deepEqual(trip([as(() => ({ a: Uint8Array.of(1) }))]), [{ a: Uint8Array.of(1) }]);
  assert.deepEqual(trip({ k: [as((key) => key), as((key) => [key])] }), { k: ["0", ["1"]] });
  assert.deepEqual(trip({ k: as(() => undefined), n: 1 }), { n: 1 });
  for (const lost of [new Map(), new Error("x"), () => 1, NaN])
    refused(
      as(() => lost),
      /cannot be sent/,
    );
  let times = 0;
  pack([as(() => ++times)]);
  assert.equal(times, 1, "asked once");
  // Like JSON, the library does not call toJSON of the result of toJSON.
  const self = { a: 1, toJSON: (): unknown => self };
  assert.deepEqual(trip(self), { a: 1 });
});

test("values that JSON can write keep their meaning", () => {
  class Point {
    constructor(readonly x: number) {}
  }
  class Tagged extends Point {
    get [Symbol.toStringTag](): string {
      return "Tagged";
    }
  }
  const bare = Object.assign(Object.create(null) as object, { a: 1 });
  for (const extra of [{}, { bytes: Uint8Array.of(1) }, { at: new URL("https://example.org/") }]) {
    const data = {
      number: Object(1) as unknown,
      text: Object("x") as unknown,
      flag: Object(false) as unknown,
      point: new Point(1),
      tagged: new Tagged(2),
      bare,
      // biome-ignore lint/suspicious/noSparseArray: the hole is what the test is about
      list: [undefined, , -0],
      gone: undefined,
      lone: "\ud800",
      "": { "": 1 },
      ...extra,
    };
    const got = trip(data) as Record<string, unknown>;
    delete got["bytes"];
    delete got["at"];
    assert.deepEqual(got, {
      number: 1,
      text: "x",
      flag: false,
      point: { x: 1 },
      tagged: { x: 2 },
      bare: { a: 1 },
      list: [null, null, 0],
      lone: "\ud800",
      "": { "": 1 },
    });
  }
  const shared = { a: 1 };
  assert.deepEqual(trip([shared, shared, new Date(0), shared]), [
    shared,
    shared,
    "1970-01-01T00:00:00.000Z",
    shared,
  ]);
});

test("circular and too deep values throw a TypeError, also beside bytes", () => {
  const loop: unknown[] = [];
  loop.push(loop);
  let deep: unknown = 1;
  for (let i = 0; i < 100_000; i++) deep = [deep];
  for (const data of [loop, deep])
    for (const around of [data, [new Uint8Array(1), data]])
      assert.throws(() => pack(around), TypeError);
  let list: unknown = null;
  for (let i = 0; i < 1000; i++) list = { next: list, at: new Date(0) };
  pack(list);
});

test("transferred bytes throw a TypeError instead of being sent as empty", () => {
  const bytes = Uint8Array.of(1, 2, 3);
  structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
  for (const data of [bytes, bytes.buffer, [bytes]]) assert.throws(() => pack(data), /detached/);
});

test("jsonText throws for a value with bytes", () => {
  assert.equal(
    jsonText({ name: "Ann", at: new Date(0) }),
    '{"name":"Ann","at":"1970-01-01T00:00:00.000Z"}',
  );
  for (const data of [new Uint8Array(1), { face: new ArrayBuffer(1) }, new Map(), undefined])
    assert.throws(() => jsonText(data), TypeError);
});
