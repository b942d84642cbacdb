// Suspicions end, idle channels stay in use, and a new host waits for those that only a channel
// reaches.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Rig } from "./group.rig.ts";

/** Returns how often a member said SUSPECT or TRUST. */
function said(rig: Rig, id: string, type: "suspect" | "trust"): number {
  return (rig.effects.get(id) ?? []).filter((effect) => effect.type === type).length;
}

test("a silent host is suspected, and again while the silence lasts", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.kill("a");
  rig.pass(5000);
  const suspicions = rig.effects.get("b")?.filter(({ type }) => type === "suspect") ?? [];
  assert.ok(suspicions.length >= 2);
});

test("a host in the middle of a long message is not suspected", () => {
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

test("a member that hears the host again takes its suspicion back once", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.pass(2000, "nobody");
  assert.deepEqual([said(rig, "b", "suspect"), said(rig, "b", "trust")], [1, 0]);
  rig.settle();
  rig.pass(3000);
  assert.deepEqual([said(rig, "b", "suspect"), said(rig, "b", "trust")], [1, 1]);
});

test("pieces of a long message end a suspicion, a ping of the host's page does not", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.pass(1700, "nobody");
  assert.equal(said(rig, "b", "suspect"), 1);
  rig.feed("b", { type: "alive", id: "a" });
  assert.equal(said(rig, "b", "trust"), 0);
  rig.feed("b", { type: "heard", from: "a", via: "p2p" });
  assert.equal(said(rig, "b", "trust"), 1);
});

test("a suspicion ends with its socket, and nothing is taken back on the next one", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.pass(1700, "nobody");
  rig.feed("b", { type: "offline" });
  rig.open("b", "a", 10);
  rig.settle();
  assert.deepEqual([said(rig, "b", "suspect"), said(rig, "b", "trust")], [1, 0]);
});

test("a change of host closes no channel", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  for (const [id, other] of [
    ["b", "a"],
    ["c", "a"],
    ["b", "c"],
    ["c", "b"],
  ] as const)
    rig.feed(id, { type: "link", id: other, up: true });
  rig.host("b", "b", 11, "resigned", ["a", "b", "c"]);
  rig.host("a", "b", 11, "resigned");
  rig.host("c", "b", 11, "resigned");
  rig.pass(2000);
  assert.deepEqual(
    rig.noticed("c", "host").map(({ host }) => host),
    ["a", "b"],
  );
  for (const id of ["a", "b", "c"])
    assert.equal(
      rig.effects.get(id)?.some((effect) => effect.type === "unlink"),
      false,
    );
});

test("a channel on which only pings arrive stays in use", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  rig.feed("b", { type: "link", id: "c", up: true });
  for (let s = 0; s < 8; s++) {
    rig.pass(1000);
    rig.feed("b", { type: "alive", id: "c" });
  }
  rig.letters = [];
  rig.host("b", "b", 11, "left", ["b", "c"]);
  const first = (rig.effects.get("b") ?? []).find(
    (effect) => effect.type === "transmit" && effect.to === "c" && effect.message.t === "ask",
  );
  assert.equal(first?.type === "transmit" && first.via, "p2p");
});

test("a new host waits the server's fair time for a member that only a channel reaches", () => {
  for (const fairMs of [3000, 9000]) {
    const rig = new Rig();
    rig.together("a", "b", "c");
    rig.kill("a");
    const began = rig.now;
    rig.feed("b", {
      type: "host",
      host: {
        host: "b",
        epoch: 11,
        cause: "left",
        fairMs,
        roster: [
          { id: "b", group: true },
          { id: "c", group: true, relay: false },
        ],
      },
    });
    const took = (): boolean => rig.noticed("b", "host").some(({ isHost }) => isHost);
    rig.pass(fairMs - 200, "b");
    assert.equal(took(), false, `${rig.now - began}`);
    rig.pass(500, "b");
    assert.equal(took(), true);
  }
});

test("pieces that arrive over the relay do not make a silent data channel good", () => {
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
