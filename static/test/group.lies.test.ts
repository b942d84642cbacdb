// Malformed and lying messages move nobody.

import assert from "node:assert/strict";
import { test } from "node:test";
import { isWire } from "../src/group/index.ts";
import { Rig } from "./group.rig.ts";

test("a message that is malformed is ignored", () => {
  const rig = new Rig();
  rig.together("a", "b");
  const good = { t: "data", e: 10, r: 10, p: 10, s: 1, x: [] };
  assert.ok(isWire(good));
  // Nothing in a message is of a later epoch than the message.
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
    rig.receive("b", "a", bad);
  }
});

test("a message of a later epoch changes no host, online or not", () => {
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
      for (const id of ["b", "c"]) rig.link("a", id);
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
        // However many messages arrive, the socket is checked at intervals.
        assert.ok((rig.effects.get(id)?.filter(({ type }) => type === "check") ?? []).length <= 1);
      }
    }
  }
});

test("a new history does not begin above a seq that nobody can reach", () => {
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
  rig.receive("a", "m", { t: "at", e: 10, at });
  rig.send("b", "x");
  rig.pass(5000);
  for (const id of ["a", "b"]) assert.equal(rig.state(id), "x");
});
