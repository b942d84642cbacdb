// A host that joined late hands on entries older than its log.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Rig } from "./group.rig.ts";

test("a host gets older entries of members that it reaches, or has not heard since its own break", () => {
  for (const host of ["online", "offline", "back"]) {
    const rig = new Rig();
    // There are so many members that d would give up asking before it asks e.
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
      // Messages of the others arrive later than those of c.
      rig.letters = [];
    }
    rig.feed("d", { type: "joined", member: { id: "c", group: true } });
    if (host === "offline") {
      for (const id of ["c", "e"]) rig.link("d", id);
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
