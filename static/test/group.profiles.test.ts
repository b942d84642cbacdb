// Members join with a profile, and change it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Rig } from "./group.rig.ts";

test("a member joins once, with its profile, and has another later", () => {
  const rig = new Rig();
  rig.add("a", "b", "c");
  rig.feed("a", { type: "profile", profile: { name: "Ann" } });
  rig.open("a", "a", 10, ["a"]);
  rig.feed("a", { type: "joined", member: { id: "b", group: true } });
  rig.open("b", "a", 10);
  rig.feed("a", { type: "joined", member: { id: "c", group: true } });
  assert.deepEqual(rig.noticed("a", "member"), [], "members were announced before they spoke");
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
  // c has not said its profile on a new socket yet: no news. Then it says another one: news, and no
  // second join.
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
