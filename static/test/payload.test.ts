// Tests how the server's messages are parsed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseOpen, RELAY_LIMITS } from "../src/payload.ts";

test("parseOpen ignores an upMs that is missing, negative or no number", () => {
  const up = (upMs?: unknown): number | undefined =>
    parseOpen({ host: "h", epoch: 1, upMs })?.open.upMs;
  assert.deepEqual(
    [up(0), up(1200), up(-1), up("7"), up()],
    [0, 1200, undefined, undefined, undefined],
  );
});

test("parseOpen has a default for every number that an older server does not tell", () => {
  const parsed = parseOpen({ host: "h", epoch: 1, relay: {} });
  assert.ok(parsed);
  const { open, limits, expireMs, profileBytes } = parsed;
  assert.deepEqual(
    [open.resumeMs, limits, expireMs, profileBytes],
    [30_000, RELAY_LIMITS, 5_000, 1024],
  );
});

test("parseOpen takes the numbers that the server tells", () => {
  const relay = { maxMessageBytes: 10, queueBytes: 20 };
  const told = { relay, resumeMs: 30, expireMs: 40, profileBytes: 50 };
  const parsed = parseOpen({ host: "h", epoch: 1, ...told });
  assert.ok(parsed);
  const { open, limits, expireMs, profileBytes } = parsed;
  assert.deepEqual([open.resumeMs, limits, expireMs, profileBytes], [30, relay, 40, 50]);
});

test("parseOpen ignores a profileBytes that is negative or no number", () => {
  for (const profileBytes of [-1, "7", null, Number.NaN])
    assert.equal(parseOpen({ host: "h", epoch: 1, profileBytes })?.profileBytes, 1024);
});
