// After an outage the library asks the server over HTTP and dials a WebSocket only when somebody
// answers.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ServerSocket } from "../src/socket.ts";
import { FakeEnv } from "./rig.ts";

const URL = "https://server/path/health";
/** Longest wait between two requests. */
const PAUSE_MS = 3_000;

function rig() {
  const env = new FakeEnv();
  const story: string[] = [];
  const address = {
    routes: () => ({ health: URL, leave: "http://server/leave" }),
    url: () => "wss://server/path/peerjs",
  };
  const socket = new ServerSocket(env, address, {
    message: ({ type }) => story.push(type),
    lost: () => story.push("lost"),
    ended: ({ code, reason }) => story.push(`ended ${code} ${reason}`),
    proved() {},
    failed: ({ times, why, late }) =>
      story.push(`failed ${times}${why && `: ${why}`}${late ? " (late)" : ""}`),
  });
  socket.dial();
  return { env, socket, story };
}

/** Returns a rig whose connection lasted long enough to count, and was then cut. */
function lost() {
  const all = rig();
  all.env.last.opens();
  all.env.pass(3_000);
  all.env.last.ends(1006);
  return all;
}

/** Returns the same rig on a page where the route has answered before. */
function lostAgain() {
  const all = lost();
  all.env.pass(200);
  all.env.last.opens();
  all.env.pass(3_000);
  all.env.last.ends(1006);
  all.story.splice(0);
  return all;
}

/** Lets `ms` pass in which every dial fails at once. */
function refuse(env: FakeEnv, ms: number): void {
  for (let passed = 0; passed < ms; passed += 50) {
    if (env.last.readyState === 0) env.last.ends(1006);
    env.pass(50);
  }
}

test("the first dial asks no route", () => {
  const { env } = rig();
  assert.equal(env.sockets.length, 1);
  assert.equal(env.probes.length, 0);
});

test("after a lost connection the server is asked and dialled as soon as it answers", () => {
  const { env, story } = lost();
  env.health = undefined;
  env.pass(200);
  assert.deepEqual(
    env.probes.map(({ url }) => url),
    [URL],
  );
  assert.equal(env.sockets.length, 1);
  env.probes[0]?.answer("there");
  assert.equal(env.sockets.length, 2);
  env.last.opens();
  assert.deepEqual(story, ["OPEN", "lost", "OPEN"]);
});

test("a server that does not answer is asked with growing waits and not dialled", () => {
  const { env, story } = lostAgain();
  env.health = "nothing";
  const [dials, asked] = [env.sockets.length, env.probes.length];
  env.pass(180_000);
  assert.equal(env.sockets.length, dials);
  const times = env.probes.length - asked;
  assert.ok(times >= 180_000 / PAUSE_MS && times < 100, `${times}`);
  assert.equal(story.filter((line) => line.startsWith("failed")).length, times);
  env.health = "there";
  env.pass(PAUSE_MS);
  assert.equal(env.sockets.length, dials + 1);
});

test("the waits differ from page to page", () => {
  const pauses = [0, 0.5, 0.99].map((chance) => {
    const { env } = lost();
    Object.assign(env, { chance, health: "nothing" });
    env.pass(60_000);
    return env.probes.length;
  });
  assert.equal(new Set(pauses).size, 3, `${pauses}`);
});

test("a failed dial is followed by a request, a refusal in words by a dial", () => {
  const { env } = rig();
  env.last.ends(1006);
  env.pass(200);
  assert.deepEqual([env.probes.length, env.sockets.length], [1, 2]);
  env.last.says({ type: "ERROR", payload: { msg: "full", code: 4503, retry: true } });
  env.last.ends(4503);
  env.pass(3_000);
  assert.deepEqual([env.probes.length, env.sockets.length], [1, 3]);
});

test("dials without asking if the browser closed the connection itself, as Firefox does for a download", () => {
  const { env } = rig();
  env.last.opens();
  env.pass(3_000);
  env.last.ends(1001);
  env.pass(200);
  assert.deepEqual([env.probes.length, env.sockets.length], [0, 2]);
});

test("after each of several downloads the next dial waits a little and stays within the server's grace", () => {
  const { env } = rig();
  for (let downloads = 1; downloads < 20; downloads++) {
    env.last.opens();
    env.last.ends(1001);
    env.pass(74);
    assert.equal(env.sockets.length, downloads);
    env.pass(400 - 74);
    assert.equal(env.sockets.length, downloads + 1);
  }
});

test("a server that answers but accepts no WebSocket is dialled with growing waits; each failure is reported", () => {
  const { env, story } = lost();
  refuse(env, 60_000);
  const dials = env.sockets.length - 1;
  assert.ok(dials >= 12 && dials < 30, `${dials}`);
  assert.equal(story.filter((line) => line.startsWith("failed")).length, dials);
});

test("a delayed dial goes on for up to 30 s while the server answers", () => {
  const { env, story } = lost();
  env.pass(200);
  assert.equal(env.sockets.length, 2);
  env.pass(29_000);
  assert.deepEqual([env.sockets.length, env.last.closedWith], [2, undefined]);
  assert.deepEqual(story.slice(2), [
    "failed 1: no answer yet (late)",
    "failed 2: no answer yet (late)",
  ]);
  env.pass(1_000);
  assert.equal(env.sockets[1]?.closedWith, 4000);
  env.pass(1_000);
  assert.equal(env.sockets.length, 3);
});

test("a dial that hangs is given up after 10 s if the server does not answer", () => {
  const { env } = lost();
  env.pass(200);
  env.health = "nothing";
  env.pass(10_000);
  assert.equal(env.sockets[1]?.closedWith, 4000);
});

test("a dial that opens during a request stays open", () => {
  const { env, story } = lost();
  env.pass(200);
  env.health = undefined;
  env.pass(10_000);
  env.last.opens();
  assert.ok(env.probes.at(-1)?.aborted);
  env.last.alive = true;
  env.pass(10_000);
  assert.deepEqual([env.sockets.length, story.at(-1)], [2, "OPEN"]);
});

test("a request without answer ends after 8 s and is reported", () => {
  const { env, story } = lostAgain();
  env.health = undefined;
  env.pass(8_200);
  assert.ok(env.probes[1]?.aborted);
  assert.deepEqual(story, [`failed 1: GET ${URL} was not answered within 8 s`]);
});

test("an error of a proxy is reported and does not count as the server", () => {
  const { env, story } = lost();
  env.health = undefined;
  env.pass(200);
  env.probes[0]?.answer("nothing", `GET ${URL} is answered 502`);
  assert.deepEqual([env.sockets.length, story.at(-1)], [1, `failed 1: GET ${URL} is answered 502`]);
});

test("wake asks at once, and repeats a request that hangs", () => {
  const { env, socket } = lost();
  env.health = "nothing";
  env.pass(4_000);
  env.health = undefined;
  const before = env.probes.length;
  socket.wake();
  assert.equal(env.probes.length, before + 1);
  env.pass(1_000);
  socket.wake();
  assert.equal(env.probes.length, before + 1, "that question is under way");
  env.pass(1_500);
  socket.wake();
  assert.equal(env.probes.length, before + 2, "it hangs");
  env.probes.at(-1)?.answer("there");
  assert.equal(env.sockets.length, 2);
});

test("a page that leaves or pauses during a request does not dial", () => {
  for (const end of ["leave", "pause"] as const) {
    const { env, socket } = lost();
    env.health = undefined;
    env.pass(200);
    socket[end]();
    env.probes[0]?.answer("there");
    env.pass(60_000);
    assert.equal(env.sockets.length, 1, end);
  }
});

test("a page whose policy forbids the request dials without it", () => {
  const { env } = lost();
  env.health = "blocked";
  env.pass(200);
  assert.equal(env.sockets.length, 2);
  refuse(env, 60_000);
  assert.equal(env.probes.length, 1);
  assert.ok(env.sockets.length >= 12);
});

test("an unreadable answer allows one dial, and more after it let the page in", () => {
  const { env } = lost();
  env.health = "nothing";
  env.pass(4_000);
  env.health = "hidden";
  env.pass(PAUSE_MS);
  assert.equal(env.sockets.length, 2, "somebody is there again");
  env.last.ends(1006);
  env.pass(6_000);
  assert.equal(env.sockets.length, 2, "a proxy without a server");
  const later = lost();
  later.env.health = "hidden";
  later.env.pass(200);
  later.env.last.opens();
  later.env.pass(3_000);
  later.env.last.ends(1006);
  refuse(later.env, 30_000);
  assert.ok(later.env.sockets.length > 6, "that is how this server answers here");
});

test("without any answer dials are rare, and a page that gets in asks no more", () => {
  const { env } = lost();
  env.health = "nothing";
  refuse(env, 60_000);
  assert.ok(env.sockets.length >= 2 && env.sockets.length <= 4, `${env.sockets.length}`);
  // Firefox forgets a failed WebSocket after 60 s, and with it the delay.
  refuse(env, 600_000);
  assert.ok(env.sockets.length <= 4 + 600_000 / 75_000, `${env.sockets.length}`);
  for (let passed = 0; passed < 120_000 && env.last.readyState !== 0; passed += 50) env.pass(50);
  env.last.opens();
  env.pass(3_000);
  const asked = env.probes.length;
  env.last.ends(1006);
  env.pass(200);
  assert.equal(env.last.readyState, 0);
  assert.equal(env.probes.length, asked);
});

test("a server that came back between request and dial is asked again in the next outage", () => {
  const { env } = lost();
  env.health = "nothing";
  for (let passed = 0; passed < 10_000 && env.sockets.length === 1; passed += 50) env.pass(50);
  env.health = "there";
  env.last.opens();
  env.pass(3_000);
  env.health = undefined;
  env.last.ends(1006);
  env.pass(200);
  assert.equal(env.sockets.length, 2);
  env.probes.at(-1)?.answer("there");
  assert.equal(env.sockets.length, 3);
});
