// Only messages that the page was really handed are listed as lost.

import assert from "node:assert/strict";
import { test } from "node:test";
import { giveUp } from "../src/group/given-up.ts";
import { DedupeTable } from "../src/group/dedupe-table.ts";
import { Log } from "../src/group/log.ts";
import { Outbox } from "../src/group/outbox.ts";
import type { Entry, Snapshot } from "../src/group/types.ts";

const NOW = 1000;

function message(s: number, f: string, n: number): Entry {
  return { s, e: 4, f, n, k: "d", d: `${f}#${n}`, z: 3 };
}

test("a message that the page was not handed, because it had a later one, is not listed as lost", () => {
  const log = new Log();
  log.reset({ root: 4, seq: 0, line: [[4, 0]], floor: new DedupeTable() });
  const handed = new DedupeTable();
  // In an earlier history the page was handed c#5 and nothing before it.
  handed.apply(message(1, "c", 5), NOW);
  for (const entry of [message(1, "c", 1), message(2, "b", 1)]) {
    log.append(entry, NOW);
    if (entry.n > handed.count(entry.f)) handed.apply(entry, NOW);
  }
  const snap: Snapshot = {
    r: 2,
    e: 2,
    s: 0,
    line: [[2, 0]],
    counts: [],
    members: [],
    has: false,
    z: 0,
  };
  const { lost, lostMore } = giveUp(
    { id: "me", log, delivered: 2, outbox: new Outbox(), handed },
    snap,
    DedupeTable.read(snap, NOW),
  );
  assert.deepEqual([lost.map(({ data }) => data), lostMore], [["b#1"], false]);
});
