// Tests the envelopes around what applications say, and the names of channels.

import assert from "node:assert/strict";
import { test } from "node:test";
import { PURPOSE, unwrap, wrap } from "../src/channels/envelope.ts";
import { checkName } from "../src/channels/name.ts";
import { pack, unpack } from "../src/codec.ts";

test("an envelope is read as it was written", () => {
  for (const channel of ["", "chat", "1:2", "äöü 🙂", "x".repeat(128), "o", "s"])
    for (const purpose of Object.values(PURPOSE))
      for (const payload of ["{}", "", "b", ":", "om0:1"]) {
        if (purpose === PURPOSE.message && channel === "") continue;
        assert.deepEqual(unwrap(wrap(purpose, channel, payload)), { purpose, channel, payload });
      }
});

test("a message of the group itself is written as libraries without channels write it", () => {
  const values = [
    null,
    true,
    false,
    1.5,
    -1,
    "text",
    [1],
    { a: 1 },
    new Uint8Array([1]),
    [new Uint8Array(2)],
  ];
  for (const value of values) {
    const { text } = pack(value);
    assert.equal(wrap(PURPOSE.message, "", text), text);
    assert.deepEqual(unwrap(text), { purpose: PURPOSE.message, channel: "", payload: text });
  }
});

test("libraries without channels cannot take another envelope for a message", () => {
  for (const text of [wrap(PURPOSE.message, "chat", "1"), wrap(PURPOSE.direct, "", "1")])
    assert.throws(() => unpack(text));
});

test("sealed and malformed envelopes are not read", () => {
  for (const text of [
    "s",
    "sAAAA",
    "o",
    "om",
    "om1",
    "om:",
    "om1:",
    "om-1:a",
    "om01:a",
    "om9:short",
    "om1e1:x",
    "om1000:x",
    1,
    null,
    undefined,
    {},
  ])
    assert.equal(unwrap(text), undefined, String(text));
});

test("a purpose of a later library is read, for its reader to ignore", () => {
  assert.deepEqual(unwrap("oz4:chat1"), { purpose: "z", channel: "chat", payload: "1" });
});

test("the name of a channel is text of at most 128 bytes, of whole characters", () => {
  for (const name of ["", "a", "a b/c", "🙂".repeat(32)]) assert.equal(checkName(name), name);
  for (const name of ["x".repeat(129), "🙂".repeat(33)])
    assert.throws(() => checkName(name), { name: "RangeError", message: /at most 128 bytes/ });
  for (const name of [undefined, null, 1, {}])
    assert.throws(() => checkName(name), { name: "TypeError", message: /takes the name/ });
  for (const name of ["\ud83d", "a\ude42b"])
    assert.throws(() => checkName(name), { name: "TypeError", message: /surrogate/ });
});
