// Limits of the outbox, and messages whose fate is unknown.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Rig } from "./group.rig.ts";

test("`send` rejects beyond the limits, and drops nothing", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.feed("b", { type: "send", token: 900, data: "", size: 2 << 20 });
  assert.deepEqual(rig.settled.get("b"), ["TooLarge"]);
  for (let i = 0; i < 5; i++)
    rig.feed("b", { type: "send", token: 901 + i, data: `m${i}`, size: 1 << 20 });
  assert.deepEqual(rig.settled.get("b"), ["TooLarge", "Backpressure"]);
  rig.pass(3000);
  assert.equal(rig.state("a"), "m0 m1 m2 m3");
  rig.feed("b", { type: "leave" });
  rig.feed("b", { type: "send", token: 990, data: "", size: 1 });
  assert.equal(rig.settled.get("b")?.at(-1), "Closed");
});

test("a sender that was away too long is told that its messages are uncertain, and later ones are not", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.send("b", "lost?");
  rig.letters = [];
  rig.feed("b", { type: "offline" });
  rig.pass(31_000, "b");
  assert.deepEqual(rig.settled.get("b"), ["Uncertain"]);
  rig.send("b", "after");
  rig.feed("a", { type: "left", id: "b" });
  rig.feed("a", { type: "joined", member: { id: "b", group: true } });
  rig.open("b", "a", 10);
  rig.pass(2000);
  assert.equal(rig.state("a"), "after");
  assert.deepEqual(rig.settled.get("b"), ["Uncertain", "ok"]);
});
