// The replica of the history: how entries fit onto it, what the page is handed, and how one history
// gives way to another.

import assert from "node:assert/strict";
import { test } from "node:test";
import { DedupeTable } from "../src/group/dedupe-table.ts";
import { Replica } from "../src/group/replica.ts";
import { defaults } from "../src/group/settings.ts";
import type { Entry, Snapshot } from "../src/group/types.ts";

const NOW = 1000;

function message(s: number, e: number, f = "a", n = s): Entry {
  return { s, e, f, n, k: "d", d: `${f}${n}`, z: 2 };
}

/**
 * Returns a replica with a history founded in epoch 10, and the entries 1 to `last`, of which
 * `delivered` are delivered.
 */
function withEntries({ last, delivered }: { last: number; delivered: number }): Replica {
  const replica = new Replica(defaults);
  replica.found(10, NOW);
  const x = Array.from({ length: last }, (_, i) => message(i + 1, 10));
  assert.equal(replica.absorb({ r: 10, p: 10, s: 1, x }, NOW), "ok");
  while (replica.deliverNext(delivered, NOW));
  return replica;
}

test("entries of another history are foreign, and entries too far ahead leave a gap", () => {
  const replica = withEntries({ last: 3, delivered: 3 });
  assert.equal(replica.absorb({ r: 9, p: 9, s: 4, x: [message(4, 9)] }, NOW), "foreign");
  assert.equal(replica.absorb({ r: 10, p: 10, s: 5, x: [message(5, 10)] }, NOW), "gap");
  assert.equal(replica.log.last, 3);
});

test("entries that were not delivered give way, and delivered ones make a fork", () => {
  const replica = withEntries({ last: 4, delivered: 3 });
  assert.equal(replica.absorb({ r: 10, p: 10, s: 4, x: [message(4, 11)] }, NOW), "ok");
  assert.deepEqual(replica.log.place, { r: 10, e: 11, s: 4 });
  assert.equal(replica.absorb({ r: 10, p: 10, s: 3, x: [message(3, 11)] }, NOW), "fork");
});

test("an entry is not appended after another one than it followed", () => {
  const replica = withEntries({ last: 4, delivered: 3 });
  assert.equal(replica.absorb({ r: 10, p: 11, s: 5, x: [message(5, 12)] }, NOW), "gap");
  assert.equal(replica.log.last, 3);
});

test("entries are delivered in order, up to the limit, and a message only once", () => {
  const replica = withEntries({ last: 3, delivered: 0 });
  assert.equal(replica.deliverNext(1, NOW)?.entry.s, 1);
  assert.equal(replica.deliverNext(1, NOW), undefined);
  replica.absorb({ r: 10, p: 10, s: 4, x: [message(4, 10, "a", 2)] }, NOW);
  const isNew = [2, 3, 4].map(() => replica.deliverNext(9, NOW)?.isNew);
  assert.deepEqual(isNew, [true, true, false]);
});

test("a history founded after others begins above every seq that was heard of", () => {
  const replica = new Replica(defaults);
  replica.heardOf(7);
  replica.found(12, NOW);
  assert.deepEqual(replica.log.place, { r: 12, e: 12, s: 7 });
  replica.heardOf(Number.MAX_SAFE_INTEGER);
  replica.found(13, NOW);
  assert.equal(replica.log.last, 0);
});

test("a history that is given up is abandoned until the next epoch", () => {
  const replica = withEntries({ last: 2, delivered: 2 });
  const snap: Snapshot = {
    r: 5,
    e: 5,
    s: 9,
    line: [[5, 0]],
    counts: [],
    members: [],
    has: false,
    z: 0,
  };
  replica.goOnFrom(snap, DedupeTable.read(snap, NOW), NOW);
  assert.deepEqual([replica.log.place, replica.delivered], [{ r: 5, e: 5, s: 9 }, 9]);
  assert.deepEqual([replica.isWhole, replica.hasAbandoned(10)], [false, true]);
  replica.epochBegins();
  assert.ok(!replica.hasAbandoned(10));
});

test("a bare snapshot ends where the histories part", () => {
  const replica = withEntries({ last: 4, delivered: 4 });
  const line = [
    [10, 0],
    [12, 3],
  ] as const;
  const at = { r: 10, e: 12, s: 6, done: 6, base: 0, line, snap: false, stale: false, age: 0 };
  const { s, counts, has } = replica.bareSnapshot(at, NOW);
  assert.deepEqual({ s, counts, has }, { s: 2, counts: [["a", 2]], has: false });
});
