import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8Length } from "../src/codec.ts";
import { cut, Reassembler, LONGEST, pieceIn, quotedCost } from "../src/pieces.ts";

const texts = [
  "",
  "short",
  "x".repeat(1000),
  "😀".repeat(333),
  JSON.stringify({ a: 'ü"\\€😀'.repeat(99) }),
];

test("pieces fit the limit and join to the whole text", () => {
  for (const text of texts) {
    for (const room of [16, 64, 1001]) {
      const pieces = cut(text, room, quotedCost);
      assert.equal(pieces.join(""), text);
      for (const piece of pieces) {
        assert.ok(utf8Length(JSON.stringify(piece)) - 2 <= room + 2, `${piece.length} in ${room}`);
        assert.ok(!JSON.stringify(piece).includes("\\ud"), "a pair was cut");
      }
    }
  }
});

test("pieces join in any order, once", () => {
  const reassembler = new Reassembler();
  const piece = (i: number, x: string) => ({ k: 1, i, of: 3, x });
  assert.equal(reassembler.add("a", piece(0, "one ")), undefined);
  assert.equal(reassembler.add("a", piece(2, "three")), undefined);
  assert.equal(reassembler.add("b", piece(0, "another's ")), undefined);
  assert.equal(reassembler.add("a", piece(2, "three")), undefined);
  assert.equal(reassembler.add("a", piece(1, "two ")), "one two three");
  assert.equal(reassembler.add("a", piece(1, "two ")), undefined);
});

test("a message whose first piece is missing is dropped", () => {
  const reassembler = new Reassembler();
  assert.equal(reassembler.add("a", { k: 1, i: 1, of: 2, x: "end" }), undefined);
  assert.equal(reassembler.add("a", { k: 1, i: 0, of: 2, x: "late" }), undefined);
  assert.equal(reassembler.add("a", { k: 1, i: 1, of: 2, x: "r" }), "later");
});

test("the oldest unfinished message makes room for new pieces, whoever sent it", () => {
  const reassembler = new Reassembler();
  const big = "x".repeat(LONGEST / 8);
  for (let i = 0; i < 30; i++) reassembler.add(`gone ${i}`, { k: 1, i: 0, of: 2, x: big });
  for (let i = 0; i < 8; i++) {
    const whole = reassembler.add("here", { k: 1, i, of: 8, x: big });
    assert.equal(whole?.length, i < 7 ? undefined : LONGEST);
  }
});

test("the number of unfinished messages is bounded, however small their pieces", () => {
  const reassembler = new Reassembler();
  const many = 200_000;
  for (let k = 0; k < many; k++) reassembler.add("a", { k, i: 0, of: 2, x: "" });
  assert.equal(reassembler.add("a", { k: 0, i: 1, of: 2, x: "y" }), undefined);
  assert.equal(reassembler.add("a", { k: many - 1, i: 1, of: 2, x: "y" }), "y");
});

test("forget drops the messages of one sender only", () => {
  const reassembler = new Reassembler();
  for (const from of ["a", "b"]) reassembler.add(from, { k: 1, i: 0, of: 2, x: from });
  reassembler.forget("a");
  assert.deepEqual(
    ["a", "b"].map((from) => reassembler.add(from, { k: 1, i: 1, of: 2, x: "!" })),
    [undefined, "b!"],
  );
});

test("pieceIn rejects values that are no piece", () => {
  for (const value of [
    null,
    1,
    {},
    { k: 1, i: 0, of: 2 },
    { k: "1", i: 0, of: 2, x: "" },
    { k: 1, i: 0.5, of: 2, x: "" },
  ])
    assert.equal(pieceIn(value), undefined);
  const reassembler = new Reassembler();
  for (const bad of [
    { k: 1, i: -1, of: 2, x: "" },
    { k: 1, i: 0, of: 0, x: "" },
    { k: 1, i: 0, of: 1e9, x: "" },
  ])
    assert.equal(reassembler.add("a", bad), undefined);
});
