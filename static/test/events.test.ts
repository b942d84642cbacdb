import assert from "node:assert/strict";
import { test } from "node:test";
import { CallbackQueue } from "../src/callback-queue.ts";
import { Emitter } from "../src/events.ts";

test("a listener that throws or rejects is reported and does not stop the others", async (t) => {
  const reported = t.mock.method(console, "error", () => {});
  const emitter = new Emitter<{ say: [word: string] }>();
  const heard: string[] = [];
  emitter.on("say", () => {
    throw new Error("at once");
  });
  emitter.on("say", (async () => {
    await Promise.resolve();
    throw new Error("later");
  }) as () => void);
  emitter.on("say", (word) => heard.push(word));
  emitter.emit("say", "hello");
  await new Promise((done) => setImmediate(done));
  assert.deepEqual(heard, ["hello"]);
  assert.equal(reported.mock.callCount(), 2);
});

test("listeners can be added and removed while listeners run", () => {
  const emitter = new Emitter<{ say: [] }>();
  let calls = 0;
  const once = (): void => {
    calls++;
    emitter.off("say", once);
    emitter.on("say", () => calls++);
  };
  emitter.on("say", once);
  emitter.emit("say");
  assert.equal(calls, 1);
  emitter.emit("say");
  assert.equal(calls, 2);
});

test("the callback queue waits for a job that returns a promise, and goes on after a job that fails", async (t) => {
  t.mock.method(console, "error", () => {});
  const queue = new CallbackQueue();
  const done: number[] = [];
  let finish = (): void => {};
  queue.push(() => void done.push(1));
  queue.push(() => new Promise<void>((resolve) => (finish = resolve)));
  queue.push(() => void done.push(2));
  queue.push(() => Promise.reject(new Error("no")));
  queue.push(() => {
    throw new Error("no");
  });
  queue.push(() => void done.push(3));
  assert.deepEqual(done, [1]);
  finish();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(done, [1, 2, 3]);
});
