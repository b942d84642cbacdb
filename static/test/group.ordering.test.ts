// Messages arrive in one order, each of them once.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Rig } from "./group.rig.ts";

test("all members deliver messages in one order, and the sender's promise resolves", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  rig.send("b", "one");
  rig.send("c", "two");
  rig.send("a", "three");
  rig.pass(60);
  assert.equal(rig.state("a").split(" ").length, 3);
  assert.equal(rig.state("a"), rig.state("b"));
  assert.equal(rig.state("a"), rig.state("c"));
  assert.deepEqual(rig.settled.get("b"), ["ok"]);
});

test("the sender of a message is the first to have it back over a data channel", () => {
  const rig = new Rig();
  rig.together("a", "b", "c", "d");
  for (const id of ["b", "c", "d"]) rig.link("a", id);
  rig.letters = [];
  for (const id of ["d", "b", "c"]) {
    rig.send(id, `of ${id}`);
    rig.hand(rig.take(({ message }) => message.t === "send"));
    const [first, ...others] = rig.take(({ message }) => message.t === "data").map(({ to }) => to);
    assert.deepEqual([first, others.length], [id, 2]);
  }
});

test("a message that arrives by data channel and again by relay is delivered once", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.send("a", "x");
  const letters = rig.take(({ to }) => to === "b");
  rig.hand(letters);
  rig.hand(letters);
  rig.send("a", "y");
  rig.settle();
  rig.hand(letters);
  assert.equal(rig.state("b"), "x y");
});

test("early entries of a history that is given up are not taken for those of the new history", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.send("a", "old");
  rig.settle();
  rig.kill("a");
  rig.feed("b", { type: "offline" });
  rig.add("f", "g");
  rig.open("f", "f", 20, ["f"]);
  rig.feed("f", { type: "joined", member: { id: "g", group: true } });
  rig.open("g", "f", 20);
  for (const word of ["one", "two", "three", "four", "five"]) rig.send("f", word);
  // g keeps the early entries until it is restored. The snapshot is lost.
  for (let round = 0; round < 3; round++) {
    rig.take(({ message }) => message.t === "restore");
    rig.hand(
      rig.take(({ to, message }) => to === "g" && (message.t === "data" || message.t === "beat")),
    );
  }
  assert.equal(rig.state("g"), "");
  rig.letters = [];
  rig.feed("f", { type: "joined", member: { id: "b", group: true } });
  rig.open("b", "f", 20);
  for (let round = 0; round < 20; round++) {
    rig.now += 100;
    for (const id of ["b", "f", "g"]) rig.feed(id, { type: "timer" });
    rig.take(({ to, message }) => to === "g" && message.t !== "restore" && message.t !== "ask");
    rig.hand(rig.take(() => true));
  }
  assert.ok(rig.state("g").startsWith("old"));
  rig.pass(3000);
  assert.ok(rig.state("f").startsWith("old"));
  assert.equal(rig.state("g"), rig.state("f"));
  assert.equal(rig.state("b"), rig.state("f"));
  assert.equal(rig.state("f").split(" ").length, 6);
});

test("messages that are sent together go out together", () => {
  const rig = new Rig();
  rig.together("a", "b");
  const group = rig.groups.get("b");
  const effects =
    group?.handleAll(
      [1, 2, 3].map((token) => ({ type: "send", token, data: `m${token}`, size: 2 }) as const),
      rig.now,
    ) ?? [];
  assert.deepEqual(
    effects.flatMap((effect) =>
      effect.type === "transmit" && effect.message.t === "send" ? [effect.message.x.length] : [],
    ),
    [3],
  );
});
