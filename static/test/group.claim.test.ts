// A member claims its epoch from a server that does not know it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Claim } from "../src/group/claim.ts";
import { ServerView } from "../src/group/server-view.ts";
import { defaults } from "../src/group/settings.ts";
import { ConnectionStatus } from "../src/group/status.ts";
import { Step } from "../src/group/step.ts";
import { Timers } from "../src/group/timers.ts";
import { Rig } from "./group.rig.ts";
import { EPOCH, withHistory } from "./group.scenes.ts";

test("a restart of the server that the host survives goes unnoticed", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.link("a", "b");
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

test("a host dials again when the server answers with an earlier epoch", () => {
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

test("a claim that is not believed is repeated ever more rarely, and the page is told once", () => {
  const rig = withHistory();
  const redials = (id: string): number =>
    (rig.effects.get(id) ?? []).filter(({ type }) => type === "redial").length;
  const told = (id: string): number[] =>
    (rig.effects.get(id) ?? []).flatMap((effect) =>
      effect.type === "disbelieved" ? [effect.behindMs] : [],
    );
  /** The server answers that somebody else hosts, in an earlier epoch. */
  const answers = (id: string): void => {
    rig.feed(id, { type: "offline" });
    rig.open(id, "n", 3);
  };
  for (const id of ["a", "b"]) answers(id);
  let dials = 0;
  for (let ms = 0; ms < 300_000; ms += 50) {
    const before = [redials("a"), redials("b")];
    rig.pass(50);
    ["a", "b"].forEach((id, i) => {
      if (redials(id) === before[i]) return;
      dials++;
      answers(id);
    });
    if (ms === 20_000) for (const id of ["a", "b"]) rig.send(id, `${id}3`);
  }
  assert.ok(dials > 10 && dials < 36, `${dials} dials of two pages in five minutes`);
  assert.deepEqual([told("a"), told("b")], [[7], [7]]);
  assert.deepEqual([rig.state("a"), rig.state("b")], ["a1 b1 a2 b2", "a1 b1 a2 b2"]);
  assert.deepEqual(
    [rig.settled.get("a"), rig.settled.get("b")],
    [
      ["ok", "ok"],
      ["ok", "ok", "Uncertain"],
    ],
  );
  assert.equal(rig.noticed("a", "status").slice(-1)[0]?.state, "away");
  // a is named host of members that it cannot serve, so it resigns.
  rig.host("a", "a", 4, "left", ["a", "m"]);
  const resigned = (rig.effects.get("a") ?? []).slice(-3).filter(({ type }) => type === "resign");
  assert.deepEqual(resigned, [{ type: "resign", epoch: 4 }]);
  // The clock is right again.
  rig.feed("a", { type: "offline" });
  rig.feed("b", { type: "offline" });
  rig.open("a", "a", EPOCH, ["a", "b"]);
  rig.open("b", "a", EPOCH);
  rig.pass(3000);
  assert.deepEqual([rig.state("a"), rig.state("b")], ["a1 b1 a2 b2 a3", "a1 b1 a2 b2 a3"]);
  assert.equal(rig.noticed("a", "status").slice(-1)[0]?.state, "open");
});

test("only OPEN denies a claim, and the second denial in a row proves disbelief", () => {
  const server = new ServerView(2500, 3000);
  const step = new Step();
  const timers = new Timers();
  const status = new ConnectionStatus(step);
  const claim = new Claim({ server, settings: defaults, status, step, timers });
  server.opened({ host: "a", epoch: 3, members: 1, relay: true, resumeMs: 30_000 });
  server.adopted(10, "a", 0);
  claim.announced(3, "HOST");
  assert.deepEqual([claim.isDenied, timers.has("claim")], [false, false]);
  claim.announced(3, "OPEN");
  assert.deepEqual([claim.isDenied, claim.isDisbelieved, timers.next()], [true, false, 1600]);
  claim.repeat();
  claim.repeat();
  claim.announced(3, "OPEN");
  assert.deepEqual([claim.isDisbelieved, timers.next()], [true, 3200]);
  assert.deepEqual(step.end(), [
    { type: "redial" },
    { type: "disbelieved", behindMs: 7 },
    { type: "notice", notice: { kind: "status", state: "away" } },
  ]);
  claim.announced(10, "OPEN");
  assert.deepEqual([claim.isDenied, timers.has("claim")], [false, false]);
});
