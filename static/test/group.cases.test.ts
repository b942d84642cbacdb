// The hard cases of docs/DELIVERY.md, each laid out by hand.

import assert from "node:assert/strict";
import { test } from "node:test";
import { best } from "../src/group/history.ts";
import { Group, isWire, type Event, type Wire } from "../src/group/index.ts";
import { Rig } from "./group.rig.ts";

/** Where one stands that has nothing yet. */
const nowhere = { r: 0, e: 0, s: 0, done: 0, base: 0, line: [], snap: false, stale: false, age: 0 };

test("everyone delivers in one order, and the sender's promise resolves", () => {
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

test("the host's own page waits for another to have it", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.send("a", "x");
  assert.equal(rig.state("a"), "");
  rig.settle();
  assert.equal(rig.state("a"), "x");
});

test("the sender acknowledges in a moment, or one witness at once; should it fail, others do a little later", () => {
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

test("over data channels who sent it has it back first", () => {
  const rig = new Rig();
  rig.together("a", "b", "c", "d");
  for (const id of ["b", "c", "d"]) {
    rig.feed("a", { type: "link", id, up: true });
    rig.feed(id, { type: "link", id: "a", up: true });
  }
  rig.letters = [];
  for (const id of ["d", "b", "c"]) {
    rig.send(id, `of ${id}`);
    rig.hand(rig.take(({ message }) => message.t === "send"));
    const [first, ...others] = rig.take(({ message }) => message.t === "data").map(({ to }) => to);
    assert.deepEqual([first, others.length], [id, 2]);
  }
});

test("what a member sends next acknowledges what it sent before", () => {
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

test("alone, the host delivers only while its socket is open", () => {
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

test("what only one survivor has reaches everyone, in its place", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  rig.send("a", "x");
  rig.hand(rig.take(({ to }) => to === "c"));
  rig.kill("a");
  rig.send("b", "y");
  rig.host("b", "b", 11, "left", ["b", "c"]);
  rig.host("c", "b", 11, "left");
  rig.pass(1000);
  assert.equal(rig.state("b"), "x y");
  assert.equal(rig.state("c"), "x y");
});

test("a host gets what it lacks over the relay when the data channel does not answer", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  rig.send("a", "x");
  rig.settle("a", "c");
  rig.kill("a");
  rig.feed("b", { type: "link", id: "c", up: true });
  for (const id of ["b", "c"]) rig.host(id, "b", 11, "left", ["b", "c"]);
  rig.feed("c", { type: "link", id: "b", up: true });
  const ways = (id: string, kind: string) =>
    (rig.effects.get(id) ?? []).flatMap((effect) =>
      effect.type === "transmit" && effect.message.t === kind ? [effect.via] : [],
    );
  rig.hand(rig.take(({ message }) => message.t === "ask" || message.t === "at"));
  rig.hand(rig.take(({ message }) => message.t === "at"));
  // What is sent over the channel is lost.
  for (let ms = 0; ms < 750; ms += 50) {
    rig.letters = [];
    rig.now += 50;
    rig.feed("b", { type: "timer" });
  }
  assert.deepEqual(ways("b", "pull"), ["p2p", "p2p", "p2p", "p2p", "p2p", "relay"]);
  rig.settle("b", "c");
  assert.deepEqual(ways("c", "fill"), ["relay"]);
  rig.pass(1000);
  for (const id of ["b", "c"]) assert.equal(rig.state(id), "x");
});

test("the new host dies while taking over", () => {
  const rig = new Rig();
  rig.together("a", "b", "c", "d");
  rig.send("a", "x");
  rig.hand(rig.take(({ to }) => to === "d"));
  rig.kill("a");
  rig.host("b", "b", 11, "left", ["b", "c", "d"]);
  rig.hand(rig.take(({ to }) => to === "c" || to === "d"));
  rig.kill("b");
  rig.host("c", "c", 12, "left", ["c", "d"]);
  rig.host("d", "c", 12, "left");
  rig.pass(1000);
  assert.equal(rig.state("c"), "x");
  assert.equal(rig.state("d"), "x");
});

test("the old host comes back: its tail that nobody had is taken back, and sent again", () => {
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

test("a deposed host that does not know reaches nobody, and hears that it had better look after its socket", () => {
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

test("an away member alone had the tail: it is restored and told, and its own messages go again", () => {
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

test("the relay delivers after the data channel did: once is once", () => {
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

test("the server restarts and the host stands: nobody notices", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.feed("a", { type: "link", id: "b", up: true });
  rig.feed("b", { type: "link", id: "a", up: true });
  for (const id of ["a", "b"]) rig.feed(id, { type: "offline" });
  rig.send("b", "x");
  rig.pass(300);
  assert.equal(rig.state("a"), "x");
  rig.open("b", "a", 10, [], true);
  rig.open("a", "a", 10, ["a", "b"]);
  rig.send("b", "y");
  rig.pass(300);
  assert.equal(rig.state("a"), "x y");
  assert.equal(rig.noticed("b", "host").length, 1);
  assert.equal(rig.noticed("b", "member").length, 1);
});

test("a late joiner arrives during a take-over", () => {
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

test("who only just came and gives way to one with a history takes that, and sends again", () => {
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

test("no snapshots: a joiner gets the kept log", () => {
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

test("beyond the limits send rejects, and nothing is dropped", () => {
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

test("away too long: pending sends are uncertain, later ones are not", () => {
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

test("a silent host is suspected, again and again", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.kill("a");
  rig.pass(5000);
  const suspicions = rig.effects.get("b")?.filter(({ type }) => type === "suspect") ?? [];
  assert.ok(suspicions.length >= 2);
});

test("resigning names the member that has most, and stamps no more", () => {
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

test("what has not the shape of a message is none", () => {
  const rig = new Rig();
  rig.together("a", "b");
  const good = { t: "data", e: 10, r: 10, p: 10, s: 1, x: [] };
  assert.ok(isWire(good));
  // What is in it belongs to no later epoch than itself.
  const entry = { s: 1, e: 11, f: "a", n: 1, k: "d", d: "", z: 0 };
  const at = {
    r: 10,
    e: 10,
    s: 1,
    done: 1,
    base: 0,
    line: [[10, 0]],
    snap: true,
    stale: false,
    age: 0,
  };
  assert.ok(isWire({ t: "at", e: 10, at }));
  const later = [
    { ...good, x: [entry] },
    { t: "at", e: 10, at: { ...at, e: 11 } },
    {
      t: "at",
      e: 10,
      at: {
        ...at,
        line: [
          [10, 0],
          [11, 1],
        ],
      },
    },
    { t: "ack", e: 10, at: { r: 10, e: 11, s: 1 }, gap: false, k: 1 },
  ];
  for (const bad of [
    null,
    1,
    "x",
    [],
    {},
    { t: "data" },
    { ...good, e: -1 },
    { ...good, x: [1] },
    { ...good, s: "1" },
    { t: "toString", e: 1 },
    { t: "at", e: 1, at: {} },
    ...later,
  ]) {
    assert.ok(!isWire(bad));
    rig.feed("b", { type: "received", from: "a", via: "relay", message: bad });
  }
});

test("what a page was handed goes before a tail that was only stamped, of a later epoch", () => {
  const rig = new Rig();
  rig.together("a", "b", "c", "d");
  rig.send("a", "seen");
  rig.hand(rig.take(({ to }) => to === "d"));
  assert.equal(rig.state("d"), "seen");
  rig.kill("a");
  rig.letters = [];
  // b hosts without d in its view, stamps, and is cut off before anyone has it.
  rig.feed("d", { type: "offline" });
  rig.host("b", "b", 11, "left", ["b", "c"]);
  rig.host("c", "b", 11, "left");
  rig.hand(rig.take(({ message }) => message.t === "at"));
  rig.send("b", "tail");
  rig.letters = [];
  assert.equal(rig.groups.get("b")?.place.e, 11);
  rig.feed("b", { type: "offline" });
  for (const id of ["b", "d"]) rig.open(id, "c", 12);
  rig.host("c", "c", 12, "left", ["b", "c", "d"]);
  rig.pass(2000);
  for (const id of ["b", "c", "d"]) assert.equal(rig.state(id), "seen tail");
  assert.ok(rig.noticed("d", "recovered").every(({ complete }) => complete));
});

test("which log a new host takes does not hang on the order of the answers", () => {
  const at = (
    e: number,
    s: number,
    done: number,
    line: readonly (readonly [number, number])[],
  ) => ({ r: 1, e, s, done, base: 0, line, stale: false });
  const seen = at(1, 8, 8, [[1, 0]]);
  const longer = at(6, 9, 5, [
    [1, 0],
    [6, 9],
  ]);
  const without = at(7, 12, 5, [
    [1, 0],
    [7, 6],
  ]);
  const all = [seen, longer, without];
  for (const own of all)
    for (const others of [all, all.slice().reverse()]) assert.equal(best(own, others, 0), longer);
});

test("entries that came early of a history that is given up are not taken for those of the one that stays", () => {
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
  // g keeps them until it is restored; that is lost.
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

test("a page that was told something is missing gives nobody its state", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  for (const id of ["a", "b"]) rig.feed(id, { type: "snapshots", able: false });
  rig.settle();
  // c alone is handed what the group then goes on without, and nobody can give it a state.
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
  // d starts from the kept log and is told, not from what c makes of it.
  assert.deepEqual(
    rig.noticed("d", "recovered").map(({ complete, via }) => [complete, via]),
    [[false, "none"]],
  );
  assert.equal(rig.state("d"), rig.state("b"));
});

test("a deposed host does not hand its page the tail it stamped", () => {
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
  // What b has, repeated in its own epoch, ends before a's tail does.
  if (data && data.message.t === "data")
    rig.hand([{ from: "b", to: "a", message: { ...data.message, e: 11 } }]);
  assert.equal(rig.state("a"), "seen");
  rig.pass(1500);
  for (const id of ["a", "b", "c"]) assert.equal(rig.state(id), "seen tail");
});

test("a host that came late hands on what it never had, of whom it reaches, and of whom it has not heard since its own break", () => {
  for (const host of ["online", "offline", "back"]) {
    const rig = new Rig();
    // So many that it would be tired of asking them before it comes to e.
    const far = ["b", "f", "g", "h"];
    rig.together("a", ...far, "e", "c");
    for (const id of ["a", "b", "c"]) rig.send(id, `${id}1`);
    rig.settle();
    rig.feed("c", { type: "offline" });
    rig.letters = [];
    for (const id of ["a", "b"]) rig.send(id, `${id}2`);
    rig.pass(4000, "a", ...far, "e");
    rig.add("d");
    rig.feed("a", { type: "joined", member: { id: "d", group: true } });
    rig.open("d", "a", 10);
    rig.settle("a", ...far, "e", "d");
    rig.letters = [];
    for (const id of ["a", ...far, "d", "e"]) rig.feed(id, { type: "snapshots", able: false });
    rig.kill("a");
    rig.host("d", "d", 11, "left", [...far, "e", "d"]);
    for (const id of [...far, "e"]) rig.host(id, "d", 11, "left");
    rig.pass(1000, ...far, "e", "d");
    if (host === "back") {
      rig.pass(4000, "nobody");
      rig.letters = [];
      rig.feed("d", { type: "offline" });
      rig.open("d", "d", 11, [...far, "e", "d"]);
      // What the others say comes later than what c does.
      rig.letters = [];
    }
    rig.feed("d", { type: "joined", member: { id: "c", group: true } });
    if (host === "offline") {
      for (const id of ["c", "e"])
        for (const [one, other] of [
          ["d", id],
          [id, "d"],
        ] as const)
          rig.feed(one, { type: "link", id: other, up: true });
      rig.feed("d", { type: "offline" });
    }
    rig.open("c", "d", 11);
    rig.settle("c", "d");
    rig.pass(4000, ...(host === "offline" ? ["c", "d", "e"] : []));
    assert.equal(rig.state("c"), rig.state("e"));
    assert.equal(rig.state("c").split(" ").length, 5);
    assert.ok(rig.noticed("c", "recovered").every(({ complete }) => complete));
  }
});

test("sends that come together go out together", () => {
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

test("a host in the middle of a long message is not silent", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.feed("b", { type: "link", id: "a", up: true });
  for (let ms = 0; ms < 6000; ms += 500) {
    rig.now += 500;
    rig.feed("b", { type: "heard", from: "a", via: "p2p" });
    rig.feed("b", { type: "timer" });
  }
  assert.ok(!rig.effects.get("b")?.some(({ type }) => type === "suspect"));
});

test("a lone host that was frozen does not take its history for the group's until the server has answered", () => {
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
  // Epochs follow the server's clock: what b founded is in use for longer than resumeMs.
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

test("an answer of the server that a lone host reads after a pause is asked for again", () => {
  const rig = new Rig();
  rig.add("a");
  rig.open("a", "a", 10, ["a"]);
  rig.deaf.add("a");
  rig.send("a", "x");
  const asked = () =>
    rig.effects.get("a")?.findLast((effect) => effect.type === "prove")?.token ?? assert.fail();
  rig.now += 900;
  rig.feed("a", { type: "proved", token: asked() });
  assert.equal(rig.state("a"), "");
  rig.now += 10;
  rig.feed("a", { type: "proved", token: asked() });
  assert.equal(rig.state("a"), "x");
});

test("what the server said of a lone host before its page made a snapshot does not count after it", () => {
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

/** The page of b makes a snapshot, and has not been handed yet what it has of a. */
function makingSnapshot() {
  const rig = new Rig();
  rig.together("a", "b");
  rig.slow.add("b");
  const say = (message: Wire) =>
    rig.feed("b", { type: "received", from: "a", via: "relay", message });
  say({ t: "want", e: 10, k: 1 });
  rig.send("a", "x");
  rig.pass(100);
  const heal = rig.groups.get("b")?.place;
  assert.ok(heal && heal.s > (rig.groups.get("b")?.delivered ?? Infinity));
  return { rig, heal, say };
}

test("what waits for a page to make its snapshot is not handed to it when that history is given up", () => {
  const { rig, heal, say } = makingSnapshot();
  say({
    t: "restore",
    e: 10,
    heal,
    snap: { r: 5, e: 5, s: 0, line: [[5, 0]], counts: [], members: [], has: false, z: 0 },
  });
  assert.equal(rig.state("b"), "");
});

test("who starts anew without a state is handed first what it has of that history", () => {
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

test("a history long away is not fresh again for having been handed on", () => {
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
  // e is named and takes what a has, but cannot be sure that it is not asleep.
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

test("two groups for longer than entries are kept: what is given up is sent again all the same", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  for (const [id, other] of [
    ["a", "b"],
    ["b", "a"],
  ] as const)
    rig.feed(id, { type: "link", id: other, up: true });
  // a and b lose the server and go on; c goes on with the server.
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

test("one comes with its profile, once, and has another later", () => {
  const rig = new Rig();
  rig.add("a", "b", "c");
  rig.feed("a", { type: "profile", profile: { name: "Ann" } });
  rig.open("a", "a", 10, ["a"]);
  rig.feed("a", { type: "joined", member: { id: "b", group: true } });
  rig.open("b", "a", 10);
  rig.feed("a", { type: "joined", member: { id: "c", group: true } });
  assert.deepEqual(rig.noticed("a", "member"), [], "they have not spoken");
  // The server has c's profile before c says its first word.
  rig.feed("a", { type: "joined", member: { id: "c", group: true, profile: { name: "Cay" } } });
  rig.open("c", "a", 10);
  rig.pass(1200);
  const told = (id: string) =>
    rig.noticed(id, "member").map(({ change, id: of, profile }) => ({ change, id: of, profile }));
  assert.deepEqual(told("b"), [
    { change: "join", id: "a", profile: { name: "Ann" } },
    { change: "join", id: "c", profile: { name: "Cay" } },
  ]);
  assert.deepEqual(rig.noticed("a", "profile"), []);
  // On a new socket it has not said its profile yet: no news. Then another: news, and no second join.
  rig.feed("a", { type: "joined", member: { id: "c", group: true } });
  rig.feed("a", { type: "joined", member: { id: "c", group: true, profile: { name: "Kay" } } });
  rig.feed("a", { type: "profile", profile: { name: "Anne" } });
  rig.pass(1200);
  for (const id of ["a", "b"]) {
    assert.deepEqual(
      rig
        .noticed(id, "profile")
        .filter((notice) => notice.id === "c")
        .map(({ profile }) => profile),
      [{ name: "Kay" }],
    );
    assert.deepEqual(rig.groups.get(id)?.profile("c"), { name: "Kay" });
  }
  assert.deepEqual(rig.groups.get("c")?.profile("a"), { name: "Anne" });
  assert.equal(told("b").length, 2);
});

test("where nothing is relayed, a host that waits for a history goes on speaking", () => {
  const rig = new Rig();
  const ids = ["a", "b", "c"];
  rig.add(...ids);
  const open = { host: "x", epoch: 10, members: 3, relay: false, resumeMs: 30_000 };
  for (const id of ids) rig.feed(id, { type: "open", open });
  for (const id of ["b", "c"])
    for (const [one, other] of [
      ["a", id],
      [id, "a"],
    ] as const)
      rig.feed(one, { type: "link", id: other, up: true });
  for (const id of ids) rig.host(id, "a", 11, "left", ids);
  rig.pass(4000);
  for (const id of ["b", "c"])
    assert.deepEqual(
      rig.effects.get(id)?.filter(({ type }) => type === "suspect"),
      [],
      `${id} hears that it lives`,
    );
  rig.send("b", "x");
  rig.pass(1000);
  for (const id of ids) assert.equal(rig.state(id), "x");
});

test("a host that changed to an older history does not change back in the same epoch, however old that is by then", () => {
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
  // In time when it said so, long away when it gives what it was asked for.
  rig.hand(rig.take(({ from, message }) => from === "a" && message.t === "at"));
  rig.now += 700;
  rig.feed("a", { type: "timer" });
  rig.pass(3000);
  for (const id of ["a", "c", "d"]) assert.equal(rig.groups.get(id)?.place.r, 10, id);
  for (const id of ["a", "c", "d"]) assert.equal(rig.state(id), "x");
});

test("where the best log begins too late and its page gives no state, a new host gets to it through another", () => {
  for (const heir of ["d", "e"]) {
    const rig = new Rig();
    rig.together("a", "b", "d");
    rig.send("a", "one");
    rig.pass(500);
    rig.feed("d", { type: "offline" });
    if (heir === "e") rig.kill("d");
    rig.send("a", "two");
    // c is to start from a snapshot made after that.
    rig.pass(4000, "a", "b");
    rig.add("c");
    rig.feed("c", { type: "snapshots", able: false });
    rig.feed("a", { type: "joined", member: { id: "c", group: true } });
    rig.open("c", "a", 10);
    rig.pass(1000, "a", "b", "c");
    rig.feed("b", { type: "offline" });
    rig.send("a", "three");
    rig.pass(500, "a", "c");
    assert.equal(rig.state("c"), "one two three");
    assert.equal(rig.state("b"), "one two");
    rig.kill("a");
    if (heir === "e") rig.add("e");
    rig.letters = [];
    for (const id of ["b", "c", heir]) rig.open(id, heir, 11, ["b", "c", heir]);
    rig.pass(2000);
    for (const id of ["b", "c", heir])
      assert.equal(rig.state(id), "one two three", `${id}, under ${heir}`);
    for (const id of ["b", "c", heir])
      assert.ok(
        rig.noticed(id, "recovered").every(({ complete }) => complete),
        `${id}, under ${heir}`,
      );
  }
});

test("only the server names hosts: what members say of a later epoch moves nobody, online or not", () => {
  const later = [10, 60_000, Number.MAX_SAFE_INTEGER - 11].map((ahead) => 10 + ahead);
  for (const e of later) {
    const place = { r: 10, e: 10, s: 1 };
    const lies = [
      { t: "ask", e, cause: "left" },
      { t: "fence", e, host: "m" },
      { t: "fence", e, host: "b" },
      { t: "beat", e, at: place, sent: 9, w: [], k: 1, cause: "" },
      {
        t: "data",
        e,
        r: 10,
        p: 10,
        s: 2,
        x: [{ s: 2, e, f: "m", n: 1, k: "d", d: "false", z: 5 }],
      },
      { t: "need", e, n: 1 },
      { t: "want", e, k: 1 },
      {
        t: "restore",
        e,
        heal: place,
        snap: {
          ...place,
          line: [[10, 0]],
          counts: [],
          members: [],
          has: true,
          state: ["false"],
          z: 5,
        },
      },
    ];
    for (const online of [true, false]) {
      const rig = new Rig();
      rig.together("a", "b", "c");
      for (const [one, other] of [
        ["a", "b"],
        ["b", "a"],
        ["a", "c"],
        ["c", "a"],
      ] as const)
        rig.feed(one, { type: "link", id: other, up: true });
      rig.send("b", "before");
      rig.pass(500);
      if (!online) for (const id of ["a", "b", "c"]) rig.feed(id, { type: "offline" });
      for (const id of ["a", "b", "c"])
        for (const via of ["relay", "p2p"] as const)
          for (const message of lies) rig.feed(id, { type: "received", from: "m", via, message });
      rig.send("b", "between");
      rig.pass(500);
      if (!online) for (const id of ["a", "b", "c"]) rig.open(id, "a", 10, ["a", "b", "c"]);
      for (const id of ["a", "b", "c"]) rig.host(id, "b", 11, "resigned", ["a", "b", "c"]);
      rig.send("c", "after");
      rig.pass(1000);
      for (const id of ["a", "b", "c"]) {
        assert.equal(rig.state(id), "before between after");
        assert.deepEqual([rig.groups.get(id)?.host, rig.groups.get(id)?.epoch], ["b", 11]);
        // However much is said, the socket is looked after now and then.
        assert.ok((rig.effects.get(id)?.filter(({ type }) => type === "check") ?? []).length <= 1);
      }
    }
  }
});

test("where the histories part, not before, starts who is given no state", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  for (const id of ["a", "b", "c"]) rig.feed(id, { type: "snapshots", able: false });
  rig.send("a", "one");
  rig.pass(500);
  const parted = rig.groups.get("b")?.place.s;
  // b alone is handed what the group goes on without.
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
  // The next host has it all from c, and has handed its page nothing when it answers b.
  rig.add("d");
  rig.feed("d", { type: "snapshots", able: false });
  for (const id of ["b", "c", "d"]) rig.open(id, "d", 12, ["b", "c", "d"]);
  let restore;
  for (let round = 0; round < 20 && !restore; round++) {
    const letters = rig.take(() => true);
    restore = letters.find(({ to, message }) => to === "b" && message.t === "restore")?.message;
    rig.hand(letters);
  }
  assert.ok(restore?.t === "restore" && restore.snap.s === parted);
});

test("who stands where a history was founded has none of it: should its host be gone, that history may come back", () => {
  const rig = new Rig();
  rig.add("a", "b");
  for (const id of ["a", "b"]) rig.feed(id, { type: "snapshots", able: false });
  rig.open("a", "a", 10, ["a"]);
  rig.send("a", "old");
  rig.feed("a", { type: "joined", member: { id: "b", group: true } });
  rig.open("b", "a", 10);
  // b is told where to begin, and no more.
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

test("a page that was handed more than is in the history it founds gives nobody its state", () => {
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
  // c is told where the older history begins, and no more.
  for (let round = 0; round < 5; round++) rig.hand(rig.take(({ message }) => message.t !== "data"));
  assert.deepEqual(rig.groups.get("c")?.place, { r: 10, e: 10, s: 0 });
  rig.kill("a");
  rig.open("d", "c", 22);
  rig.host("c", "c", 22, "left", ["c", "d"]);
  rig.pass(5000);
  assert.equal(rig.state("c"), "x");
  assert.equal(rig.state("d"), "x");
});

test("a deposed host that is back after a restart is waited for", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  rig.send("a", "x");
  rig.take(({ to }) => to === "b");
  rig.pass(150, "a", "c");
  assert.equal(rig.state("a"), "x");
  rig.kill("c");
  rig.letters = [];
  for (const id of ["a", "b"]) rig.feed(id, { type: "offline" });
  rig.open("b", "a", 10, [], true);
  rig.host("b", "b", 11, "restarted", ["a", "b"]);
  rig.pass(100, "b");
  rig.open("a", "b", 11);
  rig.pass(1000);
  for (const id of ["a", "b"]) assert.equal(rig.state(id), "x");
  assert.ok(rig.noticed("a", "recovered").every(({ complete }) => complete));
});

test("a place that nobody comes to is not taken for where to begin above", () => {
  const rig = new Rig();
  rig.add("a", "b");
  rig.open("a", "a", 10, ["a", "b"]);
  rig.open("b", "a", 10);
  const at = {
    r: 0,
    e: 0,
    s: Number.MAX_SAFE_INTEGER,
    done: 0,
    base: 0,
    line: [],
    snap: false,
    stale: false,
    age: 0,
  };
  rig.feed("a", { type: "received", from: "m", via: "relay", message: { t: "at", e: 10, at } });
  rig.send("b", "x");
  rig.pass(5000);
  for (const id of ["a", "b"]) assert.equal(rig.state(id), "x");
});

test("one that says it has an older history, and never hands it over, holds its page up for some seconds, and no more", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.feed("a", { type: "joined", member: { id: "m", group: true } });
  const at = {
    r: 1,
    e: 1,
    s: 9,
    done: 9,
    base: 0,
    line: [[1, 0]],
    snap: false,
    stale: false,
    age: 0,
  };
  const say = () =>
    rig.feed("a", { type: "received", from: "m", via: "relay", message: { t: "at", e: 10, at } });
  for (let ms = 0; ms < 16_000; ms += 200) {
    say();
    rig.pass(200);
  }
  rig.send("b", "x");
  say();
  rig.pass(60);
  say();
  for (const id of ["a", "b"]) assert.equal(rig.state(id), "x");
});

test("a host that changed to an older history is not restored to the newer one, should who had the older have moved on", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.send("a", "new");
  rig.pass(100);
  const say = (message: object) =>
    rig.feed("a", { type: "received", from: "m", via: "relay", message });
  const place = () => rig.groups.get("a")?.place ?? assert.fail();
  const line = [[1, 0]];
  const snap = { r: 1, e: 1, s: 0, line, counts: [], members: [], has: false, z: 0 };
  rig.feed("a", { type: "joined", member: { id: "m", group: true } });
  say({
    t: "at",
    e: 10,
    at: { r: 1, e: 1, s: 9, done: 9, base: 0, line, snap: false, stale: false, age: 0 },
  });
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

test("a host is not restored to before what it stamped in this epoch, should who had an older history have given that up", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.send("a", "x");
  rig.pass(100);
  const say = (message: object) =>
    rig.feed("a", { type: "received", from: "m", via: "relay", message });
  const place = () => rig.groups.get("a")?.place ?? assert.fail();
  rig.feed("a", { type: "joined", member: { id: "m", group: true } });
  say({
    t: "at",
    e: 10,
    at: { r: 1, e: 1, s: 9, done: 9, base: 0, line: [[1, 0]], snap: false, stale: false, age: 0 },
  });
  const stamped = place();
  const snap = { r: 10, e: 10, s: 0, line: [[10, 0]], counts: [], members: [], has: false, z: 0 };
  say({ t: "restore", e: 10, heal: stamped, snap });
  assert.deepEqual(place(), stamped);
  rig.send("a", "y");
  rig.pass(8000, "a", "b");
  for (const id of ["a", "b"]) assert.equal(rig.state(id), "x y", id);
});

test("one that says it has an older history, and hands over another, is believed three times", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.send("a", "x");
  rig.pass(100);
  const say = (message: object) =>
    rig.feed("a", { type: "received", from: "m", via: "relay", message });
  rig.feed("a", { type: "joined", member: { id: "m", group: true } });
  const snap = { r: 10, e: 10, s: 0, line: [[10, 0]], counts: [], members: [], has: false, z: 0 };
  for (let i = 0; i < 10; i++) {
    say({
      t: "at",
      e: 10,
      at: { r: 1, e: 1, s: 9, done: 9, base: 0, line: [[1, 0]], snap: false, stale: false, age: 0 },
    });
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

test("a host that changed to an older history does not go back, though its holder goes when it has said no more than where that begins", () => {
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

test("who is away for long, and is given no state, is not handed again what one sent who has left since", () => {
  const rig = new Rig();
  rig.together("a", "b", "c", "e");
  for (const id of ["a", "b", "c", "e"]) rig.feed(id, { type: "snapshots", able: false });
  rig.send("b", "x");
  rig.hand(rig.take(({ to }) => to === "a"));
  rig.hand(rig.take(({ to }) => to === "e"));
  assert.equal(rig.state("e"), "x");
  // e had it alone, and that b left; the others go on, and b says it again before it goes.
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
  // A newcomer keeps the log from when it got it.
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

test("a host that is told of an earlier epoch, as it dialled before it knew of its own, dials again", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.host("b", "b", 11, "left", ["b"]);
  rig.feed("b", { type: "offline" });
  rig.open("b", "a", 10, [], true);
  const redials = () => (rig.effects.get("b") ?? []).filter(({ type }) => type === "redial").length;
  rig.pass(1000, "b");
  assert.equal(redials(), 0, "the server may still come to know");
  rig.pass(1000, "b");
  assert.equal(redials(), 1);
  rig.pass(10_000, "b");
  assert.equal(redials(), 1, "once for each answer");
  rig.open("b", "b", 11, ["b"]);
  rig.pass(10_000, "b");
  assert.equal(redials(), 1);
});

test("a host that has stamped nothing takes what another has beyond its own, though its entries are trimmed and it was away for long", () => {
  for (const answers of ["in time", "late"]) {
    const rig = new Rig();
    rig.together("a", "b");
    rig.send("a", "x");
    rig.settle();
    rig.feed("b", { type: "offline" });
    rig.send("a", "y");
    // Alone, and known to host, it trims what is old.
    rig.pass(60_000, "a");
    rig.feed("a", { type: "offline" });
    rig.letters = [];
    rig.pass(60_000, "nobody");
    assert.equal(rig.state("a"), "x y");
    assert.equal(rig.state("b"), "x");
    rig.letters = [];
    for (const id of ["a", "b"]) rig.open(id, "b", 10, [], true);
    rig.host("b", "b", 11, "restarted", ["a", "b"]);
    if (answers === "late") {
      rig.pass(1000, "nobody");
      rig.letters = [];
    }
    rig.host("a", "b", 11, "restarted");
    rig.pass(5000);
    assert.equal(rig.state("b"), "x y", answers);
    rig.send("a", "z");
    rig.pass(1000);
    for (const id of ["a", "b"]) {
      assert.equal(rig.state(id), "x y z", answers);
      assert.ok(rig.noticed(id, "recovered").every(({ complete }) => complete));
    }
  }
});

test("a history that was only just founded gives way to an older one, however long that was away, and nothing is lost for it", () => {
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

/** Whom a host asked for a state. */
function wanted(rig: Rig, host: string): string[] {
  return (rig.effects.get(host) ?? []).flatMap((effect) =>
    effect.type === "transmit" && effect.message.t === "want" ? [effect.to] : [],
  );
}

/** So long its state is on the way from one to another: pieces of it come all the while. */
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

test("a state that takes long is waited for as long as it comes, by a new host", () => {
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

test("a state that takes long is waited for as long as it comes, by a host and by a joiner, and what follows it is kept", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  rig.send("a", "old");
  // What the others started from is too old for another.
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
  // d has a data channel, and is fed by nothing else: what goes to all is lost for it.
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

test("a host asks for no second state while the first is on its way over a slow network", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  rig.send("a", "old");
  // The state that b and c started from is too old for d.
  rig.pass(5000);
  rig.add("d");
  rig.feed("a", { type: "joined", member: { id: "d", group: true } });
  rig.open("d", "a", 10);
  rig.hand(rig.take(({ message }) => message.t === "at"));
  rig.hand(rig.take(({ message }) => message.t === "want"));
  const [giver = ""] = wanted(rig, "a");
  slowly(rig, giver, "a", 8000, ["a", "b", "c"]);
  // The state takes as long again from a to d, and d says meanwhile that it has none.
  for (let passed = 0; passed < 14_000; passed += 500) {
    rig.hand(rig.take(({ from, message }) => from === "d" && message.t === "at"));
    rig.pass(500, "a", "b", "c");
  }
  assert.deepEqual(wanted(rig, "a"), [giver]);
  assert.equal(rig.take(({ message }) => message.t === "restore").length, 1);
});

test("a new host waits until one that nothing is relayed to has its data channel", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  rig.send("a", "x");
  rig.hand(rig.take(({ to }) => to === "c"));
  assert.equal(rig.state("c"), "x");
  rig.kill("a");
  rig.letters = [];
  rig.feed("b", {
    type: "host",
    host: {
      host: "b",
      epoch: 11,
      cause: "left",
      roster: [
        { id: "b", group: true },
        { id: "c", group: true, relay: false },
      ],
    },
  });
  rig.host("c", "b", 11, "left");
  rig.pass(1200, "nobody");
  rig.letters = [];
  for (const [one, other] of [
    ["b", "c"],
    ["c", "b"],
  ] as const)
    rig.feed(one, { type: "link", id: other, up: true });
  rig.pass(1000);
  for (const id of ["b", "c"]) assert.equal(rig.state(id), "x");
  assert.ok(rig.noticed("c", "recovered").every(({ complete }) => complete));
});

/** Pieces come of `from`, and nothing whole, while what the others say arrives. */
function trickle(rig: Rig, from: string, to: string, ms: number, among: readonly string[]): void {
  for (let passed = 0; passed < ms; passed += 500) {
    rig.feed(to, { type: "heard", from, via: "relay" });
    rig.pass(500, ...among);
  }
}

test("a state that comes without end is waited for a minute, by a host, and its giver is asked last from then on", () => {
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

test("a state that comes without end is waited for a minute, by a new host, and no longer", () => {
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
  // Three times a minute, if it goes on so: then it goes on without.
  for (let i = 0; i < 4; i++) {
    trickle(rig, "b", "d", 62_000, ["nobody"]);
    rig.hand(rig.take(({ from, message }) => from === "b" && message.t === "at").slice(-1));
  }
  assert.equal(rig.noticed("d", "host").length, 1);
});

test("whom the server has lost, and a host that has the server hears on a data channel, is let go after resumeMs", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  rig.feed("a", { type: "link", id: "b", up: true });
  rig.feed("b", { type: "link", id: "a", up: true });
  rig.feed("b", { type: "offline" });
  rig.feed("a", { type: "left", id: "b" });
  const p2p = (ms: number): void => {
    for (let passed = 0; passed < ms; passed += 50) {
      rig.pass(50, "a", "c");
      for (const { from, to, message } of rig.take(({ from, to }) =>
        [from, to].every((id) => id !== "c"),
      ))
        rig.feed(to, { type: "received", from, via: "p2p", message });
    }
  };
  const unlinked = (): boolean =>
    (rig.effects.get("a") ?? []).some((effect) => effect.type === "unlink" && effect.id === "b");
  p2p(29_000);
  assert.ok(!unlinked());
  rig.send("b", "still here");
  p2p(200);
  assert.equal(rig.state("a"), "still here");
  p2p(2000);
  assert.ok(unlinked());
  rig.feed("a", { type: "link", id: "b", up: false });
  p2p(2000);
  assert.deepEqual(
    rig
      .noticed("a", "member")
      .map(({ change, id }) => `${change} ${id}`)
      .slice(-1),
    ["leave b"],
  );
});

test("how long a member may be without the server counts from when its host has it again", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.feed("a", { type: "link", id: "b", up: true });
  rig.feed("b", { type: "link", id: "a", up: true });
  const p2p = (ms: number): void => {
    for (let passed = 0; passed < ms; passed += 50) {
      rig.pass(50, "nobody");
      for (const { from, to, message } of rig.take(() => true))
        rig.feed(to, { type: "received", from, via: "p2p", message });
    }
  };
  const unlinked = (): boolean =>
    (rig.effects.get("a") ?? []).some((effect) => effect.type === "unlink");
  rig.feed("b", { type: "offline" });
  rig.feed("a", { type: "left", id: "b" });
  p2p(10_000);
  rig.feed("a", { type: "offline" });
  p2p(25_000);
  rig.open("a", "a", 10, ["a"]);
  p2p(25_000);
  assert.ok(!unlinked());
  p2p(10_000);
  assert.ok(unlinked());
});

test("who lost one state is asked for the next again, before the host's own page is", () => {
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

test("a page with many to whom nothing is relayed is not asked again and again as a whole", () => {
  const host = new Group("host");
  const far = Array.from({ length: 40 }, (_, i) => ({ id: `far ${i}`, group: true, relay: false }));
  const near = Array.from({ length: 100 }, (_, i) => ({ id: `near ${i}`, group: true }));
  let asked = 0;
  let now = 1000;
  const feed = (event: Event): void => {
    for (const effect of host.handle(event, now)) {
      if (effect.type === "fanout" && effect.message.t === "ask") asked++;
      if (effect.type === "transmit" && effect.message.t === "ask" && effect.to.startsWith("far"))
        assert.fail("asked over the relay, which does not reach it");
    }
  };
  feed({
    type: "open",
    open: {
      host: "host",
      epoch: 5,
      members: 141,
      relay: true,
      resumeMs: 30_000,
      roster: [...far, ...near],
    },
  });
  for (const { id } of near)
    feed({ type: "received", from: id, via: "relay", message: { t: "at", e: 5, at: nowhere } });
  for (; now < 6000; now += 50) feed({ type: "timer" });
  assert.equal(asked, 1);
});

test("pieces that come over the relay do not make a silent data channel good", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.feed("b", { type: "link", id: "a", up: true });
  for (let ms = 0; ms < 5000; ms += 500) {
    rig.now += 500;
    rig.feed("b", { type: "heard", from: "a", via: "relay" });
    rig.feed("b", { type: "timer" });
  }
  rig.send("b", "x");
  const sends = (rig.effects.get("b") ?? []).flatMap((effect) =>
    effect.type === "transmit" && effect.message.t === "send" ? [effect.via] : [],
  );
  assert.deepEqual(sends, ["relay"]);
});

test("who does not host any more keeps entries no longer than others, whatever state was on its way", () => {
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

test("no state is sent to one that has gone, by whatever way it went", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.send("a", "old");
  rig.settle();
  rig.pass(5000);
  rig.add("d");
  for (const [one, other] of [
    ["a", "d"],
    ["d", "a"],
  ] as const)
    rig.feed(one, { type: "link", id: other, up: true });
  rig.feed("a", { type: "joined", member: { id: "d", group: true } });
  rig.feed("a", { type: "left", id: "d" });
  // It asks over its channel, which then dies.
  rig.feed("a", {
    type: "received",
    from: "d",
    via: "p2p",
    message: { t: "at", e: 10, at: nowhere },
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
