// A host that was replaced delivers nothing of its own, and loses nothing.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Rig } from "./group.rig.ts";

test("the tail of the old host is taken back and sent again", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  rig.send("a", "old");
  rig.letters = [];
  rig.feed("a", { type: "offline" });
  rig.host("b", "b", 11, "left", ["b", "c"]);
  rig.host("c", "b", 11, "left");
  rig.send("c", "new");
  rig.pass(1000, "b", "c");
  assert.equal(rig.state("c"), "new");
  rig.letters = [];
  rig.feed("b", { type: "joined", member: { id: "a", group: true } });
  rig.open("a", "b", 11);
  rig.pass(1000);
  for (const id of ["a", "b", "c"]) assert.equal(rig.state(id), "new old");
  assert.deepEqual(rig.settled.get("a"), ["ok"]);
});

test("a deposed host that does not know reaches nobody, and checks its socket", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  rig.host("b", "b", 11, "stalled", ["a", "b", "c"]);
  rig.host("c", "b", 11, "stalled");
  rig.settle("b", "c");
  rig.letters = [];
  rig.send("a", "late");
  rig.pass(200, "a", "c");
  assert.equal(rig.state("c"), "");
  assert.equal(rig.state("a"), "");
  assert.ok(rig.effects.get("a")?.some(({ type }) => type === "check"));
  rig.feed("a", { type: "offline" });
  rig.open("a", "b", 11);
  rig.pass(1000);
  for (const id of ["a", "b", "c"]) assert.equal(rig.state(id), "late");
});

test("a host that resigns names the member with the longest log, and stamps no more", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  rig.feed("a", { type: "resign" });
  assert.ok(
    rig.effects
      .get("a")
      ?.some(
        (effect) => effect.type === "resign" && effect.epoch === 10 && effect.to !== undefined,
      ),
  );
  rig.send("a", "x");
  rig.host("b", "b", 11, "resigned", ["a", "b", "c"]);
  for (const id of ["a", "c"]) rig.host(id, "b", 11, "resigned");
  rig.pass(500);
  for (const id of ["a", "b", "c"]) assert.equal(rig.state(id), "x");
});

test("a deposed host does not hand its page the tail that it stamped", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  rig.send("a", "seen");
  const early = rig.take(
    ({ from, to, message }) => from === "a" && to === "b" && message.t === "data",
  );
  rig.hand(early);
  rig.settle();
  rig.send("a", "tail");
  rig.letters = [];
  rig.host("b", "b", 11, "stalled", ["a", "b", "c"]);
  for (const id of ["a", "c"]) rig.host(id, "b", 11, "stalled");
  const [data] = early;
  // Entries of b, repeated in its own epoch, end before the tail of a does.
  if (data && data.message.t === "data")
    rig.hand([{ from: "b", to: "a", message: { ...data.message, e: 11 } }]);
  assert.equal(rig.state("a"), "seen");
  rig.pass(1500);
  for (const id of ["a", "b", "c"]) assert.equal(rig.state(id), "seen tail");
});
