// The dedupe table knows which messages a history holds.

import assert from "node:assert/strict";
import { test } from "node:test";
import { DedupeTable } from "../src/group/dedupe-table.ts";
import type { Entry } from "../src/group/types.ts";

test("a table says which messages it holds, which it does not, and which it cannot tell", () => {
  const ledger = new DedupeTable();
  const message = (f: string, n: number): Entry => ({ s: 1, e: 1, f, n, k: "d", d: "", z: 1 });
  const left = (f: string): Entry => ({ s: 1, e: 1, f, n: 0, k: "l", d: null, z: 0 });
  for (const n of [1, 2, 5, 6]) ledger.apply(message("a", n), 0);
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 7].map((n) => ledger.holds("a", n)),
    ["yes", "yes", "no", "no", "yes", "yes", "no"],
  );
  assert.equal(ledger.holds("b", 1), "no");
  const read = DedupeTable.read(JSON.parse(JSON.stringify(ledger.write())), 0);
  assert.deepEqual(
    [2, 3, 6].map((n) => read.holds("a", n)),
    ["yes", "no", "yes"],
  );
  // The oldest gaps beyond the limit are forgotten.
  for (let n = 8; n <= 30; n += 2) ledger.apply(message("a", n), 0);
  assert.deepEqual(
    [2, 3, 30, 29].map((n) => ledger.holds("a", n)),
    ["unsure", "unsure", "yes", "no"],
  );
  // Senders that left last are remembered longest.
  for (const [i, f] of ["a", "b", "c"].entries()) {
    ledger.apply(message(f, 31), 0);
    ledger.apply(left(f), i + 1);
  }
  assert.deepEqual(ledger.prune(10, 2), ["a"]);
  assert.deepEqual(
    [ledger.holds("a", 31), ledger.holds("b", 31), ledger.holds("x", 1)],
    ["unsure", "yes", "unsure"],
  );
  assert.equal(
    DedupeTable.read(JSON.parse(JSON.stringify(ledger.write())), 0).holds("x", 1),
    "unsure",
  );
  ledger.apply(message("a", 40), 0);
  assert.deepEqual(
    [39, 40].map((n) => ledger.holds("a", n)),
    ["unsure", "yes"],
  );
});
