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

test("a listener with `once` is called once, also if it causes the event again", () => {
  const emitter = new Emitter<{ say: [] }>();
  let calls = 0;
  emitter.on(
    "say",
    () => {
      calls++;
      emitter.emit("say");
    },
    { once: true },
  );
  emitter.emit("say");
  emitter.emit("say");
  assert.equal(calls, 1);
});

test("a signal removes its listeners, and a listener that is gone leaves the signal alone", () => {
  const emitter = new Emitter<{ say: [word: string] }>();
  const heard: string[] = [];
  const controller = new AbortController();
  const { signal } = controller;
  let waiting = 0;
  for (const name of ["addEventListener", "removeEventListener"] as const) {
    const stock = signal[name].bind(signal) as (...args: unknown[]) => void;
    Object.defineProperty(signal, name, {
      value: (...args: unknown[]) => {
        waiting += name === "addEventListener" ? 1 : -1;
        stock(...args);
      },
    });
  }
  const removed = (word: string): void => void heard.push(`removed ${word}`);
  emitter.on("say", (word) => heard.push(word), { signal });
  emitter.on("say", (word) => heard.push(`once ${word}`), { signal, once: true });
  emitter.on("say", removed, { signal });
  emitter.off("say", removed);
  emitter.emit("say", "a");
  assert.equal(waiting, 1);
  controller.abort();
  emitter.on("say", (word) => heard.push(`late ${word}`), { signal });
  emitter.emit("say", "b");
  assert.deepEqual(heard, ["a", "once a"]);
});
