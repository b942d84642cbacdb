// Suspicions that end, channels that are idle, and how long a new host waits for those that only a channel reaches.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Rig } from "./group.rig.ts";

function said(rig: Rig, id: string, type: "suspect" | "trust"): number {
  return (rig.effects.get(id) ?? []).filter((effect) => effect.type === type).length;
}

test("a member that hears the host again takes its suspicion back, once", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.pass(2000, "nobody");
  assert.deepEqual([said(rig, "b", "suspect"), said(rig, "b", "trust")], [1, 0]);
  rig.settle();
  rig.pass(3000);
  assert.deepEqual([said(rig, "b", "suspect"), said(rig, "b", "trust")], [1, 1]);
});

test("pieces of a long message take a suspicion back, a ping of the host's page does not", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.pass(1700, "nobody");
  assert.equal(said(rig, "b", "suspect"), 1);
  rig.feed("b", { type: "alive", id: "a" });
  assert.equal(said(rig, "b", "trust"), 0);
  rig.feed("b", { type: "heard", from: "a", via: "p2p" });
  assert.equal(said(rig, "b", "trust"), 1);
});

test("a suspicion ends with its socket: nothing is taken back on the next", () => {
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

test("a channel on which only pings come is as good as any", () => {
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

test("a new host waits for a member that only a channel reaches as long as the server calls fair", () => {
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
