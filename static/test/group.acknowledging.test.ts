// Members acknowledge entries: the host's own page waits for the first of them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Rig } from "./group.rig.ts";

test("the host's page is handed a message once another member has it", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.send("a", "x");
  assert.equal(rig.state("a"), "");
  rig.settle();
  assert.equal(rig.state("a"), "x");
});

test("the sender or a witness acknowledges early, and others a little later in case it fails", () => {
  for (const [sender, atOnce, soon, later] of [
    ["b", [], ["b"], ["c"]],
    ["d", [], ["d"], ["b", "c"]],
    ["a", ["b"], [], ["c"]],
  ] as const) {
    const rig = new Rig();
    rig.together("a", "b", "c", "d");
    rig.send(sender, "x");
    rig.hand(rig.take(({ message }) => message.t === "send"));
    rig.hand(rig.take(({ message }) => message.t === "data"));
    const ackers = () => rig.take(({ message }) => message.t === "ack").map(({ from }) => from);
    assert.deepEqual(ackers(), atOnce, `${sender} sends`);
    rig.pass(2, "nobody");
    assert.deepEqual(ackers(), soon, `${sender} sends, in a moment`);
    rig.pass(50, "nobody");
    const second = rig.take(({ message }) => message.t === "ack");
    assert.deepEqual(
      second.map(({ from }) => from),
      later,
      `${sender} sends, later`,
    );
    rig.hand(second);
    assert.equal(rig.state("a"), "x");
  }
});

test("the next message of a member acknowledges its previous one", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  rig.send("b", "x");
  rig.hand(rig.take(({ message }) => message.t === "send"));
  rig.hand(rig.take(({ message, to }) => message.t === "data" && to === "b"));
  assert.equal(rig.state("a"), "");
  rig.now += 1;
  rig.send("b", "y");
  assert.deepEqual(
    rig.letters.filter(({ from }) => from === "b").map(({ message }) => message.t),
    ["send"],
  );
  rig.hand(rig.take(({ message }) => message.t === "send"));
  assert.equal(rig.state("a"), "x");
});
