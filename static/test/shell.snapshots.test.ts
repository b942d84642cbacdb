// Tests how the shell sends snapshots, which may be large.

import assert from "node:assert/strict";
import { test } from "node:test";
import { PageCallbacks } from "../src/page-callbacks.ts";
import { FakeEnv, FakePage } from "./rig.ts";
import { rig } from "./shell.rig.ts";

const nowhere = {
  t: "at",
  e: 5,
  at: { r: 0, e: 0, s: 0, done: 0, base: 0, line: [], snap: false, stale: false, age: 0 },
};

/**
 * Returns a host with a state of 2 MB, and a member that waits for it on a channel that is full.
 */
async function stuffed() {
  const made = rig();
  const { env, shell, alone, link, page } = made;
  page.onSnapshot = () => "x".repeat(2 << 20);
  shell.callbacksChanged("");
  env.last.says({ type: "OPEN", payload: alone });
  env.last.says({ type: "JOIN", src: "you", payload: { id: "you", group: 2 } });
  const toYou = link("you");
  await env.settle();
  toYou.raw.bufferedAmount = 300 << 10;
  const pieces = (): string[] => toYou.sent.filter((frame) => frame.startsWith("c"));
  return { ...made, toYou, pieces };
}

test("a waiting snapshot is dropped when the host changes, by HOST or OPEN, or its receiver leaves", async () => {
  const payload = {
    host: "him",
    epoch: 9,
    cause: "left",
    members: 3,
    p2p: true,
    relay: { maxMessageBytes: 65_536 },
    resumeMs: 30_000,
  };
  for (const end of ["HOST", "OPEN", "LEAVE"]) {
    for (const way of ["p2p", "relay"]) {
      const { env, toYou, pieces } = await stuffed();
      const relayed = (): number => env.last.sent.filter((frame) => frame.includes('"of":')).length;
      if (way === "p2p") toYou.happens("data", JSON.stringify(nowhere));
      else {
        toYou.happens("close");
        env.last.says({ type: "RELAY", src: "you", payload: nowhere });
      }
      await env.settle();
      const before = relayed();
      assert.equal(before > 0, way === "relay");
      env.last.says(end === "LEAVE" ? { type: "LEAVE", src: "you" } : { type: end, payload });
      await env.settle();
      toYou.raw.bufferedAmount = 0;
      toYou.drain();
      // These echoes would let the rest of the snapshot pass.
      for (let i = 0; i < 20; i++)
        env.last.says({ type: "RELAY", src: "you", payload: { r: "e", n: 1e6 } });
      for (const { payload } of env.last.sent.map(
        (text) => JSON.parse(text) as { payload?: { r?: string; n?: number } },
      ))
        if (payload?.r === "m")
          env.last.says({ type: "RELAY", src: "you", payload: { r: "e", n: payload.n } });
      await env.settle();
      assert.deepEqual([pieces().length, relayed()], [0, before], `${end}, ${way}`);
    }
  }
});

test("a host that is told its own epoch again goes on sending a snapshot", async () => {
  const { env, alone, toYou, pieces } = await stuffed();
  toYou.happens("data", JSON.stringify(nowhere));
  await env.settle();
  const before = pieces().length;
  const { host, epoch, roster } = alone;
  const payload = { host, epoch, cause: "restarted", roster: [...roster, { id: "you", group: 2 }] };
  env.last.says({ type: "HOST", payload });
  await env.settle();
  toYou.raw.bufferedAmount = 0;
  toYou.drain();
  await env.settle();
  assert.ok(pieces().length > before);
});

test("only one snapshot is under way to a member, however often and by whichever path it asks", async () => {
  const { env, toYou } = await stuffed();
  for (let s = 0; s < 20; s++) {
    if (s % 2 === 0) toYou.happens("data", JSON.stringify(nowhere));
    else env.last.says({ type: "RELAY", src: "you", payload: nowhere });
    await env.settle();
    env.pass(1000);
    toYou.happens("data", "q0");
    await env.settle();
  }
  // After a silence the member asks over the relay as well.
  env.pass(3000);
  env.last.says({ type: "RELAY", src: "you", payload: nowhere });
  await env.settle();
  toYou.raw.bufferedAmount = 0;
  toYou.drain();
  const pieces = toYou.sent
    .filter((frame) => frame.startsWith("c"))
    .map((frame) => frame.split(",")[0]);
  assert.ok(
    pieces.length > 100 && new Set(pieces).size === 1,
    `${pieces.length} pieces of ${new Set(pieces).size}`,
  );
  assert.ok(!env.last.sent.some((frame) => frame.includes('"of":')), "the same over the relay");
});

test("a snapshot that goes over the relay is not sent over a new channel as well", async () => {
  const { env, shell, alone, link, page } = rig();
  page.onSnapshot = () => "x".repeat(2 << 20);
  shell.callbacksChanged("");
  env.last.says({ type: "OPEN", payload: alone });
  env.last.says({ type: "JOIN", src: "you", payload: { id: "you", group: 2 } });
  env.last.says({ type: "RELAY", src: "you", payload: nowhere });
  await env.settle();
  assert.ok(env.last.sent.some((frame) => frame.includes('"of":')));
  const toYou = link("you");
  await env.settle();
  env.pass(1500);
  toYou.happens("data", JSON.stringify(nowhere));
  await env.settle();
  assert.ok(!toYou.sent.some((frame) => frame.startsWith("c")));
});

test("a state too large to be reassembled is refused and reported", async (t) => {
  const reported = t.mock.method(console, "error", () => {});
  for (const [quotes, given] of [
    [9 << 20, true],
    [11 << 20, false],
  ] as const) {
    const fed: unknown[] = [];
    const page = new FakePage();
    page.onSnapshot = () => '"'.repeat(quotes);
    const callbacks = new PageCallbacks(
      new FakeEnv(),
      page,
      () => {},
      (event) => fed.push(event.type === "snapshot" && event.given),
    );
    callbacks.perform({ type: "askSnapshot", token: 1 });
    assert.deepEqual(fed, [given]);
  }
  assert.match(
    String(reported.mock.calls[0]?.arguments[1]),
    /a state may have 41943040 characters of JSON .* and this has 46137\d+/,
  );
});
