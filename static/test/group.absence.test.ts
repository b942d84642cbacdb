// A member without a socket stays while its data channel is good, for a limited time.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Rig } from "./group.rig.ts";

test("a host lets a member go that has no socket for `resumeMs`, though its data channel is good", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  rig.link("a", "b");
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

test("the time without a socket counts from when the host has the server again", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.link("a", "b");
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
