// Members that cannot be filled start again from a snapshot, or from the kept entries.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Wire } from "../src/group/index.ts";
import { NOWHERE, Rig } from "./group.rig.ts";

/**
 * Returns a rig where the page of `b` makes a snapshot, and was not handed yet what it has of `a`.
 */
function makingSnapshot() {
  const rig = new Rig();
  rig.together("a", "b");
  rig.slow.add("b");
  const say = (message: Wire) => rig.receive("b", "a", message);
  say({ t: "want", e: 10, k: 1 });
  rig.send("a", "x");
  rig.pass(100);
  const heal = rig.groups.get("b")?.place;
  assert.ok(heal && heal.s > (rig.groups.get("b")?.delivered ?? Infinity));
  return { rig, heal, say };
}

test("a member that joins during a takeover is restored", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  rig.send("a", "x");
  rig.settle();
  rig.kill("a");
  rig.host("b", "b", 11, "left", ["b", "c"]);
  rig.add("d");
  rig.feed("b", { type: "joined", member: { id: "d", group: true } });
  rig.open("d", "b", 11);
  rig.send("d", "z");
  rig.host("c", "b", 11, "left");
  rig.pass(1500);
  for (const id of ["b", "c", "d"]) assert.equal(rig.state(id), "x z");
  assert.deepEqual(
    rig.noticed("d", "recovered").map(({ complete, via }) => [complete, via]),
    [[true, "snapshot"]],
  );
});

test("a member that joins where no page gives snapshots gets the kept log", () => {
  const rig = new Rig();
  rig.together("a", "b");
  for (const id of ["a", "b"]) rig.feed(id, { type: "snapshots", able: false });
  rig.pass(4000);
  rig.send("b", "x");
  rig.settle();
  rig.add("c");
  rig.feed("c", { type: "snapshots", able: false });
  rig.feed("a", { type: "joined", member: { id: "c", group: true } });
  rig.open("c", "a", 10);
  rig.pass(1500);
  assert.equal(rig.state("c"), "x");
  assert.deepEqual(
    rig.noticed("c", "recovered").map(({ complete, via }) => [complete, via]),
    [[true, "log"]],
  );
});

test("a page that was told that something is missing gives no snapshot", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  for (const id of ["a", "b"]) rig.feed(id, { type: "snapshots", able: false });
  rig.settle();
  // The page of c alone is handed an entry that the group goes on without, and nobody can give c a
  // state.
  rig.send("c", "mine");
  rig.hand(rig.take(({ to }) => to === "a"));
  rig.hand(rig.take(({ from, to }) => from === "a" && to === "c"));
  rig.kill("a");
  rig.letters = [];
  rig.feed("c", { type: "offline" });
  rig.host("b", "b", 11, "left", ["b"]);
  rig.send("b", "theirs");
  rig.pass(600, "b");
  rig.feed("b", { type: "joined", member: { id: "c", group: true } });
  rig.open("c", "b", 11);
  rig.pass(2000);
  assert.equal(rig.noticed("c", "recovered").at(-1)?.complete, false);
  rig.add("d");
  rig.feed("b", { type: "joined", member: { id: "d", group: true } });
  rig.open("d", "b", 11);
  rig.pass(4000);
  // d starts from the kept log and is told so. It does not start from the state of c.
  assert.deepEqual(
    rig.noticed("d", "recovered").map(({ complete, via }) => [complete, via]),
    [[false, "none"]],
  );
  assert.equal(rig.state("d"), rig.state("b"));
});

test("entries that wait for a snapshot are not handed over when their history is given up", () => {
  const { rig, heal, say } = makingSnapshot();
  say({
    t: "restore",
    e: 10,
    heal,
    snap: { r: 5, e: 5, s: 0, line: [[5, 0]], counts: [], members: [], has: false, z: 0 },
  });
  assert.equal(rig.state("b"), "");
});

test("a member restored without a state is handed first what it has of that history", () => {
  const { rig, heal, say } = makingSnapshot();
  assert.equal(rig.state("b"), "");
  say({
    t: "restore",
    e: 10,
    heal,
    snap: {
      ...heal,
      s: heal.s + 5,
      line: [[heal.r, 0]],
      counts: [],
      members: [],
      has: false,
      z: 0,
    },
  });
  assert.equal(rig.state("b"), "x");
  assert.deepEqual(
    rig
      .noticed("b", "recovered")
      .slice(-1)
      .map(({ complete, via }) => [complete, via]),
    [[false, "none"]],
  );
});

test("a member restored without a state starts where the histories part", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  for (const id of ["a", "b", "c"]) rig.feed(id, { type: "snapshots", able: false });
  rig.send("a", "one");
  rig.pass(500);
  const parted = rig.groups.get("b")?.place.s;
  // The page of b alone is handed an entry that the group goes on without.
  rig.send("b", "two");
  rig.hand(rig.take(({ to }) => to === "a"));
  rig.hand(rig.take(({ to }) => to === "b"));
  assert.equal(rig.state("b"), "one two");
  rig.kill("a");
  rig.letters = [];
  rig.feed("b", { type: "offline" });
  rig.host("c", "c", 11, "left", ["c"]);
  rig.send("c", "three");
  rig.pass(600, "c");
  // The next host has everything from c, and has handed its page nothing when it answers b.
  rig.add("d");
  rig.feed("d", { type: "snapshots", able: false });
  for (const id of ["b", "c", "d"]) rig.open(id, "d", 12, ["b", "c", "d"]);
  let restore: Wire | undefined;
  for (let round = 0; round < 20 && !restore; round++) {
    const letters = rig.take(() => true);
    restore = letters.find(({ to, message }) => to === "b" && message.t === "restore")?.message;
    rig.hand(letters);
  }
  assert.ok(restore?.t === "restore" && restore.snap.s === parted);
});

test("a page that was handed more than its new history holds gives no snapshot", () => {
  const rig = new Rig();
  rig.add("a", "c", "d");
  rig.feed("a", { type: "snapshots", able: false });
  rig.open("a", "a", 10, ["a"]);
  rig.send("a", "old");
  rig.feed("a", { type: "offline" });
  rig.open("c", "c", 20, ["c"]);
  rig.send("c", "x");
  rig.open("a", "a", 21, ["a", "c"]);
  rig.host("c", "a", 21, "restarted");
  // c learns where the older history begins, and no more.
  for (let round = 0; round < 5; round++) rig.hand(rig.take(({ message }) => message.t !== "data"));
  assert.deepEqual(rig.groups.get("c")?.place, { r: 10, e: 10, s: 0 });
  rig.kill("a");
  rig.open("d", "c", 22);
  rig.host("c", "c", 22, "left", ["c", "d"]);
  rig.pass(5000);
  assert.equal(rig.state("c"), "x");
  assert.equal(rig.state("d"), "x");
});

test("a member that is back without a state is not handed again what a gone member sent", () => {
  const rig = new Rig();
  rig.together("a", "b", "c", "e");
  for (const id of ["a", "b", "c", "e"]) rig.feed(id, { type: "snapshots", able: false });
  rig.send("b", "x");
  rig.hand(rig.take(({ to }) => to === "a"));
  rig.hand(rig.take(({ to }) => to === "e"));
  assert.equal(rig.state("e"), "x");
  // e alone has the message and the leave of b. The others go on, and b sends the message again
  // before it leaves.
  rig.hand([{ from: "b", to: "a", message: { t: "bye", e: 10 } }]);
  rig.hand(rig.take(({ from, to }) => from === "a" && to === "e"));
  rig.kill("a");
  rig.letters = [];
  rig.feed("e", { type: "offline" });
  rig.host("c", "c", 11, "left", ["b", "c"]);
  rig.host("b", "c", 11, "left");
  rig.pass(1000, "b", "c");
  assert.equal(rig.state("c"), "x");
  rig.kill("b");
  rig.feed("c", { type: "left", id: "b" });
  rig.pass(40_000, "c");
  // A newcomer keeps the log from the moment when it got it.
  rig.add("d");
  rig.feed("d", { type: "snapshots", able: false });
  rig.feed("c", { type: "joined", member: { id: "d", group: true } });
  rig.open("d", "c", 11);
  rig.pass(30_000, "c", "d");
  rig.letters = [];
  for (const id of ["c", "d", "e"]) rig.open(id, "d", 12, ["c", "d", "e"]);
  rig.send("c", "y");
  rig.pass(5000);
  for (const id of ["c", "d", "e"]) assert.equal(rig.state(id), "x y", id);
});

test("a member whose snapshot was lost is asked again before the host's own page", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  rig.send("a", "old");
  rig.settle();
  const givers = (): string[] =>
    (rig.effects.get("a") ?? []).flatMap((effect) => {
      if (effect.type === "askSnapshot") return ["a"];
      return effect.type === "transmit" && effect.message.t === "want" ? [effect.to] : [];
    });
  const join = (id: string): void => {
    rig.pass(5000);
    rig.add(id);
    rig.effects.get("a")?.splice(0);
    rig.feed("a", { type: "joined", member: { id, group: true } });
    rig.open(id, "a", 10);
    rig.pass(6000);
    assert.equal(rig.state(id), "old");
  };
  rig.loses = ({ message }) => message.t === "snap";
  join("d");
  assert.deepEqual(givers().sort(), ["a", "b", "c"]);
  rig.loses = () => false;
  rig.kill("d");
  rig.feed("a", { type: "left", id: "d" });
  join("e");
  assert.equal(givers().length, 1);
  assert.notEqual(givers()[0], "a");
});

test("no snapshot is sent to a member that has left, on whatever path it came", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.send("a", "old");
  rig.settle();
  rig.pass(5000);
  rig.add("d");
  rig.link("a", "d");
  rig.feed("a", { type: "joined", member: { id: "d", group: true } });
  rig.feed("a", { type: "left", id: "d" });
  // d says where it stands over its data channel, which then dies.
  rig.feed("a", {
    type: "received",
    from: "d",
    via: "p2p",
    message: { t: "at", e: 10, at: NOWHERE },
  });
  rig.pass(1000, "a", "b");
  rig.feed("a", { type: "link", id: "d", up: false });
  rig.pass(2000, "a", "b");
  rig.effects.get("a")?.splice(0);
  for (let s = 0; s < 120; s++) {
    rig.feed("a", { type: "pressure", link: "states", high: false });
    rig.pass(1000, "a", "b");
  }
  assert.ok(
    !rig.effects
      .get("a")
      ?.some((effect) => effect.type === "transmit" && effect.message.t === "restore"),
  );
});

test("a member whose library can less is asked for a snapshot only where nobody else gives one", () => {
  for (const [others, hostGives, asked] of [
    [["b", "c"], true, ["c"]],
    [["b"], true, []],
    [["b"], false, ["b"]],
  ] as const) {
    const rig = new Rig();
    rig.lacking.add("b");
    rig.together("a", ...others);
    rig.send("a", "x");
    rig.pass(5000);
    rig.feed("a", { type: "snapshots", able: hostGives });
    rig.add("d");
    const wanted: string[] = [];
    rig.loses = ({ to, message }) => {
      if (message.t === "want") wanted.push(to);
      return false;
    };
    rig.feed("a", { type: "joined", member: { id: "d", group: true } });
    rig.open("d", "a", 10);
    rig.pass(1500);
    assert.equal(rig.state("d"), "x");
    assert.deepEqual([...new Set(wanted)], asked);
  }
});
