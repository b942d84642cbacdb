import assert from "node:assert/strict";
import { test } from "node:test";
import { browserEnv, wakefulClock } from "../src/env.ts";

test("the clock counts sleep by a sudden gain of the wall clock", () => {
  let [awake, wall] = [500, 1_000_000];
  const pass = (ms: number, wallMs = ms): void => {
    awake += ms;
    wall += wallMs;
  };
  const now = wakefulClock(
    () => awake,
    () => wall,
  );
  assert.equal(now(), 500);
  pass(60_000);
  assert.equal(now(), 60_500);
  // The device sleeps for ten minutes.
  pass(100, 600_100);
  assert.equal(now(), 660_600);
  pass(1000);
  assert.equal(now(), 661_600);
});

test("a wall clock that is set back or runs slightly fast changes nothing", () => {
  let [awake, wall] = [0, 1_000_000];
  const now = wakefulClock(
    () => awake,
    () => wall,
  );
  wall -= 3_600_000;
  assert.equal(now(), 0);
  for (let s = 0; s < 100; s++) {
    awake += 60_000;
    wall += 60_030;
    assert.equal(now(), awake);
  }
});

/** Keeps Node running until the body has ended. The library's own MessageChannel does not. */
async function awake(body: () => Promise<void>): Promise<void> {
  const timer = setTimeout(() => {}, 10_000);
  await body().finally(() => clearTimeout(timer));
}

test("browserEnv opens nothing before its first use and cancels timers of every kind", () =>
  awake(async () => {
    let opened = 0;
    const Stock = globalThis.MessageChannel;
    globalThis.MessageChannel = class extends Stock {
      constructor() {
        super();
        opened++;
      }
    };
    try {
      const env = browserEnv();
      assert.equal(opened, 0);
      const heard: number[] = [];
      // Timers are objects in Node and numbers in a browser.
      env.cancel(env.after(0, () => heard.push(0)));
      await new Promise<void>((done) => {
        for (const n of [1, 2, 3]) env.soon(() => heard.push(n));
        env.soon(done);
      });
      await new Promise<void>((done) => void env.after(5, done));
      assert.deepEqual([opened, heard], [1, [1, 2, 3]]);
    } finally {
      globalThis.MessageChannel = Stock;
    }
  }));

test("soon works without MessageChannel, as in jsdom", () =>
  awake(async () => {
    const Stock = globalThis.MessageChannel;
    globalThis.MessageChannel = undefined as unknown as typeof MessageChannel;
    try {
      const env = browserEnv();
      const heard: number[] = [];
      await new Promise<void>((done) => {
        env.soon(() => heard.push(1));
        env.soon(done);
      });
      assert.deepEqual(heard, [1]);
    } finally {
      globalThis.MessageChannel = Stock;
    }
  }));
