import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffMs, isTerminal } from "../src/retry.ts";
import { ServerSocket } from "../src/socket.ts";
import type { Ticket } from "../src/ticket.ts";
import { FakeEnv } from "./rig.ts";

function rig(ticket?: Ticket) {
  const env = new FakeEnv();
  const story: string[] = [];
  let dials = 0;
  const address = {
    ticket,
    routes: () => ({ health: "http://server/health", leave: "http://server/leave" }),
    url: (ticket: string | undefined) =>
      `ws://server/?dial=${++dials}${ticket === undefined ? "" : `&ticket=${ticket}`}`,
  };
  const socket = new ServerSocket(env, address, {
    message: ({ type }) => story.push(type),
    lost: () => story.push("lost"),
    ended: ({ code, reason }) => story.push(`ended ${code} ${reason}`),
    proved: (token) => story.push(`proved ${token}`),
    failed: ({ times, why, late }) =>
      story.push(`failed ${times}${why && `: ${why}`}${late ? " (late)" : ""}`),
  });
  return { env, socket, story };
}

test("close codes say whether to come back", () => {
  for (const code of [1002, 1003, 1007, 1008, 1009, 4400, 4401, 4407, 4409, 4410, 4411, 4426, 4499])
    assert.ok(isTerminal(code), `${code}`);
  for (const code of [
    1000, 1001, 1005, 1006, 1011, 1012, 1013, 4500, 4503, 4504, 4507, 4508, 4509, 4529,
  ])
    assert.ok(!isTerminal(code), `${code}`);
});

test("the wait grows, is never all the same, and has an end", () => {
  assert.ok(backoffMs(0, 0) < backoffMs(0, 0.99));
  assert.ok(backoffMs(0, 0.99) <= 150);
  assert.ok(backoffMs(3, 0) > backoffMs(0, 0.99));
  for (const attempt of [20, 1000])
    assert.ok(backoffMs(attempt, 0.99) <= 5_000 && backoffMs(attempt, 0) >= 2_500);
});

test("a lost socket is dialled again, with the claim as of then, and heard of once", () => {
  const { env, socket, story } = rig();
  socket.dial();
  env.last.opens();
  env.last.ends(1006);
  assert.deepEqual(story, ["OPEN", "lost"]);
  env.pass(200);
  assert.equal(env.sockets.length, 2);
  assert.equal(env.last.url, "ws://server/?dial=2");
  env.last.opens();
  assert.deepEqual(story, ["OPEN", "lost", "OPEN"]);
});

test("failed tries are counted and spaced out", () => {
  const { env, socket, story } = rig();
  socket.dial();
  for (let i = 0; i < 4; i++) {
    env.last.ends(1006);
    env.pass(2000);
  }
  assert.deepEqual(story, ["failed 1", "failed 2", "failed 3", "failed 4"]);
});

test("a socket that stood for long and was found dead is dialled as if it were the first", () => {
  const { env, socket } = rig();
  socket.dial();
  for (let i = 0; i < 10; i++) {
    env.last.ends(1006);
    env.pass(5000);
  }
  env.last.opens();
  for (let i = 0; i < 20; i++) {
    env.pass(5000);
    env.last.says({ type: "HEARTBEAT" });
  }
  env.pass(15_001);
  env.last.ends(1006);
  const before = env.sockets.length;
  env.pass(200);
  assert.equal(env.sockets.length, before + 1);
});

test("a dial that nobody answers is given up", () => {
  const { env, socket, story } = rig();
  env.health = "nothing";
  socket.dial();
  env.pass(10_050);
  assert.deepEqual(story, ["failed 1: no answer (late)"]);
  // Not a goodbye, as no code would be.
  assert.equal(env.sockets[0]?.closedWith, 4000);
  env.health = "there";
  env.pass(1000);
  assert.equal(env.sockets.length, 2);
});

test("a socket that is cut as soon as it is open is not dialled again and again without a pause", () => {
  const { env, socket, story } = rig();
  socket.dial();
  env.last.opens();
  for (let passed = 0; passed < 60_000; passed += 50) {
    if (env.last.readyState === 0) env.last.opens();
    env.last.ends(1006);
    env.pass(50);
  }
  assert.ok(env.sockets.length < 30, `${env.sockets.length}`);
  env.pass(10_000);
  env.last.opens();
  env.pass(3000);
  env.last.ends(1006);
  const before = env.sockets.length;
  env.pass(200);
  assert.equal(env.sockets.length, before + 1, "one that stayed is dialled soon");
  assert.ok(!story.some((line) => line.startsWith("failed")), "each of them was in");
});

test("a terminal close ends it, and nothing is dialled again", () => {
  const { env, socket, story } = rig();
  socket.dial();
  env.last.opens();
  env.last.ends(4410, "replaced");
  env.pass(60_000);
  socket.wake();
  socket.dial();
  assert.deepEqual(story, ["OPEN", "lost", "ended 4410 replaced"]);
  assert.equal(env.sockets.length, 1);
});

test("a reason told in a frame stands in for a close whose code got lost", () => {
  const { env, socket, story } = rig();
  socket.dial();
  env.last.says({ type: "ERROR", payload: { msg: "page is empty", code: 4405, retry: false } });
  env.last.ends(1006);
  assert.deepEqual(story, ["ended 4405 page is empty"]);
});

test("who is told to come back waits as long as told, not all the same time", () => {
  const { env, socket } = rig();
  socket.dial();
  env.last.opens();
  env.last.says({ type: "RESTART", payload: { retryMs: 1000, code: 1012 } });
  env.last.ends(1012, "restart");
  env.pass(1200);
  assert.equal(env.sockets.length, 1);
  env.pass(200);
  assert.equal(env.sockets.length, 2);
});

test("a full server is not hurried", () => {
  const { env, socket } = rig();
  socket.dial();
  env.last.ends(4503, "full");
  env.pass(900);
  assert.equal(env.sockets.length, 1);
  env.pass(1200);
  assert.equal(env.sockets.length, 2);
});

test("heartbeats that are answered keep the socket; silence for twice as long ends it", () => {
  const { env, socket, story } = rig();
  socket.dial();
  env.last.opens();
  const first = env.last;
  for (let i = 0; i < 4; i++) {
    env.pass(5000);
    first.says({ type: "HEARTBEAT" });
  }
  assert.equal(env.sockets.length, 1);
  assert.deepEqual(first.types(), ["HEARTBEAT", "HEARTBEAT", "HEARTBEAT", "HEARTBEAT"]);
  env.pass(15_001);
  assert.deepEqual(story, ["OPEN", "lost"]);
  assert.equal(env.sockets.length, 2);
});

test("a page that slept gives its socket a chance first", () => {
  const { env, socket, story } = rig();
  socket.dial();
  env.last.opens();
  env.freeze(60_000);
  env.pass(0);
  assert.deepEqual(env.last.types(), ["HEARTBEAT"]);
  env.pass(100);
  env.last.says({ type: "HEARTBEAT" });
  env.pass(3000);
  assert.deepEqual(story, ["OPEN"]);
});

test("and if it is dead, dials soon", () => {
  const { env, socket, story } = rig();
  socket.dial();
  env.last.opens();
  env.freeze(60_000);
  env.pass(2600);
  assert.deepEqual(story, ["OPEN", "lost"]);
  assert.equal(env.sockets.length, 2);
});

test("online, or looked at: dials at once instead of waiting", () => {
  const { env, socket } = rig();
  socket.dial();
  for (let i = 0; i < 12; i++) {
    env.last.ends(1006);
    if (i < 11) env.pass(backoffMs(i, env.chance));
  }
  const before = env.sockets.length;
  env.pass(100);
  assert.equal(env.sockets.length, before);
  socket.wake();
  assert.equal(env.sockets.length, before + 1);
  env.pass(1000);
  socket.wake();
  assert.equal(env.sockets.length, before + 1, "that dial is on its way");
  env.pass(1500);
  socket.wake();
  assert.equal(env.sockets.length, before + 2, "it hangs");
});

test("PROBE is answered at once", () => {
  const { env, socket } = rig();
  socket.dial();
  env.last.opens();
  env.last.says({ type: "PROBE", payload: { epoch: 7 } });
  assert.deepEqual(env.last.types(), ["PROBE"]);
});

test("a proof is the answer to that very heartbeat, on that very socket", () => {
  const { env, socket, story } = rig();
  socket.dial();
  env.last.opens();
  env.pass(5000);
  socket.prove(1);
  env.last.says({ type: "HEARTBEAT" });
  assert.deepEqual(story, ["OPEN"]);
  env.last.says({ type: "HEARTBEAT" });
  assert.deepEqual(story, ["OPEN", "proved 1"]);
  socket.prove(2);
  env.last.ends(1006);
  env.pass(200);
  env.last.opens();
  env.last.says({ type: "HEARTBEAT" });
  assert.deepEqual(story, ["OPEN", "proved 1", "lost", "OPEN"]);
});

test("goodbye is said, and the socket closed with 1000", () => {
  const { env, socket } = rig();
  socket.dial();
  env.last.opens();
  socket.leave();
  assert.deepEqual(env.last.types(), ["LEAVE"]);
  assert.equal(env.last.closedWith, 1000);
  env.pass(60_000);
  assert.equal(env.sockets.length, 1);
});

test("a paused one says goodbye as well, and may dial again", () => {
  const { env, socket, story } = rig();
  socket.dial();
  env.last.opens();
  socket.pause();
  assert.deepEqual(env.last.types(), ["LEAVE"]);
  env.pass(60_000);
  socket.wake();
  assert.equal(env.sockets.length, 1);
  socket.dial();
  env.last.opens();
  assert.deepEqual(story, ["OPEN", "lost", "OPEN"]);
});

test("a goodbye without a socket goes over HTTP, once, while the server may be waiting", () => {
  for (const end of ["leave", "pause"] as const) {
    const { env, socket } = rig();
    socket.dial();
    env.last.opens();
    // As Firefox does when a navigation begins.
    env.last.ends(1001);
    socket[end]();
    assert.deepEqual(env.beacons, ["http://server/leave"], end);
    socket.leave();
    assert.equal(env.beacons.length, 1, end);
  }
});

test("a goodbye in the moment in which the browser closes the socket goes over HTTP as well", () => {
  const { env, socket } = rig();
  socket.dial();
  env.last.opens();
  env.last.readyState = 2;
  socket.leave();
  assert.deepEqual([env.last.sent, env.beacons], [[], ["http://server/leave"]]);
});

test("who was never in, or is missed no more, says no goodbye", () => {
  const { env, socket } = rig();
  socket.dial();
  socket.pause();
  socket.dial();
  env.last.opens();
  env.health = "nothing";
  env.last.ends(1006);
  env.pass(60_000);
  socket.leave();
  assert.deepEqual(env.beacons, []);
});

test("what an old socket still says is not heard", () => {
  const { env, socket, story } = rig();
  socket.dial();
  const old = env.last;
  old.opens();
  const { onmessage, onclose } = old;
  socket.redial();
  onmessage?.({ data: '{"type":"HOST"}' });
  onclose?.({ code: 4410, reason: "replaced" });
  assert.deepEqual(story, ["OPEN", "lost"]);
});

test("an address that cannot be dialled ends it with the browser's words", () => {
  const env = new FakeEnv();
  const ends: string[] = [];
  env.dial = () => {
    throw new SyntaxError("insecure");
  };
  const address = {
    routes: () => ({ health: "http://x/health", leave: "http://server/leave" }),
    url: () => "ws://x",
  };
  const listener = {
    message() {},
    lost() {},
    ended: ({ reason }: { reason: string }) => void ends.push(reason),
    proved() {},
    failed() {},
  };
  new ServerSocket(env, address, listener).dial();
  assert.deepEqual(ends, [], "whoever dials must be able to hear of it");
  env.pass(1);
  assert.deepEqual(ends, ["insecure"]);
});

test("a ticket that is a text goes along with every dial, and its end is the end", () => {
  const { env, socket, story } = rig("abc");
  socket.dial();
  assert.equal(env.last.url, "ws://server/?dial=1&ticket=abc");
  env.last.opens();
  env.last.ends(1006);
  env.pass(200);
  assert.equal(env.last.url, "ws://server/?dial=2&ticket=abc");
  env.last.ends(4507, "ticket-expired");
  env.pass(60_000);
  assert.equal(env.sockets.length, 2);
  assert.match(story.at(-1) ?? "", /^ended 4507 The ticket has run out.*function/);
});

test("a function is asked for a ticket before every dial; one that ran out is soon replaced", async () => {
  let asked = 0;
  const { env, socket, story } = rig(() => Promise.resolve(`t${++asked}`));
  socket.dial();
  assert.equal(env.sockets.length, 0);
  await env.settle();
  assert.equal(env.last.url, "ws://server/?dial=1&ticket=t1");
  env.last.says({
    type: "ERROR",
    payload: { msg: "the ticket has run out", code: 4507, retry: true },
  });
  env.last.ends(4507, "ticket-expired");
  env.pass(200);
  await env.settle();
  assert.equal(env.last.url, "ws://server/?dial=2&ticket=t2");
  env.last.opens();
  assert.deepEqual(story, ["failed 1: the ticket has run out", "OPEN"]);
});

test("no ticket, no dial: it is tried again, and said why", async () => {
  const answers: (() => string | Promise<string>)[] = [
    () => {
      throw new Error("not signed in");
    },
    () => Promise.reject(new Error("Failed to fetch")),
    () => "",
    () => undefined as unknown as string,
    () => "good",
  ];
  const { env, socket, story } = rig(() => (answers.shift() as () => string)());
  socket.dial();
  for (let i = 0; i < 4; i++) {
    await env.settle();
    assert.equal(env.sockets.length, 0);
    env.pass(1000);
  }
  await env.settle();
  assert.equal(env.last.url, "ws://server/?dial=1&ticket=good");
  assert.deepEqual(story, [
    "failed 1: no ticket could be had: not signed in",
    "failed 2: no ticket could be had: Failed to fetch",
    "failed 3: no ticket could be had: the ticket function gave an empty text, not a ticket",
    "failed 4: no ticket could be had: the ticket function gave undefined, not a ticket",
  ]);
});

test("a ticket is waited for ten seconds, and one that comes later is not used", async () => {
  const answers: ((ticket: string) => void)[] = [];
  const { env, socket, story } = rig(() => new Promise((answer) => answers.push(answer)));
  socket.dial();
  await env.settle();
  env.pass(9_900);
  assert.deepEqual(story, []);
  env.pass(100);
  assert.deepEqual(story, ["failed 1: no ticket could be had: nothing came in 10 s (late)"]);
  env.pass(200);
  await env.settle();
  answers[0]?.("late");
  await env.settle();
  assert.equal(env.sockets.length, 0);
  answers[1]?.("good");
  await env.settle();
  assert.deepEqual(
    env.sockets.map(({ url }) => url),
    ["ws://server/?dial=1&ticket=good"],
  );
});

test("who left while a ticket was asked for does not dial", async () => {
  const { env, socket } = rig(() => "t");
  socket.dial();
  socket.leave();
  await env.settle();
  assert.equal(env.sockets.length, 0);
});

test("a page that nobody may host is not hurried", () => {
  const { env, socket, story } = rig();
  socket.dial();
  env.last.ends(4509, "no-host");
  env.pass(900);
  assert.equal(env.sockets.length, 1);
  env.pass(1200);
  assert.equal(env.sockets.length, 2);
  assert.deepEqual(story, ["failed 1: no-host"]);
});

test("pauses between tries stay within the time that the server waits for those that come back", () => {
  assert.equal(backoffMs(20, 1), 5000);
  assert.equal(backoffMs(20, 1, 1200), 1200);
  assert.equal(backoffMs(0, 1, 1200), 150);
});
