// The outbox keeps own messages that may have to be sent again.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Outbox } from "../src/group/outbox.ts";

test("an orphan that the new history skips is told as lost, though it holds later messages of its sender", () => {
  const outbox = new Outbox();
  const place = { r: 1, e: 1, s: 5 };
  outbox.add(1, "x", 1);
  outbox.mark(1);
  assert.deepEqual(outbox.settle(1, place), [1]);
  assert.deepEqual(
    outbox.again(0, () => false),
    [],
  );
  assert.ok(outbox.sends(1));
  outbox.mark(1);
  outbox.doubt();
  assert.ok(outbox.isOrphan(1) && !outbox.sends(1));
  outbox.trim(100, 100);
  assert.deepEqual(
    outbox.again(7, () => false).map(({ d }) => d),
    ["x"],
  );
  assert.ok(!outbox.isOrphan(1) && !outbox.sends(1));
});

test("a message in doubt that comes back after all is lost if its history is given up later", () => {
  const outbox = new Outbox();
  outbox.add(1, "x", 1);
  outbox.mark(1);
  assert.deepEqual(outbox.doubt(), [1]);
  outbox.settleOne({ n: 1, d: "x", z: 1 }, { r: 1, e: 1, s: 5 });
  assert.deepEqual(
    outbox.again(0, () => false).map(({ d }) => d),
    ["x"],
  );
});
