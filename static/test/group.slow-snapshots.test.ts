// A snapshot that takes long is waited for as long as pieces of it arrive, up to a minute.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Rig } from "./group.rig.ts";

/** Returns the members that a host asked for a snapshot. */
function wanted(rig: Rig, host: string): string[] {
  return (rig.effects.get(host) ?? []).flatMap((effect) =>
    effect.type === "transmit" && effect.message.t === "want" ? [effect.to] : [],
  );
}

/** Holds a snapshot up on its way for `ms`, while pieces of it arrive. */
function slowly(rig: Rig, from: string, to: string, ms: number, among: readonly string[]): void {
  const state = rig.take(
    (letter) =>
      letter.from === from &&
      letter.to === to &&
      (letter.message.t === "restore" || letter.message.t === "snap"),
  );
  assert.ok(state.length > 0);
  for (let passed = 0; passed < ms; passed += 500) {
    rig.feed(to, { type: "heard", from, via: "relay" });
    rig.pass(500, ...among);
    rig.take(
      (letter) =>
        letter.from === from &&
        letter.to === to &&
        (letter.message.t === "restore" || letter.message.t === "snap"),
    );
  }
  rig.hand(state.slice(0, 1));
}

/** Lets pieces arrive from `from` for `ms`, and nothing whole, while others talk. */
function trickle(rig: Rig, from: string, to: string, ms: number, among: readonly string[]): void {
  for (let passed = 0; passed < ms; passed += 500) {
    rig.feed(to, { type: "heard", from, via: "relay" });
    rig.pass(500, ...among);
  }
}

test("a new host waits for a snapshot that arrives slowly", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.send("a", "old");
  rig.settle();
  rig.add("d");
  rig.pass(50_000, "a", "b");
  rig.letters = [];
  rig.kill("a");
  rig.open("d", "d", 11, ["b", "d"]);
  rig.host("b", "d", 11, "left");
  rig.hand(rig.take(({ message }) => message.t === "ask" || message.t === "at"));
  rig.hand(rig.take(({ message }) => message.t === "pull"));
  slowly(rig, "b", "d", 25_000, ["nobody"]);
  rig.pass(1000);
  assert.equal(rig.state("d"), "old");
  assert.equal(rig.state("b"), "old");
});

test("a host and a joiner wait for a snapshot that arrives slowly, and what follows it is kept", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  rig.send("a", "old");
  // The snapshot that the others started from is too old for another member.
  rig.pass(5000);
  rig.add("d");
  rig.feed("a", { type: "joined", member: { id: "d", group: true } });
  rig.open("d", "a", 10);
  rig.hand(rig.take(({ message }) => message.t === "at"));
  const wants = (): string[] => wanted(rig, "a");
  rig.hand(rig.take(({ message }) => message.t === "want"));
  const [giver = ""] = wants();
  slowly(rig, giver, "a", 8000, ["a", "b", "c"]);
  assert.deepEqual(wants(), [giver], "the others are not asked as well");
  // d is fed by its data channel only: what goes to all is lost for d.
  const told: string[] = [];
  for (let i = 0; i < 48; i++) {
    rig.send("a", `new${i}`);
    rig.pass(1000, "a", "b", "c");
    for (const letter of rig.take(({ to, message }) => to === "d" && message.t !== "ask"))
      if (letter.message.t === "restore" && told.length === 0) told.push(JSON.stringify(letter));
  }
  rig.hand(told.map((letter) => JSON.parse(letter) as (typeof rig.letters)[number]));
  rig.pass(2000);
  assert.equal(rig.state("d"), rig.state("a"));
  assert.equal(rig.state("d").split(" ").length, 49);
  assert.deepEqual(
    rig.noticed("d", "recovered").map(({ complete }) => complete),
    [true],
    "restored once",
  );
});

test("a host waits a minute for a snapshot without an end, and asks its giver last from then on", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  rig.send("a", "old");
  rig.settle();
  rig.pass(5000);
  const join = (id: string): void => {
    rig.add(id);
    rig.feed("a", { type: "joined", member: { id, group: true } });
    rig.open(id, "a", 10);
    rig.hand(rig.take(({ message }) => message.t === "at"));
  };
  join("d");
  const wants = (): string[] => wanted(rig, "a");
  const [slow = ""] = wants();
  rig.loses = ({ from, message }) => from === slow && message.t === "snap";
  const all = ["a", "b", "c", "d"];
  trickle(rig, slow, "a", 58_000, all);
  assert.equal(rig.state("d"), "");
  trickle(rig, slow, "a", 6000, all);
  assert.equal(rig.state("d"), "old");
  rig.pass(5000, ...all);
  join("e");
  rig.pass(1000, ...all, "e");
  assert.equal(rig.state("e"), "old");
  assert.equal(wants().filter((id) => id === slow).length, 1);
});

test("a new host waits a minute for a snapshot without an end, and no longer", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.send("a", "old");
  rig.settle();
  rig.pass(50_000, "a", "b");
  rig.add("d");
  rig.kill("a");
  rig.letters = [];
  rig.open("d", "d", 11, ["b", "d"]);
  rig.host("b", "d", 11, "left");
  rig.hand(rig.take(({ message }) => message.t === "ask" || message.t === "at"));
  trickle(rig, "b", "d", 55_000, ["nobody"]);
  assert.deepEqual(rig.noticed("d", "host"), []);
  // d waits a minute three times, and then goes on without the snapshot.
  for (let i = 0; i < 4; i++) {
    trickle(rig, "b", "d", 62_000, ["nobody"]);
    rig.hand(rig.take(({ from, message }) => from === "b" && message.t === "at").slice(-1));
  }
  assert.equal(rig.noticed("d", "host").length, 1);
});

test("a member that hosts no more keeps no entries for a snapshot on its way", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.add("d");
  rig.feed("a", { type: "joined", member: { id: "d", group: true } });
  rig.open("d", "a", 10);
  for (let i = 0; i < 5; i++) {
    rig.send("a", `word ${i}`);
    rig.pass(600, "a", "b");
  }
  rig.loses = ({ message }) => message.t === "restore";
  rig.settle();
  rig.pass(1000);
  for (const id of ["a", "b"]) rig.host(id, "b", 11, "resigned", ["a", "b"]);
  rig.pass(60_000, "a", "b");
  assert.deepEqual(
    ["a", "b"].map((id) => rig.groups.get(id)?.load.entries),
    [0, 0],
  );
});

test("a host asks for no second snapshot while the first is on its way over a slow network", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  rig.send("a", "old");
  // The snapshot that b and c started from is too old for d.
  rig.pass(5000);
  rig.add("d");
  rig.feed("a", { type: "joined", member: { id: "d", group: true } });
  rig.open("d", "a", 10);
  rig.hand(rig.take(({ message }) => message.t === "at"));
  rig.hand(rig.take(({ message }) => message.t === "want"));
  const [giver = ""] = wanted(rig, "a");
  slowly(rig, giver, "a", 8000, ["a", "b", "c"]);
  // The snapshot takes as long again from a to d, and d says meanwhile that it has none.
  for (let passed = 0; passed < 14_000; passed += 500) {
    rig.hand(rig.take(({ from, message }) => from === "d" && message.t === "at"));
    rig.pass(500, "a", "b", "c");
  }
  assert.deepEqual(wanted(rig, "a"), [giver]);
  assert.equal(rig.take(({ message }) => message.t === "restore").length, 1);
});
