import assert from "node:assert/strict";
import { test } from "node:test";
import type { Event, Group } from "../src/group/index.ts";
import { MachineRunner } from "../src/machine-runner.ts";
import { FakeEnv } from "./rig.ts";

/** A runner over a machine that only has a deadline. */
function rig() {
  let timers = 0;
  const env = new (class extends FakeEnv {
    override after(ms: number, then: () => void) {
      timers++;
      return super.after(ms, then);
    }
  })();
  const machine = { due: Infinity, handled: [] as string[] };
  const runner = new MachineRunner(
    env,
    {
      nextDeadline: () => machine.due,
      handleAll(events: readonly Event[]) {
        machine.handled.push(...events.map(({ type }) => type));
        if (events.some(({ type }) => type === "timer")) machine.due = Infinity;
        return [];
      },
    } as unknown as Group,
    { perform() {}, stepped() {} },
  );
  const feed = async (due: number): Promise<void> => {
    machine.due = due;
    runner.feed({ type: "offline" });
    await Promise.resolve()
      .then(() => {})
      .then(() => {});
  };
  return { env, runner, machine, feed, timers: () => timers };
}

test("a deadline that moves later with each message needs no new timer and is kept", async () => {
  const { env, machine, feed, timers } = rig();
  for (const due of [100, 200, 300]) await feed(due);
  assert.equal(timers(), 1);
  env.pass(250);
  assert.ok(!machine.handled.includes("timer"), "nothing was due");
  env.pass(50);
  assert.equal(machine.handled.at(-1), "timer");
  await feed(1000);
  await feed(500);
  env.pass(200);
  assert.equal(machine.handled.at(-1), "timer", "an earlier deadline is kept, too");
});

test("a deadline that ends before the page has answered sets no timer", async () => {
  const { runner, machine, feed, timers } = rig();
  machine.due = 1;
  runner.feed({ type: "offline" });
  // Runs in the microtask after the step, like the page's code after a promise of the step.
  queueMicrotask(() => void feed(Infinity));
  await Promise.resolve()
    .then(() => {})
    .then(() => {})
    .then(() => {});
  assert.equal(timers(), 0);
});

test("a stopped runner fires no timer", async () => {
  const { env, runner, machine, feed } = rig();
  await feed(100);
  runner.feed({ type: "offline" });
  machine.due = 50;
  runner.flush();
  runner.stop();
  await Promise.resolve();
  env.pass(200);
  assert.ok(!machine.handled.includes("timer"));
});
