// Tests the end of a group: `leave`, refusals, and a page that is closed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Shell } from "../src/shell.ts";
import { FakeEnv, FakePage } from "./rig.ts";
import { rig } from "./shell.rig.ts";

test("a group that is left before its start never dials", async () => {
  const env = new FakeEnv();
  const { shell } = rig();
  shell.leave();
  shell.start();
  assert.equal(env.sockets.length, 0);
});

test("a refusal rejects waiting sends, is reported, and ends the group", async () => {
  const { env, shell, story } = rig();
  const waiting = shell.send("", 1).catch((error: { code: string }) => error.code);
  env.last.ends(4426, "unknown-version");
  await env.settle();
  assert.equal(await waiting, "Refused");
  assert.equal(await shell.send("", 2).catch((error: { code: string }) => error.code), "Refused");
  assert.deepEqual(
    story.filter((line) => /error|closed \d/.test(line)),
    [
      "error Refused",
      "closed 4426 This page's version of the library is not this server's: reload the page.",
    ],
  );
});

test("a kicked page, or one with an expired ticket, is told so and does not come back", async () => {
  for (const [code, told, reason] of [
    [4411, "the operator of the server ended this connection", /^the operator/],
    [4507, "the ticket has run out", /^The ticket has run out.*function/],
  ] as const) {
    const { env, story, words, alone } = rig({ ticket: "fixed" });
    env.last.says({ type: "OPEN", payload: alone });
    env.last.says({ type: "ERROR", payload: { msg: told, code, retry: code >= 4500 } });
    env.last.ends(code);
    env.pass(60_000);
    await env.settle();
    assert.equal(env.sockets.length, 1);
    assert.equal(story.filter((line) => line === "error Refused").length, 1);
    assert.match(words.at(-1)?.replace("The server does not let this page in: ", "") ?? "", reason);
  }
});

test("leave() rejects waiting sends with Closed and sends LEAVE; nothing follows", async () => {
  const { env, shell, story, alone } = rig();
  env.last.says({ type: "OPEN", payload: { ...alone, host: "you", members: 2 } });
  await env.settle();
  const waiting = shell.send("", 1).catch((error: { code: string }) => error.code);
  await env.settle();
  shell.leave();
  shell.leave();
  assert.equal(await waiting, "Closed");
  assert.equal(env.last.sent.at(-1), '{"type":"LEAVE"}');
  assert.equal(env.last.closedWith, 1000);
  assert.deepEqual(story.slice(-2), ["closed (no server)", "closed 1000 left"]);
});

test("a page that is closed in the middle of a step says goodbye at once, and only once", async () => {
  const env = new FakeEnv();
  env.alive = true;
  const leaves = (): number => env.last.types().filter((type) => type === "LEAVE").length;
  const seen: number[] = [];
  const page = new FakePage();
  const shell = new Shell(env, { id: "me", profile: undefined, p2p: false }, page, () => {});
  page.onMessage = () => {
    // leave() alone would wait for the end of the step, which never comes where Firefox stops the
    // script.
    shell.leaveNow();
    seen.push(leaves());
    shell.leaveNow();
  };
  shell.start();
  env.last.says({
    type: "OPEN",
    payload: {
      host: "me",
      epoch: 5,
      members: 1,
      roster: [{ id: "me", group: 2 }],
      p2p: true,
      relay: { maxMessageBytes: 65_536, maxBytesPerS: 0 },
      resumeMs: 30_000,
      pingMs: 5000,
    },
  });
  shell.send("", "x").catch(() => {});
  await env.settle();
  assert.deepEqual([seen, leaves(), env.beacons], [[1], 1, []]);
});

test("leave() in a listener ends the deliveries, and delivered sends resolve", async () => {
  const env = new FakeEnv();
  // A host that is alone asks the server before it delivers anything.
  env.alive = true;
  const heard: unknown[] = [];
  const page = new FakePage();
  const shell = new Shell(env, { id: "me", profile: undefined, p2p: false }, page, () => {});
  page.onMessage = (data) => {
    heard.push(data);
    shell.leave();
  };
  shell.start();
  const settled = Promise.allSettled(["a", "b", "c"].map((word) => shell.send("", word)));
  env.last.says({
    type: "OPEN",
    payload: { host: "me", epoch: 1, members: 1, roster: [], relay: false, resumeMs: 30_000 },
  });
  await env.settle();
  assert.deepEqual([heard, page.story.at(-1)], [["a"], "closed 1000 left"]);
  // All three were delivered in one step. The page did not get the other two because it left.
  assert.deepEqual(
    (await settled).map(({ status }) => status),
    ["fulfilled", "fulfilled", "fulfilled"],
  );
});

test("leave() does not wait for onSnapshot, and nothing follows the end", async () => {
  const { env, shell, story, alone, page } = rig();
  let give = (_state: unknown): void => {};
  page.onSnapshot = () => new Promise((resolve) => (give = resolve));
  shell.callbacksChanged("");
  env.last.says({ type: "OPEN", payload: alone });
  await env.settle();
  env.last.says({ type: "JOIN", src: "you", payload: { id: "you", group: 2 } });
  env.last.says({
    type: "RELAY",
    src: "you",
    payload: {
      t: "at",
      e: 5,
      at: { r: 0, e: 0, s: 0, done: 0, base: 0, line: [], snap: false, stale: false, age: 0 },
    },
  });
  await env.settle();
  const waiting = shell.send("", "x").catch((error: { code: string }) => error.code);
  env.last.says({
    type: "RELAY",
    src: "you",
    payload: { t: "ack", e: 5, at: { r: 5, e: 5, s: 2 }, gap: false, k: 9 },
  });
  await env.settle();
  story.splice(0);
  shell.leave();
  assert.deepEqual(story, ["left", "closed (no server)", "closed 1000 left"]);
  assert.equal(await waiting, "Closed");
  give([]);
  await env.settle();
  assert.deepEqual(story.slice(3), []);
});
