// A history founded soon after the server began gives way to one from before.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Wire } from "../src/group/index.ts";
import { NOWHERE, Rig } from "./group.rig.ts";
import {
  EPOCH,
  clock,
  comesTo,
  foundsAfterOutage,
  foundsHistory,
  outage,
  passWithServer,
  withHistory,
} from "./group.scenes.ts";

for (const [after, wins] of [
  [5_000, "old"],
  [60_000, "old"],
  [170_000, "old"],
  [185_000, "new"],
] as const) {
  const outcome = wins === "old" ? "gives way, without a loss" : "does not give way any more";
  test(`a history founded after a restart ${outcome} to an older one that comes ${after / 1000} s later`, () => {
    const rig = withHistory();
    outage(rig, 180_000);
    const epoch = clock(rig);
    rig.upMs = 500;
    foundsHistory(rig, "n", epoch, "n1", "n2");
    passWithServer(rig, 200, "n");
    rig.add("m");
    comesTo(rig, "m", "n", epoch);
    passWithServer(rig, 1000, "n", "m");
    rig.send("m", "m1");
    passWithServer(rig, after, "n", "m");
    comesTo(rig, "b", "n", epoch);
    rig.pass(8000, "n", "m", "b");
    comesTo(rig, "a", "n", epoch);
    rig.pass(8000);
    const lost = ["n", "m", "b", "a"].map(
      (id) =>
        rig
          .noticed(id, "recovered")
          .slice(-1)[0]
          ?.lost.filter(({ mine }) => mine)
          .map(({ data }) => data)
          .join(" ") ?? "",
    );
    for (const id of ["n", "m", "a", "b"]) {
      if (wins === "old") {
        assert.ok(rig.state(id).startsWith("a1 b1 a2 b2 "), `${id} has ${rig.state(id)}`);
        assert.deepEqual(rig.state(id).split(" ").slice(4).sort(), ["m1", "n1", "n2"], id);
      } else assert.equal(rig.state(id), "n1 n2 m1", id);
    }
    assert.deepEqual(lost, wins === "old" ? ["", "", "", ""] : ["", "", "b1 b2", "a1 a2"]);
  });
}

test("a history founded when the server has been up for 90 s gives way to no stale one", () => {
  const rig = withHistory();
  const epoch = foundsAfterOutage(rig, { outageMs: 180_000, upMs: 90_000 });
  passWithServer(rig, 40_000, "n");
  comesTo(rig, "b", "n", epoch);
  rig.pass(3000, "n", "b");
  assert.equal(rig.state("b"), "n1");
});

test("the older history goes first, though the server's clock was set back", () => {
  const rig = withHistory();
  outage(rig, 60_000);
  rig.upMs = 500;
  // The epoch is below every epoch that the server announced before.
  foundsHistory(rig, "n", 3, "n1");
  passWithServer(rig, 40_000, "n");
  comesTo(rig, "b", "n", 3);
  // The claim of b is believed, so the next epoch is above it.
  rig.host("b", "n", EPOCH + 1, "restarted");
  rig.host("n", "n", EPOCH + 1, "restarted", ["n", "b"]);
  rig.pass(5000, "n", "b");
  assert.equal(rig.state("n"), "a1 b1 a2 b2 n1");
  assert.equal(rig.state("b"), "a1 b1 a2 b2 n1");
});

test("a host that went over to the older history does not go back, whatever the roots say later", () => {
  const rig = withHistory();
  outage(rig, 60_000);
  rig.upMs = 500;
  foundsHistory(rig, "n", 3, "n1");
  rig.add("m");
  comesTo(rig, "m", "n", 3);
  passWithServer(rig, 1000, "n", "m");
  // m is cut off with the history that n founded, and learns nothing of what follows.
  rig.feed("m", { type: "offline" });
  rig.feed("n", { type: "left", id: "m" });
  passWithServer(rig, 1000, "n");
  comesTo(rig, "b", "n", 3);
  for (const id of ["b", "n"])
    rig.host(id, "n", EPOCH + 1, "restarted", id === "n" ? ["n", "b"] : []);
  rig.send("n", "n2");
  passWithServer(rig, 200_000, "n", "b");
  assert.equal(rig.state("b"), "a1 b1 a2 b2 n1 n2");
  rig.feed("n", { type: "joined", member: { id: "m", group: true } });
  rig.open("m", "n", EPOCH + 1);
  // The provisional time is over: the history of m has no mark any more, and the lower root.
  rig.hand(
    rig
      .take(({ from }) => from === "m")
      .map((letter) =>
        letter.message.t === "at"
          ? {
              ...letter,
              message: { ...letter.message, at: { ...letter.message.at, stale: false } },
            }
          : letter,
      ),
  );
  rig.pass(5000);
  for (const id of ["n", "b", "m"]) assert.equal(rig.state(id), "a1 b1 a2 b2 n1 n2", id);
});

test("a provisional history is from before for a server that begins again", () => {
  const rig = new Rig();
  rig.upMs = 1000;
  rig.together("a", "b");
  rig.send("b", "b1");
  passWithServer(rig, 1000);
  const epoch = foundsAfterOutage(rig, { outageMs: 60_000, upMs: 500 });
  passWithServer(rig, 50_000, "n");
  comesTo(rig, "b", "n", epoch);
  rig.pass(3000, "n", "b");
  assert.equal(rig.state("n"), "b1 n1");
});

test("a history founded moments before the server ended is from before for the next one", () => {
  const rig = new Rig();
  rig.upMs = 300;
  rig.together("a", "b");
  rig.send("b", "b1");
  rig.pass(500);
  const epoch = foundsAfterOutage(rig, { outageMs: 1000, upMs: 500 });
  passWithServer(rig, 50_000, "n");
  comesTo(rig, "b", "n", epoch);
  rig.pass(3000, "n", "b");
  assert.equal(rig.state("n"), "b1 n1");
});

test("a history stays provisional when its founder dials the same server again", () => {
  const rig = withHistory();
  const epoch = foundsAfterOutage(rig, { outageMs: 60_000, upMs: 500 });
  passWithServer(rig, 40_000, "n");
  rig.send("n", "n2");
  passWithServer(rig, 1000, "n");
  rig.feed("n", { type: "offline" });
  passWithServer(rig, 2000, "n");
  // The OPEN took two seconds on its way.
  rig.upMs = (rig.upMs ?? 0) - 2000;
  rig.open("n", "n", epoch, ["n"]);
  rig.pass(1000, "n");
  comesTo(rig, "b", "n", epoch);
  rig.pass(3000, "n", "b");
  assert.equal(rig.state("n"), "a1 b1 a2 b2 n1 n2");
});

test("members with a library that knows no provisional histories are understood", () => {
  const rig = withHistory();
  const epoch = foundsAfterOutage(rig, { outageMs: 20_000, upMs: 500 });
  comesTo(rig, "b", "n", epoch);
  const bare = (message: Wire): Wire =>
    JSON.parse(
      JSON.stringify(message, (name, value: unknown) =>
        ["provisional", "gaps", "forgot"].includes(name) ? undefined : value,
      ),
    ) as Wire;
  for (let ms = 0; ms < 3000; ms += 50) {
    rig.hand(rig.take(() => true).map((letter) => ({ ...letter, message: bare(letter.message) })));
    rig.pass(50, "nobody");
  }
  assert.equal(rig.state("b"), "a1 b1 a2 b2 n1");
});

test("members that disagree whether a history is provisional do not keep a host taking over", () => {
  const rig = withHistory();
  outage(rig, 60_000);
  rig.upMs = 500;
  // Another history was founded a little later, and its members disagree about its mark.
  foundsHistory(rig, "n", clock(rig), "n1");
  const r = clock(rig) + 50;
  const at = { ...NOWHERE, r, e: r, s: 3, done: 3, line: [[r, 0]] };
  const epoch = clock(rig) + 100;
  for (const id of ["x", "y"]) rig.feed("n", { type: "joined", member: { id, group: true } });
  rig.host("n", "n", epoch, "restarted", ["n", "x", "y"]);
  const says = (from: string, mark: { provisional?: number }): void =>
    rig.receive("n", from, { t: "at", e: epoch, at: { ...at, ...mark } });
  says("x", { provisional: 100_000 });
  says("y", {});
  rig.pass(1000, "n");
  says("y", {});
  says("x", { provisional: 99_000 });
  says("y", {});
  assert.ok(rig.groups.get("n")?.leads);
  rig.send("n", "n2");
  rig.pass(5000, "n");
  assert.equal(rig.state("n"), "n1 n2");
});
