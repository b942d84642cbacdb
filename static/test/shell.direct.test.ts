// Tests messages and requests to one member, as the application makes and gets them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LocalChannel } from "../src/channels/channel.ts";
import type { FakeEnv } from "./rig.ts";
import { rig } from "./shell.rig.ts";

/** Returns a rig whose page is open, alone. */
async function opened() {
  const made = rig();
  made.env.last.says({ type: "OPEN", payload: made.alone });
  await made.env.settle();
  return made;
}

/** Lets time pass in small steps, so that each timer can set the next one. */
async function passing(env: FakeEnv, ms: number): Promise<void> {
  for (let i = 0; i < ms; i += 250) {
    env.pass(250);
    await env.settle();
  }
}

/** Returns the outcome of a promise in a word. */
async function outcome(promise: Promise<unknown>): Promise<string> {
  try {
    return `= ${JSON.stringify(await promise)}`;
  } catch (error) {
    const { code, name, message } = error as { code?: string; name: string; message: string };
    return typeof code === "string" ? `${code}: ${message}` : name;
  }
}

test("a message goes to the listeners of its channel, bytes included", async () => {
  const { env, shell, page } = await opened();
  const chat = new LocalChannel();
  const heard: unknown[] = [];
  chat.events.on("direct", (data, { from }) => heard.push(data, from));
  shell.openChannel("chat", chat);
  const sent = Promise.all([
    shell.sendTo("chat", "me", { x: new Uint8Array([1]) }),
    shell.sendTo("", "me", "of the group"),
    shell.sendTo("nobody opened this", "me", 1),
  ]);
  await env.settle();
  await sent;
  assert.deepEqual(heard, [{ x: new Uint8Array([1]) }, "me"]);
  assert.equal(page.events.filter(({ name }) => name === "direct").length, 1);
});

test("a request is answered by the handler of its channel", async () => {
  const { env, shell } = await opened();
  const remove = shell.handle("", (data, { from }) => `${data as string} of ${from}`);
  shell.handle("chat", async () => new Uint8Array([2]));
  const asked = [
    shell.request("", "me", "request"),
    shell.request("chat", "me", 1),
    shell.request("board", "me", 1),
  ];
  const outcomes = asked.map(outcome);
  await env.settle();
  assert.equal(await outcomes[0], '= "request of me"');
  assert.deepEqual(await asked[1], new Uint8Array([2]));
  assert.match((await outcomes[2]) ?? "", /^NoHandler: /);
  remove();
  const late = outcome(shell.request("", "me", 1));
  await env.settle();
  assert.match(await late, /^NoHandler: /);
});

test("a handler that fails rejects the request with its words, never with its stack", async () => {
  const { env, shell } = await opened();
  const failures: readonly (() => unknown)[] = [
    () => {
      throw new Error("no");
    },
    () => Promise.reject(new TypeError("not now")),
    () => {
      throw "words";
    },
    () => Promise.reject(undefined),
    () => new Map(),
    () => "x".repeat(1 << 21),
    () => undefined,
  ];
  const outcomes: string[] = [];
  for (const fail of failures) {
    shell.handle("", fail);
    const one = outcome(shell.request("", "me", 1));
    await env.settle();
    outcomes.push(await one);
  }
  assert.deepEqual(outcomes.slice(0, 4), [
    "Rejected: no",
    "Rejected: not now",
    "Rejected: words",
    "Rejected: The other page refused the request.",
  ]);
  assert.match(outcomes[4] ?? "", /^Rejected: Map cannot be sent/);
  assert.match(outcomes[5] ?? "", /^Rejected: the answer is larger than 1 MiB/);
  assert.equal(outcomes[6], "= undefined");
});

test("errors of these calls raise no `error` event", async () => {
  const { env, shell, story } = await opened();
  const outcomes = [
    outcome(shell.sendTo("", "nobody", 1)),
    outcome(shell.sendTo("", "me", "x".repeat((1 << 20) + 1))),
    outcome(shell.request("", "nobody", 1)),
    outcome(shell.sendTo("", 5 as unknown as string, 1)),
    outcome(shell.sendTo("", "me", () => {})),
    outcome(shell.request("", "me", 1, { timeoutMs: -1 })),
    outcome(shell.request("", "me", 1, { timeoutMs: Number.NaN })),
  ];
  await env.settle();
  const words = await Promise.all(outcomes);
  assert.deepEqual(
    words.map((word) => word.split(":")[0]),
    ["Gone", "TooLarge", "Gone", "TypeError", "TypeError", "RangeError", "RangeError"],
  );
  assert.deepEqual(
    story.filter((line) => line.startsWith("error")),
    [],
  );
});

test("a request times out, and its handler is told", async () => {
  const { env, shell } = await opened();
  let aborted = false;
  shell.handle("", (_, { signal }) => {
    signal.addEventListener("abort", () => (aborted = true));
    return new Promise(() => {});
  });
  const ten = outcome(shell.request("", "me", 1));
  const one = outcome(shell.request("", "me", 1, { timeoutMs: 1000 }));
  await env.settle();
  await passing(env, 1250);
  assert.match(await one, /^Timeout: /);
  await passing(env, 9250);
  assert.match(await ten, /^Timeout: /);
  assert.ok(aborted);
});

test("a call that is aborted rejects with the reason of its signal", async () => {
  const { env, shell } = await opened();
  const controller = new AbortController();
  const { signal } = controller;
  let wasTold = false;
  shell.handle("", (_, about) => {
    about.signal.addEventListener("abort", () => (wasTold = true));
    return new Promise(() => {});
  });
  const asked = outcome(shell.request("", "me", 1, { signal }));
  await env.settle();
  controller.abort();
  await env.settle();
  assert.deepEqual([await asked, wasTold], ["AbortError", true]);
  assert.equal(await outcome(shell.sendTo("", "me", 1, { signal })), "AbortError");
});

test("after the end all calls are rejected with what ended the group", async () => {
  const { env, shell } = await opened();
  shell.handle("", () => new Promise(() => {}));
  const asked = outcome(shell.request("", "me", 1));
  await env.settle();
  shell.leave();
  await env.settle();
  assert.match(await asked, /^Closed: /);
  assert.match(await outcome(shell.sendTo("", "me", 1)), /^Closed: /);
});

test("answers wait for no callback of the page", async () => {
  const { env, shell, page, sent } = await opened();
  const says = async (payload: object, src = "b"): Promise<void> => {
    env.last.says({ type: "RELAY", src, payload });
    await env.settle();
  };
  const standing = {
    ...{ r: 0, e: 0, s: 0, done: 0, base: 0, line: [] },
    ...{ snap: false, stale: false, age: 0 },
  };
  const joins = async (id: string): Promise<void> => {
    env.last.says({ type: "JOIN", payload: { id, group: 2 } });
    await env.settle();
    await says({ t: "at", e: 5, at: standing, can: ["channels", "direct"] }, id);
  };
  await joins("b");
  await passing(env, 1000);
  const beat = sent("RELAY").findLast((one) => (one as { t?: string }).t === "beat");
  const { at } = beat as { at: object };
  await says({ t: "ack", e: 5, at, gap: false, k: 1 });
  assert.ok(shell.members.has("b"));
  let isAsked = false;
  page.onSnapshot = () => {
    isAsked = true;
    return new Promise(() => {});
  };
  shell.callbacksChanged("");
  await env.settle();
  await joins("c");
  assert.ok(isAsked, "a callback of the page is at work, and does not end");
  const asked = outcome(shell.request("", "b", "time?"));
  await env.settle();
  const lines = (): { t?: string; key?: number; x?: { q: number }[] }[] =>
    sent("RELAY") as { t?: string; key?: number; x?: { q: number }[] }[];
  const hello = lines().find(({ t }) => t === "direct");
  assert.ok(hello?.key, "the member is asked for its key");
  await says({ t: "got", e: 5, life: 0, key: 7, asked: hello.key, n: 0 });
  const request = lines().find(({ t, x }) => t === "direct" && x?.length === 1);
  assert.ok(request?.x?.[0], "the request goes out");
  await says({ t: "reply", e: 5, life: 0, q: request.x[0].q, d: 'or0:+"noon"', z: 6 });
  assert.equal(await asked, '= "noon"');
});
