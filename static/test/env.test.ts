import assert from "node:assert/strict";
import { test } from "node:test";
import { wakefulClock } from "../src/env.ts";

test("a clock that stands still asleep is put right, by what the wall's clock gained at a stroke", () => {
  let [awake, wall] = [500, 1_000_000];
  const pass = (ms: number, wallMs = ms): void => {
    awake += ms;
    wall += wallMs;
  };
  const now = wakefulClock(() => awake, () => wall);
  assert.equal(now(), 500);
  pass(60_000);
  assert.equal(now(), 60_500);
  // Asleep for ten minutes.
  pass(100, 600_100);
  assert.equal(now(), 660_600);
  pass(1000);
  assert.equal(now(), 661_600);
});

test("a wall's clock that is set back, or runs a little fast, changes nothing", () => {
  let [awake, wall] = [0, 1_000_000];
  const now = wakefulClock(() => awake, () => wall);
  wall -= 3_600_000;
  assert.equal(now(), 0);
  for (let s = 0; s < 100; s++) {
    awake += 60_000;
    wall += 60_030;
    assert.equal(now(), awake);
  }
});
