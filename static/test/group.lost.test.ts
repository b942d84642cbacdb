// The page is told what it loses when its history is given up.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  EPOCH,
  comesTo,
  lastRecovery,
  losesHistory,
  listLost,
  withHistory,
} from "./group.scenes.ts";

test("a page that was away for long is told all that it loses, in order, and is restored", () => {
  const rig = withHistory();
  const recovered = losesHistory(rig, "b");
  assert.equal(
    listLost(recovered.lost),
    "a1 of a at 3; b1 of b, mine at 4; a2 of a at 5; b2 of b, mine at 6",
  );
  assert.deepEqual(
    [recovered.complete, recovered.reason, recovered.lostMore],
    [false, "replaced", false],
  );
  assert.ok(recovered.lost.every((lost) => lost.epoch === EPOCH));
  const restore = (rig.effects.get("b") ?? [])
    .filter((effect) => effect.type === "restore")
    .slice(-1)[0];
  assert.ok(
    restore?.type === "restore" &&
      restore.about.lost === recovered.lost &&
      restore.about.reason === "replaced",
  );
  // The page decides about these messages, so the library does not send them again.
  rig.pass(10_000);
  assert.equal(rig.state("n"), "n1");
  assert.equal(rig.state("b"), "n1");
});

test("a message that waited longer than `resumeMs` is uncertain, and not listed as lost", () => {
  const rig = withHistory();
  rig.send("b", "b3");
  rig.letters = [];
  const { lost } = losesHistory(rig, "b");
  assert.deepEqual(rig.settled.get("b"), ["ok", "ok", "Uncertain"]);
  assert.equal(
    listLost(lost),
    "a1 of a at 3; b1 of b, mine at 4; a2 of a at 5; b2 of b, mine at 6",
  );
});

test("a page is told that more is lost than is listed if messages were trimmed", () => {
  const rig = withHistory();
  for (let i = 0; i < 20; i++) {
    rig.feed("a", { type: "send", token: 1000 + i, data: `A${i}`, size: 1 << 20 });
    rig.pass(100);
  }
  const recovered = losesHistory(rig, "b");
  assert.equal(recovered.lostMore, true);
  // Messages of b itself are kept apart.
  assert.deepEqual(recovered.lost.map(({ data }) => data).slice(0, 3), ["b1", "b2", "A3"]);
  assert.equal(recovered.lost.length, 19);
});

test("a joiner is told why it is restored, and loses nothing", () => {
  const rig = withHistory();
  rig.add("c");
  comesTo(rig, "c", "a", EPOCH);
  rig.pass(1000);
  const recovered = lastRecovery(rig, "c");
  assert.deepEqual(
    [recovered.reason, recovered.lost, recovered.lostMore, recovered.complete],
    ["join", [], false, true],
  );
});

test("a member that fell behind its own history loses nothing", () => {
  const rig = withHistory();
  rig.feed("b", { type: "offline" });
  rig.feed("a", { type: "left", id: "b" });
  for (let i = 0; i < 30; i++) {
    rig.send("a", `x${i}`);
    rig.pass(3000, "a");
  }
  comesTo(rig, "b", "a", EPOCH);
  rig.pass(3000);
  const recovered = lastRecovery(rig, "b");
  assert.deepEqual(
    [recovered.reason, recovered.via, recovered.lost, recovered.lostMore, recovered.complete],
    ["behind", "snapshot", [], false, true],
  );
});

test("a page is told that more is lost than is listed if it was given a state", () => {
  const rig = withHistory();
  // The snapshot that b was given is too old for another member by then.
  rig.pass(5000);
  rig.add("c");
  comesTo(rig, "c", "a", EPOCH);
  rig.pass(1000);
  rig.send("c", "c1");
  rig.pass(200);
  rig.feed("c", { type: "offline" });
  const recovered = losesHistory(rig, "c");
  assert.deepEqual([recovered.lost.map(({ data }) => data), recovered.lostMore], [["c1"], true]);
});

test("a message that could not be sent again in time is told as lost once its sender is back", () => {
  const rig = withHistory();
  // b hosts alone for a moment, and stamps a message that nobody else gets.
  rig.host("b", "b", 11, "left", ["b"]);
  rig.send("b", "b3");
  rig.pass(600, "b");
  assert.equal(rig.state("b"), "a1 b1 a2 b2 b3");
  // a has gone on, and b gives b3 up. b sends b3 again, and that does not arrive.
  rig.host("a", "a", 12, "restarted", ["a"]);
  rig.send("a", "a3");
  rig.pass(600, "a");
  rig.feed("a", { type: "joined", member: { id: "b", group: true } });
  rig.host("b", "a", 12, "restarted");
  rig.loses = ({ message }) => message.t === "send";
  for (let i = 0; i < 12 && rig.state("b") !== "a1 b1 a2 b2 a3"; i++) rig.pass(50, "a", "b");
  assert.equal(rig.state("b"), "a1 b1 a2 b2 a3");
  assert.deepEqual(lastRecovery(rig, "b").lost, []);
  rig.feed("b", { type: "offline" });
  rig.pass(31_000, "a");
  comesTo(rig, "b", "a", 12);
  rig.pass(3000);
  const recovered = lastRecovery(rig, "b");
  assert.deepEqual(
    [listLost(recovered.lost), recovered.complete, recovered.via],
    ["b3 of b, mine at 8", false, "log"],
  );
  rig.loses = () => false;
  rig.pass(10_000);
  assert.equal(rig.state("a"), "a1 b1 a2 b2 a3");
});

test("a message that its sender has sent again by then is not lost", () => {
  const rig = withHistory();
  rig.add("c");
  comesTo(rig, "c", "a", EPOCH);
  rig.pass(1000);
  // b and c go on without a, and a without them.
  for (const id of ["b", "c"]) rig.host(id, "b", 11, "left", id === "b" ? ["b", "c"] : []);
  rig.send("c", "c1");
  rig.pass(1000, "b", "c");
  assert.equal(rig.state("b"), "a1 b1 a2 b2 c1");
  rig.host("a", "a", 12, "restarted", ["a"]);
  rig.send("a", "a3");
  rig.pass(1000, "a");
  // c is back first.
  rig.feed("a", { type: "joined", member: { id: "c", group: true } });
  rig.host("c", "a", 12, "restarted");
  rig.pass(5000, "a", "c");
  assert.equal(rig.state("a"), "a1 b1 a2 b2 a3 c1");
  rig.feed("a", { type: "joined", member: { id: "b", group: true } });
  rig.host("b", "a", 12, "restarted");
  rig.pass(3000);
  const recovered = lastRecovery(rig, "b");
  assert.deepEqual(
    [rig.state("b"), recovered.reason, recovered.lost, recovered.lostMore],
    ["a1 b1 a2 b2 a3 c1", "replaced", [], false],
  );
});
