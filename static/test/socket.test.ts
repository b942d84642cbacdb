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
    proved: (epoch) => story.push(`proved ${epoch}`),
    failed: ({ times, why, late }) =>
      story.push(`failed ${times}${why && `: ${why}`}${late ? " (late)" : ""}`),
  });
  return { env, socket, story };
}

test("close codes say whether to dial again", () => {
  for (const code of [1002, 1003, 1007, 1008, 1009, 4400, 4401, 4407, 4409, 4410, 4411, 4426, 4499])
    assert.ok(isTerminal(code), `${code}`);
  for (const code of [
    1000, 1001, 1005, 1006, 1011, 1012, 1013, 4500, 4503, 4504, 4507, 4508, 4509, 4529,
  ])
    assert.ok(!isTerminal(code), `${code}`);
});

test("the wait grows, is random, and is bounded", () => {
  assert.ok(backoffMs(0, 0) < backoffMs(0, 0.99));
  assert.ok(backoffMs(0, 0.99) <= 150);
  assert.ok(backoffMs(3, 0) > backoffMs(0, 0.99));
  for (const attempt of [20, 1000])
    assert.ok(backoffMs(attempt, 0.99) <= 5_000 && backoffMs(attempt, 0) >= 2_500);
});

test("a lost connection is reported once and dialled again, with the claim of that moment", () => {
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

test("failed dials are counted and spaced out", () => {
  const { env, socket, story } = rig();
  socket.dial();
  for (let i = 0; i < 4; i++) {
    env.last.ends(1006);
    env.pass(2000);
  }
  assert.deepEqual(story, ["failed 1", "failed 2", "failed 3", "failed 4"]);
});

test("after a connection that lasted, the next dial waits as for a first failure", () => {
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

test("a dial without answer is given up", () => {
  const { env, socket, story } = rig();
  env.health = "nothing";
  socket.dial();
  env.pass(10_050);
  assert.deepEqual(story, ["failed 1: no answer (late)"]);
  // The server must not take this close for a goodbye, as one without code would be.
  assert.equal(env.sockets[0]?.closedWith, 4000);
  env.health = "there";
  env.pass(1000);
  assert.equal(env.sockets.length, 2);
});

test("a connection that is cut as soon as it is open is dialled with growing waits", () => {
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
  assert.equal(env.sockets.length, before + 1, "a connection that lasted is dialled again soon");
  assert.ok(!story.some((line) => line.startsWith("failed")), "each connection was let in");
});

test("a terminal close ends the socket for good", () => {
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

test("the reason in a message replaces a close whose code got lost", () => {
  const { env, socket, story } = rig();
  socket.dial();
  env.last.says({ type: "ERROR", payload: { msg: "page is empty", code: 4405, retry: false } });
  env.last.ends(1006);
  assert.deepEqual(story, ["ended 4405 page is empty"]);
});

test("after RESTART the wait is as long as told, with a random part", () => {
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

test("a full server is dialled again after a second or more", () => {
  const { env, socket } = rig();
  socket.dial();
  env.last.ends(4503, "full");
  env.pass(900);
  assert.equal(env.sockets.length, 1);
  env.pass(1200);
  assert.equal(env.sockets.length, 2);
});

test("answered heartbeats keep the socket; silence for twice the interval ends it", () => {
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

test("after sleep the socket is checked before it is dropped", () => {
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

test("a socket that died during sleep is dialled again soon", () => {
  const { env, socket, story } = rig();
  socket.dial();
  env.last.opens();
  env.freeze(60_000);
  env.pass(2600);
  assert.deepEqual(story, ["OPEN", "lost"]);
  assert.equal(env.sockets.length, 2);
});

test("wake dials at once instead of waiting", () => {
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
  assert.equal(env.sockets.length, before + 1, "the dial is under way");
  env.pass(1500);
  socket.wake();
  assert.equal(env.sockets.length, before + 2, "the dial hangs");
});

test("PROBE is answered at once", () => {
  const { env, socket } = rig();
  socket.dial();
  env.last.opens();
  env.last.says({ type: "PROBE", payload: { epoch: 7 } });
  assert.deepEqual(env.last.types(), ["PROBE"]);
});

test("a proof is an answer with the epoch: a plain heartbeat shows that the socket lives", () => {
  const { env, socket, story } = rig();
  socket.dial();
  env.last.opens();
  env.pass(5000);
  socket.prove(7);
  env.last.says({ type: "HEARTBEAT" });
  assert.deepEqual(story, ["OPEN"]);
  env.last.says({ type: "HEARTBEAT", payload: { epoch: 7 } });
  assert.deepEqual(story, ["OPEN", "proved 7"]);
});

test("leave sends LEAVE and closes with 1000", () => {
  const { env, socket } = rig();
  socket.dial();
  env.last.opens();
  socket.leave();
  assert.deepEqual(env.last.types(), ["LEAVE"]);
  assert.equal(env.last.closedWith, 1000);
  env.pass(60_000);
  assert.equal(env.sockets.length, 1);
});

test("pause sends LEAVE as well, and dial may follow", () => {
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

test("without a socket the goodbye goes over HTTP, once, while the server may wait for this page", () => {
  for (const end of ["leave", "pause"] as const) {
    const { env, socket } = rig();
    socket.dial();
    env.last.opens();
    // Firefox closes the socket like this when a navigation begins.
    env.last.ends(1001);
    socket[end]();
    assert.deepEqual(env.beacons, ["http://server/leave"], end);
    socket.leave();
    assert.equal(env.beacons.length, 1, end);
  }
});

test("while the browser closes the socket the goodbye goes over HTTP", () => {
  const { env, socket } = rig();
  socket.dial();
  env.last.opens();
  env.last.readyState = 2;
  socket.leave();
  assert.deepEqual([env.last.sent, env.beacons], [[], ["http://server/leave"]]);
});

test("no goodbye is sent if the page was never in, or the server no longer waits for it", () => {
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

test("the goodbye over HTTP is sent for 30 s, or longer with the server's returnMs", () => {
  for (const [returnMs, awayMs, beacons] of [
    [3_000, 10_000, 1],
    [3_000, 25_000, 1],
    [3_000, 35_000, 0],
    [60_000, 50_000, 1],
    [undefined, 25_000, 1],
    [undefined, 35_000, 0],
    ["3000", 25_000, 1],
    [-1, 25_000, 1],
  ] as const) {
    const { env, socket } = rig();
    socket.dial();
    env.last.opens({ returnMs });
    env.health = "nothing";
    env.last.ends(1006);
    env.pass(awayMs);
    socket.leave();
    assert.equal(env.beacons.length, beacons, `returnMs ${returnMs}, away for ${awayMs} ms`);
  }
});

test("messages of a dropped socket are ignored", () => {
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

test("an address that the browser does not dial ends the socket with the browser's words", () => {
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
  assert.deepEqual(ends, [], "the end is told after the call that dials");
  env.pass(1);
  assert.deepEqual(ends, ["insecure"]);
});

test("a ticket that is a text is used for every dial; when it expires the socket ends", () => {
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

test("a ticket function is called before every dial; an expired ticket is replaced soon", async () => {
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

test("without a ticket there is no dial; the reason is reported and the function called again", async () => {
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

test("a ticket function may take ten seconds; a later ticket is not used", async () => {
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

test("a page that left during a ticket's request does not dial", async () => {
  const { env, socket } = rig(() => "t");
  socket.dial();
  socket.leave();
  await env.settle();
  assert.equal(env.sockets.length, 0);
});

test("a page without a possible host is dialled again after a second or more", () => {
  const { env, socket, story } = rig();
  socket.dial();
  env.last.ends(4509, "no-host");
  env.pass(900);
  assert.equal(env.sockets.length, 1);
  env.pass(1200);
  assert.equal(env.sockets.length, 2);
  assert.deepEqual(story, ["failed 1: no-host"]);
});

test("waits stay within the time that the server waits for returning members", () => {
  assert.equal(backoffMs(20, 1), 5000);
  assert.equal(backoffMs(20, 1, 1200), 1200);
  assert.equal(backoffMs(0, 1, 1200), 150);
});
