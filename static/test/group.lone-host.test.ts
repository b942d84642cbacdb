// A host that is alone asks the server whether it is still the host before it delivers.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Rig } from "./group.rig.ts";

test("a lone host delivers only while its socket is open", () => {
  const rig = new Rig();
  rig.add("a");
  rig.open("a", "a", 10, ["a"]);
  rig.send("a", "x");
  assert.equal(rig.state("a"), "x");
  rig.feed("a", { type: "offline" });
  rig.send("a", "y");
  assert.equal(rig.state("a"), "x");
  rig.open("a", "a", 10, ["a"]);
  assert.equal(rig.state("a"), "x y");
});

test("a lone host that was frozen does not take its history for the group's before the server has answered", () => {
  const rig = new Rig();
  rig.add("a");
  rig.open("a", "a", 10, ["a"]);
  rig.send("a", "old");
  rig.deaf.add("a");
  rig.now += 20_000;
  rig.feed("a", { type: "timer" });
  rig.add("b");
  rig.open("b", "b", 20, ["b"]);
  rig.send("b", "new");
  rig.feed("a", { type: "offline" });
  rig.pass(35_000);
  rig.open("a", "b", 20);
  // Epochs follow the server's clock: the history of b is in use for longer than resumeMs.
  rig.host("b", "b", 35_020, "resigned", ["a", "b"]);
  rig.host("a", "b", 35_020, "resigned");
  rig.pass(2000);
  assert.equal(rig.state("b"), "new");
  assert.equal(rig.state("a"), "new");
  assert.deepEqual(
    rig.noticed("a", "recovered").map(({ complete }) => complete),
    [false],
  );
});

test("a lone host asks again if it reads the server's answer after a pause", () => {
  const rig = new Rig();
  rig.add("a");
  rig.open("a", "a", 10, ["a"]);
  rig.deaf.add("a");
  rig.send("a", "x");
  const asked = () => rig.effects.get("a")?.filter(({ type }) => type === "prove").length;
  assert.equal(asked(), 2);
  rig.now += 900;
  rig.feed("a", { type: "proved", epoch: 10 });
  assert.equal(rig.state("a"), "");
  assert.equal(asked(), 3);
  rig.now += 10;
  rig.feed("a", { type: "proved", epoch: 10 });
  assert.equal(rig.state("a"), "x");
});

test("an answer about another epoch proves nothing", () => {
  const rig = new Rig();
  rig.add("a");
  rig.open("a", "a", 10, ["a"]);
  rig.deaf.add("a");
  rig.send("a", "x");
  rig.feed("a", { type: "proved", epoch: 9 });
  assert.equal(rig.state("a"), "");
  rig.feed("a", { type: "proved", epoch: 10 });
  assert.equal(rig.state("a"), "x");
});

test("a host asks one question at a time, and again when no answer comes", () => {
  const rig = new Rig();
  rig.add("a");
  rig.open("a", "a", 10, ["a"]);
  rig.deaf.add("a");
  rig.effects.get("a")?.splice(0);
  const asked = () => rig.effects.get("a")?.filter(({ type }) => type === "prove").length;
  rig.send("a", "x");
  rig.send("a", "y");
  rig.pass(4000);
  assert.equal(asked(), 1);
  rig.deaf.delete("a");
  rig.pass(2000);
  assert.equal(rig.state("a"), "x y");
});

test("an answer of the server from before a snapshot does not count after it", () => {
  const rig = new Rig();
  rig.add("a", "b");
  rig.open("a", "a", 10, ["a"]);
  rig.slow.add("a");
  rig.feed("a", { type: "joined", member: { id: "b", group: true } });
  rig.open("b", "a", 10);
  rig.settle();
  rig.send("a", "x");
  rig.feed("b", { type: "leave" });
  rig.settle();
  rig.deaf.add("a");
  assert.equal(rig.state("a"), "");
  rig.now += 20_000;
  rig.feed("a", { type: "timer" });
  assert.equal(rig.state("a"), "");
  rig.deaf.delete("a");
  rig.open("a", "a", 10, ["a"]);
  assert.equal(rig.state("a"), "x");
});
