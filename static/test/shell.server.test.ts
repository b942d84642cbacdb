// Tests what the shell tells the server, and what it does with the server's messages.

import assert from "node:assert/strict";
import { test } from "node:test";
import { rig } from "./shell.rig.ts";

test("STATUS follows every OPEN and every change of visibility; the claim is what the server last told", async () => {
  const { env, shell, alone, sent, claims, page } = rig();
  env.last.says({ type: "OPEN", payload: alone });
  await env.settle();
  page.visible = false;
  shell.visibilityChanged();
  assert.deepEqual(sent("STATUS").at(-1), { visible: false });
  env.last.ends(1006);
  env.pass(200);
  env.last.says({ type: "OPEN", payload: { ...alone, recovering: true } });
  await env.settle();
  assert.deepEqual(sent("STATUS"), [{ eligible: true, visible: false, relay: true }]);
  assert.deepEqual(claims, [undefined, { epoch: 5, host: "me" }]);
});

test("a new profile is sent at once, or after the next OPEN if the WebSocket is closed", async () => {
  const { env, shell, alone, sent } = rig({ profile: { name: "Ann" } });
  env.last.says({ type: "OPEN", payload: alone });
  await env.settle();
  shell.setProfile({ name: "Anne" });
  await env.settle();
  assert.deepEqual(sent("STATUS").at(-1), { profile: { name: "Anne" } });
  assert.deepEqual(shell.profile, { name: "Anne" });
  env.last.ends(1006);
  shell.setProfile({ name: "Annie" });
  env.pass(200);
  env.last.says({ type: "OPEN", payload: alone });
  await env.settle();
  assert.deepEqual(sent("STATUS"), [
    { eligible: true, visible: true, relay: true, profile: { name: "Annie" } },
  ]);
});

test("the limit of a profile is 1 KB until the server tells another with OPEN", () => {
  const { env, shell, alone } = rig();
  assert.equal(shell.profileBytes, 1024);
  env.last.says({ type: "OPEN", payload: { ...alone, profileBytes: 4096 } });
  assert.equal(shell.profileBytes, 4096);
});

test("signalling waits for the next WebSocket, up to the server's limit", async () => {
  const { env, shell, alone, sent } = rig();
  env.last.says({ type: "OPEN", payload: alone });
  env.last.ends(1006);
  shell.signal({ type: "OFFER", dst: "old", payload: { n: 1 } });
  env.freeze(6000);
  shell.signal({ type: "OFFER", dst: "you", payload: { n: 2 } });
  env.pass(200);
  env.last.says({ type: "OPEN", payload: alone });
  await env.settle();
  assert.deepEqual(sent("OFFER"), [{ n: 2 }]);
});

test("ICE servers come with OPEN and with ICE", async () => {
  const { env, ices, alone } = rig();
  const [one, two, three] = [[{ urls: "stun:1" }], [{ urls: "stun:2" }], [{ urls: "stun:3" }]];
  env.last.says({ type: "OPEN", payload: { ...alone, ice: one } });
  env.last.says({ type: "ICE", payload: { ice: two } });
  env.last.says({ type: "ICE" });
  env.last.ends(1006);
  env.pass(200);
  env.last.says({ type: "OPEN", payload: { ...alone, ice: three } });
  env.last.ends(1006);
  env.pass(200);
  env.last.says({ type: "OPEN", payload: alone });
  assert.deepEqual(ices, [one, two, three]);
});

test("refused ICE servers are reported to the page, which joins all the same", async () => {
  const { env, story, words, page, alone } = rig();
  page.iceProblem = "stun.example.org: no scheme";
  env.last.says({ type: "OPEN", payload: { ...alone, ice: [] } });
  await env.settle();
  assert.ok(story.includes("open"));
  assert.equal(story.filter((line) => line === "error Unreachable").length, 1);
  assert.match(words[0] ?? "", /stun\.example\.org: no scheme/);
  page.iceProblem = "turn:x: no credentials";
  env.last.says({ type: "ICE", payload: { ice: [] } });
  page.iceProblem = undefined;
  env.last.says({ type: "ICE", payload: { ice: [] } });
  assert.equal(words.length, 2);
});

test("signalling waits for as long as the server's expireMs says", async () => {
  const { env, shell, alone, sent } = rig();
  env.last.says({ type: "OPEN", payload: alone });
  env.last.ends(1006);
  shell.signal({ type: "OFFER", dst: "you", payload: { n: 1 } });
  env.freeze(6000);
  env.pass(200);
  env.last.says({ type: "OPEN", payload: { ...alone, expireMs: 20_000 } });
  await env.settle();
  assert.deepEqual(sent("OFFER"), [{ n: 1 }]);
});

test("when a member knows a later host, the WebSocket is checked, or dialled at once if it is closed", async () => {
  const { env, link, claims } = rig();
  env.last.says({
    type: "OPEN",
    payload: {
      host: "you",
      epoch: 5,
      members: 2,
      p2p: true,
      relay: { maxMessageBytes: 65_536 },
      resumeMs: 30_000,
      pingMs: 60_000,
    },
  });
  const toYou = link("you");
  await env.settle();
  const hears = async (): Promise<void> => {
    toYou.happens("data", JSON.stringify({ t: "fence", e: 6, host: "him" }));
    await env.settle();
  };
  env.last.alive = false;
  env.pass(10);
  await hears();
  env.pass(2_600);
  await env.settle();
  assert.equal(env.sockets.length, 2);
  // A member's word does not become a claim.
  assert.deepEqual(claims.at(-1), { epoch: 5, host: "you" });
  // The dials fail. Before the next one is due, a member's message arrives.
  env.chance = 1;
  for (let i = 0; i < 3; i++) {
    env.last.ends(1006);
    env.pass(1_000);
  }
  env.last.ends(1006);
  const dialled = env.sockets.length;
  await hears();
  assert.equal(env.sockets.length, dialled + 1);
});

test("the server is told the open channels to host and deputy, and how long each dial took", async () => {
  const { env, alone, sent, dialled } = rig({ dials: true });
  const open = {
    ...alone,
    host: "you",
    members: 3,
    roster: undefined,
    relay: false,
    deputy: "next",
    fairMs: 9000,
  };
  env.last.says({ type: "OPEN", payload: open });
  await env.settle();
  env.pass(100);
  assert.deepEqual(dialled.map(({ peer }) => peer).sort(), ["next", "you"]);
  env.pass(400);
  dialled.find(({ peer }) => peer === "you")?.opens();
  await env.settle();
  const channels = (): Record<string, number> =>
    (sent("STATUS").at(-1) as { channels: Record<string, number> }).channels;
  assert.deepEqual(Object.keys(channels()), ["you"]);
  assert.ok((channels()["you"] as number) >= 400 && (channels()["you"] as number) <= 500);
  dialled.find(({ peer }) => peer === "next")?.opens();
  await env.settle();
  assert.deepEqual(Object.keys(channels()).sort(), ["next", "you"]);
  env.last.says({ type: "DEPUTY", payload: { deputy: null } });
  await env.settle();
  assert.deepEqual(Object.keys(channels()), ["you"]);
  env.last.says({
    type: "HOST",
    payload: { host: "next", epoch: 6, cause: "left", p2p: true, fairMs: 9000 },
  });
  await env.settle();
  assert.deepEqual(Object.keys(channels()), ["next"], "the channel to a former deputy is kept");
  assert.equal(dialled.length, 2);
});

test("STATUS after OPEN tells the channels; without WebRTC it says that there will be none", async () => {
  const { env, alone, sent, dialled } = rig({ dials: true });
  const open = { ...alone, host: "you", members: 2, roster: undefined };
  env.last.says({ type: "OPEN", payload: open });
  await env.settle();
  env.pass(100);
  dialled[0]?.opens();
  await env.settle();
  env.last.ends(1006);
  env.pass(200);
  env.last.says({ type: "OPEN", payload: open });
  await env.settle();
  assert.deepEqual(Object.keys((sent("STATUS")[0] as { channels: object }).channels), ["you"]);
  const none = rig({ p2p: false });
  none.env.last.says({ type: "OPEN", payload: open });
  await none.env.settle();
  assert.equal((none.sent("STATUS")[0] as { p2p: boolean }).p2p, false);
});

test("TRUST follows SUSPECT when the host is heard again", async () => {
  const { env, shell, alone, sent, link } = rig();
  env.last.says({
    type: "OPEN",
    payload: { ...alone, host: "you", members: 2, roster: undefined },
  });
  await env.settle();
  const you = link("you");
  for (let passed = 0; passed < 1700; passed += 100) {
    env.pass(100);
    await env.settle();
  }
  assert.deepEqual([sent("SUSPECT"), sent("TRUST")], [[{ host: "you", epoch: 5 }], []]);
  you.happens("data", JSON.stringify({ t: "ask", e: 5, cause: "left" }));
  await env.settle();
  assert.deepEqual(sent("TRUST"), [{ host: "you", epoch: 5 }]);
  shell.leave();
});
