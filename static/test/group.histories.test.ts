// One of two histories goes on. Nothing of the other is lost while its senders stay.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Rig } from "./group.rig.ts";

test("a member that alone has a tail is restored and told, and sends its own messages again", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  rig.send("c", "mine");
  rig.hand(rig.take(({ to }) => to === "a"));
  rig.hand(rig.take(({ from, to }) => from === "a" && to === "c"));
  assert.equal(rig.state("c"), "mine");
  rig.kill("a");
  rig.letters = [];
  rig.feed("c", { type: "offline" });
  rig.host("b", "b", 11, "left", ["b"]);
  rig.send("b", "theirs");
  rig.pass(600, "b");
  assert.equal(rig.state("b"), "theirs");
  rig.feed("b", { type: "joined", member: { id: "c", group: true } });
  rig.open("c", "b", 11);
  rig.pass(2000);
  assert.equal(rig.state("c"), "theirs mine");
  assert.equal(rig.state("b"), "theirs mine");
  assert.deepEqual(
    rig
      .noticed("c", "recovered")
      .map(({ complete, via }) => [complete, via])
      .at(-1),
    [false, "snapshot"],
  );
});

test("a newcomer that founded a history gives way to an older one, and sends again", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.send("a", "old");
  rig.settle();
  for (const id of ["a", "b"]) rig.feed(id, { type: "offline" });
  rig.add("f");
  rig.open("f", "f", 20, ["f"]);
  rig.send("f", "fresh");
  assert.equal(rig.state("f"), "fresh");
  rig.open("b", "f", 20);
  rig.host("b", "b", 21, "restarted", ["f", "b"]);
  rig.host("f", "b", 21, "restarted");
  rig.kill("a");
  rig.pass(1500);
  assert.equal(rig.state("b"), "old fresh");
  assert.equal(rig.state("f"), "old fresh");
});

test("a stale history is not fresh again for having been handed on", () => {
  const rig = new Rig();
  rig.add("a");
  rig.open("a", "a", 10, ["a"]);
  rig.send("a", "old");
  rig.feed("a", { type: "offline" });
  rig.pass(28_000);
  rig.add("e");
  rig.deaf.add("e");
  rig.open("e", "a", 11);
  rig.open("a", "e", 12);
  rig.now += 400;
  // e is named host and takes the history of a, but may have been frozen.
  rig.host("e", "e", 12, "left", ["a", "e"]);
  while (rig.state("e") !== "old") rig.hand(rig.take(() => true));
  rig.kill("a");
  rig.letters = [];
  rig.pass(3000);
  rig.letters = [];
  rig.add("c");
  rig.host("e", "c", 30, "stalled");
  const standing = rig
    .take(({ from, message }) => from === "e" && message.t === "at")
    .at(-1)?.message;
  assert.ok(standing?.t === "at" && standing.at.r === 10 && standing.at.stale);
});

test("two groups that were apart for long become one, and what is given up is sent again", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  rig.link("a", "b");
  // a and b lose the server and go on without it. c goes on with the server.
  for (const id of ["a", "b"]) rig.feed(id, { type: "offline" });
  rig.host("c", "c", 11, "left", ["c"]);
  rig.send("b", "there");
  rig.send("c", "here");
  rig.pass(60_000, "a", "b");
  assert.equal(rig.state("a"), "there");
  assert.equal(rig.state("c"), "here");
  for (const id of ["a", "b"]) {
    rig.feed("c", { type: "joined", member: { id, group: true } });
    rig.open(id, "c", 11);
  }
  rig.pass(5000);
  for (const id of ["a", "b", "c"]) assert.equal(rig.state(id), "here there");
  for (const id of ["a", "b"]) assert.equal(rig.noticed(id, "recovered").at(-1)?.complete, false);
});

test("a member that stands where a history was founded has none of it", () => {
  const rig = new Rig();
  rig.add("a", "b");
  for (const id of ["a", "b"]) rig.feed(id, { type: "snapshots", able: false });
  rig.open("a", "a", 10, ["a"]);
  rig.send("a", "old");
  rig.feed("a", { type: "joined", member: { id: "b", group: true } });
  rig.open("b", "a", 10);
  // b learns where the history begins, and no more.
  for (let round = 0; round < 5; round++) rig.hand(rig.take(({ message }) => message.t !== "data"));
  assert.deepEqual(rig.groups.get("b")?.place, { r: 10, e: 10, s: 0 });
  rig.letters = [];
  rig.feed("a", { type: "offline" });
  rig.host("b", "b", 11, "left", ["b"]);
  rig.send("b", "new");
  rig.pass(5000, "b");
  assert.equal(rig.state("b"), "new");
  assert.equal(rig.noticed("b", "recovered").at(-1)?.complete, false);
  rig.feed("b", { type: "joined", member: { id: "a", group: true } });
  rig.open("a", "b", 11);
  rig.pass(3000);
  assert.equal(rig.state("a"), "old new");
  assert.deepEqual(
    rig.noticed("a", "recovered").filter(({ complete }) => !complete),
    [],
  );
});

test("a young history gives way to an older one that was away for long, and nothing is lost", () => {
  for (const [usedMs, wins] of [
    [20_000, true],
    [35_000, false],
  ] as const) {
    for (const named of ["newcomer", "claimant"]) {
      const rig = new Rig();
      rig.together("a");
      rig.send("a", "old");
      rig.feed("a", { type: "offline" });
      rig.pass(50_000, "nobody");
      rig.add("b");
      rig.open("b", "b", 50_000, ["b"]);
      rig.send("b", "new");
      rig.pass(usedMs, "b");
      const epoch = 50_000 + usedMs;
      if (named === "newcomer") {
        rig.feed("b", { type: "joined", member: { id: "a", group: true } });
        rig.open("a", "b", 50_000);
      } else {
        rig.host("b", "a", epoch, "resigned");
        rig.open("a", "a", epoch, ["a", "b"]);
      }
      rig.pass(5000);
      for (const id of ["a", "b"])
        assert.equal(
          rig.state(id),
          wins ? "old new" : "new",
          `${id}, ${named} hosts after ${usedMs} ms`,
        );
    }
  }
});
