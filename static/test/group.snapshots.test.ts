// Questions for the page's snapshot: one at a time, each with an answer or an end.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Replica } from "../src/group/replica.ts";
import { defaults } from "../src/group/settings.ts";
import { Snapshots } from "../src/group/snapshots.ts";
import { Step } from "../src/group/step.ts";
import { Timers } from "../src/group/timers.ts";
import type { Snapshot } from "../src/group/types.ts";

function withCallback() {
  const step = new Step();
  const replica = new Replica(defaults);
  const timers = new Timers();
  replica.found(10, 0);
  const snapshots = new Snapshots({ replica, settings: defaults, step, timers });
  snapshots.callbackChanged(true);
  const received: (Snapshot | null)[] = [];
  const ask = (): void => snapshots.ask((snap) => received.push(snap));
  /** Returns the tokens of the questions since the last call. */
  const asked = (): number[] =>
    step.end().flatMap((effect) => (effect.type === "askSnapshot" ? [effect.token] : []));
  return { snapshots, timers, received, ask, asked };
}

test("several receivers share one question and its answer", () => {
  const { snapshots, received, ask, asked } = withCallback();
  ask();
  ask();
  const [token = 0, ...others] = asked();
  assert.deepEqual(others, []);
  assert.ok(snapshots.isAsking);
  assert.equal(snapshots.answered(token + 1, null), false);
  assert.equal(snapshots.answered(token, { state: "s", size: 1 }), true);
  assert.deepEqual(
    received.map((snap) => snap && [snap.has, snap.state, snap.z]),
    [
      [true, "s", 1],
      [true, "s", 1],
    ],
  );
  assert.ok(!snapshots.isAsking);
});

test("a page that fails three times in a row is not asked again, until it sets its callback anew", () => {
  const { snapshots, received, ask, asked } = withCallback();
  for (let i = 0; i < 3; i++) {
    ask();
    assert.equal(snapshots.timedOut(), true);
  }
  assert.equal(asked().length, 3);
  assert.ok(!snapshots.areGiven);
  ask();
  assert.deepEqual(asked(), []);
  assert.deepEqual(received, [null, null, null, null]);
  snapshots.callbackChanged(true);
  assert.ok(snapshots.areGiven);
});

test("a withdrawn question is answered with nothing, and the page's late answer is ignored", () => {
  const { snapshots, timers, received, ask, asked } = withCallback();
  ask();
  snapshots.withdraw();
  assert.deepEqual([received, timers.has("snapshot")], [[null], false]);
  assert.equal(snapshots.answered(asked()[0] ?? 0, { state: "s", size: 1 }), false);
  assert.equal(snapshots.timedOut(), false);
});
