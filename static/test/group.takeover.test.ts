// A new host takes the best log that it can get, and then stamps.

import assert from "node:assert/strict";
import { test } from "node:test";
import { best } from "../src/group/history.ts";
import { Group, type Effect, type Event } from "../src/group/index.ts";
import { NOWHERE, Rig } from "./group.rig.ts";

test("an entry that only one survivor has reaches everyone, in its place", () => {
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

test("a new host asks over the relay when the data channel does not answer", () => {
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
  // Messages over the data channel are lost.
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

test("a host that dies while it takes over loses no message", () => {
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

test("an entry that a page was handed goes before a stamped tail of a later epoch", () => {
  const rig = new Rig();
  rig.together("a", "b", "c", "d");
  rig.send("a", "seen");
  rig.hand(rig.take(({ to }) => to === "d"));
  assert.equal(rig.state("d"), "seen");
  rig.kill("a");
  rig.letters = [];
  // b hosts without d in its view, stamps, and is cut off before anyone has the entry.
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

test("the best log does not depend on the order of the answers", () => {
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

test("a host that waits for a history keeps speaking to members without a relay", () => {
  const rig = new Rig();
  const ids = ["a", "b", "c"];
  rig.add(...ids);
  const open = { host: "x", epoch: 10, members: 3, relay: false, resumeMs: 30_000 };
  for (const id of ids) rig.feed(id, { type: "open", open });
  for (const id of ["b", "c"]) rig.link("a", id);
  for (const id of ids) rig.host(id, "a", 11, "left", ids);
  rig.pass(4000);
  for (const id of ["b", "c"])
    assert.deepEqual(
      rig.effects.get(id)?.filter(({ type }) => type === "suspect"),
      [],
      `${id} hears that the host lives`,
    );
  rig.send("b", "x");
  rig.pass(1000);
  for (const id of ids) assert.equal(rig.state(id), "x");
});

test("a new host reaches the best log through another log if that log begins too late", () => {
  for (const heir of ["d", "e"]) {
    const rig = new Rig();
    rig.together("a", "b", "d");
    rig.send("a", "one");
    rig.pass(500);
    rig.feed("d", { type: "offline" });
    if (heir === "e") rig.kill("d");
    rig.send("a", "two");
    // c starts from a snapshot that is made after that.
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

test("a new host waits for the deposed host if that is back after a restart", () => {
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

test("a host that has stamped nothing takes a longer log, though its entries are trimmed and it was away", () => {
  for (const answers of ["in time", "late"]) {
    const rig = new Rig();
    rig.together("a", "b");
    rig.send("a", "x");
    rig.settle();
    rig.feed("b", { type: "offline" });
    rig.send("a", "y");
    // a is alone and known to host: it trims old entries.
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

test("a new host waits for the data channel of a member without a relay", () => {
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
  rig.link("b", "c");
  rig.pass(1000);
  for (const id of ["b", "c"]) assert.equal(rig.state(id), "x");
  assert.ok(rig.noticed("c", "recovered").every(({ complete }) => complete));
});

test("a new host asks a crowd once, though many members have no relay", () => {
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
    feed({ type: "received", from: id, via: "relay", message: { t: "at", e: 5, at: NOWHERE } });
  for (; now < 6000; now += 50) feed({ type: "timer" });
  assert.equal(asked, 1);
});

test("a host without a history waits for one as long as the server waits for members", () => {
  for (const [returnMs, silentMs] of [
    [undefined, 3_000],
    [1_000, 3_000],
    [10_000, 10_000],
  ] as const) {
    const group = new Group("late");
    const told = { relay: true, resumeMs: 30_000, ...(returnMs === undefined ? {} : { returnMs }) };
    group.handle({ type: "open", open: { host: "gone", epoch: 10, members: 2, ...told } }, 0);
    const roster = [{ id: "late", group: true }];
    group.handle({ type: "host", host: { host: "late", epoch: 11, cause: "left", roster } }, 1_000);
    let now = 1_000;
    const isRecovered = (effect: Effect): boolean =>
      effect.type === "notice" && effect.notice.kind === "recovered";
    // Small steps: after a jump the machine would take this page for frozen and wait anew.
    while (now < 20_000 && !group.handle({ type: "timer" }, now).some(isRecovered)) now += 50;
    assert.ok(Math.abs(now - 1_000 - silentMs) <= 100, `returnMs ${returnMs}: ${now - 1_000} ms`);
  }
});
