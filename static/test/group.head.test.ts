// What waits to be sent goes to a new host with the greeting: one round trip less until it is delivered.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Rig } from "./group.rig.ts";

/** The host a is dead, b hosts now; c has said something meanwhile. */
function changed(...said: string[]): Rig {
  const rig = new Rig();
  rig.together("a", "b", "c");
  rig.kill("a");
  for (const data of said) rig.send("c", data);
  rig.letters = [];
  rig.host("b", "b", 11, "left", ["b", "c"]);
  rig.host("c", "b", 11, "left");
  return rig;
}

/** Hands over once what is on the table from one to another. */
function exchange(rig: Rig, from: string, to: string): string[] {
  const letters = rig.take((letter) => letter.from === from && letter.to === to);
  rig.hand(letters);
  return letters.map(({ message }) => message.t);
}

test("after a change of host what waits is delivered after one round trip", () => {
  const rig = changed("one", "two");
  rig.take(({ from }) => from === "b");
  assert.deepEqual(exchange(rig, "c", "b"), ["at"]);
  exchange(rig, "b", "c");
  assert.equal(rig.state("c"), "one two");
  rig.pass(3000);
  assert.equal(rig.state("b"), "one two");
});

test("a greeting that is lost costs a second try, and nothing is said twice", () => {
  const rig = changed("one");
  rig.letters = [];
  rig.pass(3000);
  assert.deepEqual([rig.state("b"), rig.state("c"), rig.settled.get("c")], ["one", "one", ["ok"]]);
});

test("a greeting is no larger than 8 KB: the rest follows when the host has answered", () => {
  const rig = changed("x".repeat(5000), "y".repeat(5000), "z".repeat(20_000));
  const [at] = rig.take(({ from, message }) => from === "c" && message.t === "at");
  assert.ok(at?.message.t === "at" && at.message.x?.length === 1);
  rig.hand([at]);
  rig.pass(3000);
  assert.equal(rig.state("b").length, 30_002);
});

test("a greeting whose head is no list is none", () => {
  const rig = changed();
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
