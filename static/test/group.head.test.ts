// A greeting to a new host carries the messages that wait, which saves a round trip.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Rig } from "./group.rig.ts";

/**
 * Returns a rig where the host `a` has died, `c` has sent something meanwhile, and `b` hosts now.
 */
function afterChangeOfHost(...said: string[]): Rig {
  const rig = new Rig();
  rig.together("a", "b", "c");
  rig.kill("a");
  for (const data of said) rig.send("c", data);
  rig.letters = [];
  rig.host("b", "b", 11, "left", ["b", "c"]);
  rig.host("c", "b", 11, "left");
  return rig;
}

/** Hands over the letters that wait from one member to another. Returns their types. */
function exchange(rig: Rig, from: string, to: string): string[] {
  const letters = rig.take((letter) => letter.from === from && letter.to === to);
  rig.hand(letters);
  return letters.map(({ message }) => message.t);
}

test("messages that wait are delivered one round trip after a change of host", () => {
  const rig = afterChangeOfHost("one", "two");
  rig.take(({ from }) => from === "b");
  assert.deepEqual(exchange(rig, "c", "b"), ["at"]);
  exchange(rig, "b", "c");
  assert.equal(rig.state("c"), "one two");
  rig.pass(3000);
  assert.equal(rig.state("b"), "one two");
});

test("a greeting that is lost is repeated, and nothing is delivered twice", () => {
  const rig = afterChangeOfHost("one");
  rig.letters = [];
  rig.pass(3000);
  assert.deepEqual([rig.state("b"), rig.state("c"), rig.settled.get("c")], ["one", "one", ["ok"]]);
});

test("a greeting carries at most 8 KB, and the rest follows when the host has answered", () => {
  const rig = afterChangeOfHost("x".repeat(5000), "y".repeat(5000), "z".repeat(20_000));
  const [at] = rig.take(({ from, message }) => from === "c" && message.t === "at");
  assert.ok(at?.message.t === "at" && at.message.x?.length === 1);
  rig.hand([at]);
  rig.pass(3000);
  assert.equal(rig.state("b").length, 30_002);
});

test("a greeting with a malformed head is ignored", () => {
  const rig = afterChangeOfHost();
  rig.letters = [];
  const at = { r: 1, e: 10, s: 0, done: 0, base: 0, line: [], snap: false, stale: false, age: 0 };
  for (const bad of [
    { x: "all" },
    { x: [{ n: -1, z: 0 }], low: 1 },
    { low: 3 },
    { x: [], low: "1" },
  ]) {
    rig.feed("b", {
      type: "received",
      from: "c",
      via: "relay",
      message: { t: "at", e: 11, at, ...bad },
    });
  }
  assert.deepEqual(
    rig.letters.filter(({ message }) => message.t === "restore"),
    [],
  );
});
