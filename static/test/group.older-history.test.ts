// A host that changes to an older history within its epoch never goes back.

import assert from "node:assert/strict";
import { test } from "node:test";
import { NOWHERE, Rig } from "./group.rig.ts";

/** A message that promises a history older than that of the page. */
const OLDER = {
  t: "at",
  e: 10,
  at: { ...NOWHERE, r: 1, e: 1, s: 9, done: 9, line: [[1, 0]] },
};

/** Returns the snapshot of the place where a history was founded in this epoch. */
function beginOf(r: number) {
  return { r, e: r, s: 0, line: [[r, 0]], counts: [], members: [], has: false, z: 0 };
}

/** Returns a page that `a` hosts, which has sent something, and where `say` sends messages of `m`. */
function withStranger(...sent: string[]) {
  const rig = new Rig();
  rig.together("a", "b");
  for (const data of sent) rig.send("a", data);
  rig.pass(100);
  rig.feed("a", { type: "joined", member: { id: "m", group: true } });
  const say = (message: object): void => rig.receive("a", "m", message);
  const place = () => rig.groups.get("a")?.place ?? assert.fail("a is not there");
  return { rig, say, place };
}

test("a host does not change back, though the older history is stale by then", () => {
  const rig = new Rig();
  rig.together("a");
  rig.feed("a", { type: "offline" });
  rig.pass(28_400, "a");
  rig.add("c", "d");
  rig.open("c", "c", 20, ["c"]);
  rig.feed("c", { type: "joined", member: { id: "d", group: true } });
  rig.open("d", "c", 20);
  rig.settle("c", "d");
  rig.pass(1200, "c", "d");
  rig.send("d", "x");
  rig.settle("c", "d");
  assert.equal(rig.groups.get("c")?.place.r, 20);
  // d says where it stands.
  rig.feed("d", { type: "snapshots", able: true });
  rig.settle("c", "d");
  rig.letters = [];
  rig.feed("c", { type: "joined", member: { id: "a", group: true } });
  rig.open("a", "c", 20);
  // a is in time when it says where it stands, and stale when it gives what it was asked for.
  rig.hand(rig.take(({ from, message }) => from === "a" && message.t === "at"));
  rig.now += 700;
  rig.feed("a", { type: "timer" });
  rig.pass(3000);
  for (const id of ["a", "c", "d"]) assert.equal(rig.groups.get(id)?.place.r, 10, id);
  for (const id of ["a", "c", "d"]) assert.equal(rig.state(id), "x");
});

test("a member that promises an older history and never hands it over delays the page for seconds only", () => {
  const { rig, say } = withStranger();
  for (let ms = 0; ms < 16_000; ms += 200) {
    say(OLDER);
    rig.pass(200);
  }
  rig.send("b", "x");
  say(OLDER);
  rig.pass(60);
  say(OLDER);
  for (const id of ["a", "b"]) assert.equal(rig.state(id), "x");
});

test("a host is not restored to the newer history, though the giver of the older one has changed", () => {
  const { place, rig, say } = withStranger("new");
  const snap = beginOf(1);
  say(OLDER);
  const newer = place();
  say({ t: "restore", e: 10, heal: newer, snap });
  assert.deepEqual(place(), { r: 1, e: 1, s: 0 });
  say({
    t: "restore",
    e: 10,
    heal: place(),
    snap: { ...snap, ...newer, s: newer.s - 1, line: [[10, 0]] },
  });
  assert.equal(place().r, 1);
  rig.pass(8000, "a", "b");
  assert.equal(place().r, 1);
});

test("a host is not restored to a place before what it stamped in this epoch", () => {
  const { place, rig, say } = withStranger("x");
  say(OLDER);
  const stamped = place();
  const snap = beginOf(10);
  say({ t: "restore", e: 10, heal: stamped, snap });
  assert.deepEqual(place(), stamped);
  rig.send("a", "y");
  rig.pass(8000, "a", "b");
  for (const id of ["a", "b"]) assert.equal(rig.state(id), "x y", id);
});

test("a member that promises an older history and hands over another is believed three times", () => {
  const { rig, say } = withStranger("x");
  const snap = beginOf(10);
  for (let i = 0; i < 10; i++) {
    say(OLDER);
    say({ t: "restore", e: 10, heal: rig.groups.get("a")?.place, snap });
  }
  assert.equal(
    rig.effects
      .get("a")
      ?.filter(
        (effect) => effect.type === "transmit" && effect.to === "m" && effect.message.t === "pull",
      ).length,
    3,
  );
});

test("a host does not go back, though the giver of the older history leaves at once", () => {
  const rig = new Rig();
  rig.add("a", "c", "d");
  for (const id of ["a", "c", "d"]) rig.feed(id, { type: "snapshots", able: false });
  rig.open("a", "a", 10, ["a"]);
  rig.send("a", "old");
  rig.feed("a", { type: "offline" });
  rig.open("c", "c", 20, ["c", "d"]);
  rig.open("d", "c", 20);
  rig.pass(4000, "c", "d");
  rig.send("c", "new");
  rig.pass(1000, "c", "d");
  assert.equal(rig.groups.get("c")?.place.r, 20);
  // d says where it stands.
  rig.feed("d", { type: "snapshots", able: false });
  rig.settle("c", "d");
  rig.letters = [];
  rig.feed("c", { type: "joined", member: { id: "a", group: true } });
  rig.open("a", "c", 20);
  for (let round = 0; round < 20 && rig.groups.get("c")?.place.r === 20; round++)
    rig.hand(rig.take(() => true));
  assert.deepEqual(rig.groups.get("c")?.place, { r: 10, e: 10, s: 0 });
  rig.kill("a");
  rig.feed("c", { type: "left", id: "a" });
  rig.pass(8000);
  for (const id of ["c", "d"]) {
    assert.equal(rig.groups.get(id)?.place.r, 10, id);
    assert.equal(rig.state(id), "new", id);
  }
});
