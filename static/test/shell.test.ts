// Tests the shell: what it tells the server, and what reaches the page.

import assert from "node:assert/strict";
import { test } from "node:test";
import { PageCallbacks } from "../src/page-callbacks.ts";
import { Shell } from "../src/shell.ts";
import type { Ticket } from "../src/ticket.ts";
import { FakeEnv, FakeLink, FakePage } from "./rig.ts";

interface RigOptions {
  profile?: unknown;
  ticket?: Ticket;
  p2p?: boolean;
  /** Whether PeerJS opens the connections that are dialled. */
  dials?: boolean;
}

function rig({ profile, ticket, p2p = true, dials = false }: RigOptions = {}) {
  const env = new FakeEnv();
  // A host that is alone asks the server before it delivers anything.
  env.alive = true;
  const page = new FakePage();
  page.dials = dials;
  const lines: string[] = [];
  const shell = new Shell(env, { id: "me", counted: 1000, profile, ticket, p2p }, page, (line) =>
    lines.push(line()),
  );
  shell.start();
  const alone = {
    host: "me",
    epoch: 5,
    members: 1,
    roster: [{ id: "me", group: 1 }],
    p2p: true,
    relay: { maxMessageBytes: 65_536, maxBytesPerS: 0 },
    resumeMs: 30_000,
    pingMs: 5000,
  };
  const link = (id: string): FakeLink => {
    const made = new FakeLink(id, `dc_${id}`);
    shell.accept(made);
    made.opens();
    return made;
  };
  const sent = (type: string): unknown[] =>
    env.last.sent
      .map((text) => JSON.parse(text) as { type: string; payload: unknown })
      .filter((m) => m.type === type)
      .map(({ payload }) => payload);
  const { story, claims, signals, ices, dialled, errors: words, ids: names } = page;
  return {
    env,
    shell,
    page,
    story,
    claims,
    signals,
    words,
    ices,
    names,
    lines,
    dialled,
    alone,
    link,
    sent,
  };
}

test("a member that is alone opens the group and gets its own messages", async () => {
  const { env, shell, story, alone, sent } = rig({ profile: { name: "Ann" } });
  const early = shell.send({ a: 1 });
  env.last.says({ type: "OPEN", payload: alone });
  await env.settle();
  await early;
  await Promise.all([shell.send("x"), env.settle()]);
  assert.deepEqual(story, ["open", "open", "host", 'me: {"a":1} @5', 'me: "x" @5']);
  assert.deepEqual(sent("STATUS"), [
    { eligible: true, visible: true, relay: true, profile: { name: "Ann" } },
  ]);
});

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

/** Returns a ticket without a valid signature, which only the server checks. */
const ticketFor = (claims: object): string =>
  `${btoa('{"alg":"HS256"}')}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.sig`;

test("a ticket's id becomes this page's id, and its count goes on from earlier loads", async () => {
  for (const ticket of [ticketFor({ id: "ann", exp: 1 }), () => ticketFor({ id: "ann", exp: 1 })]) {
    const { env, shell, story, names, claims } = rig({ ticket });
    const early = shell.send("early");
    await env.settle();
    assert.deepEqual(names, ["ann"]);
    env.last.says({
      type: "OPEN",
      payload: { host: "bob", epoch: 5, members: 2, p2p: false, relay: {}, resumeMs: 30_000 },
    });
    await env.settle();
    env.last.says({
      type: "RELAY",
      src: "bob",
      payload: { t: "beat", e: 5, at: { r: 0, e: 0, s: 0 }, sent: 0, w: [], k: 1, cause: "" },
    });
    await env.settle();
    const sends = env.last.sent
      .map(
        (text) =>
          JSON.parse(text) as {
            type: string;
            payload: { t?: string; low: number; x: { n: number }[] };
          },
      )
      .filter(({ payload }) => payload?.x !== undefined);
    assert.deepEqual(sends.map(({ payload: { low, x } }) => [low, x.map(({ n }) => n)])[0], [
      1001,
      [1001],
    ]);
    // The snapshot holds own messages from before the page was reloaded. It does not settle the new
    // one.
    const snap = {
      r: 1,
      e: 5,
      s: 3,
      line: [[5, 1]],
      counts: [["ann", 900]],
      members: [
        ["ann", { group: true }],
        ["bob", { group: true }],
      ],
      has: true,
      state: '"state"',
      z: 5,
    };
    env.last.says({
      type: "RELAY",
      src: "bob",
      payload: { t: "restore", e: 5, heal: { r: 0, e: 0, s: 0 }, snap },
    });
    await env.settle();
    let settled = false;
    void early.then(() => (settled = true));
    await env.settle();
    assert.equal(settled, false);
    env.last.says({
      type: "RELAY",
      src: "bob",
      payload: {
        t: "data",
        e: 5,
        r: 1,
        p: 5,
        s: 4,
        x: [{ s: 4, e: 5, f: "ann", n: 1001, k: "d", d: '"early"', z: 7 }],
      },
    });
    await env.settle();
    await early;
    assert.equal(story.at(-1), 'ann: "early" @5');
    env.last.ends(1006);
    env.pass(200);
    await env.settle();
    assert.deepEqual([names, claims.at(-1)], [["ann"], { epoch: 5, host: "bob" }]);
  }
});

test("the id of a ticket is taken until the first OPEN, and not after it", async () => {
  const ids: (string | undefined)[] = ["ann", undefined, "bob", "cyd"];
  const { env, names, alone } = rig({ ticket: () => ticketFor({ id: ids.shift() }) });
  for (let i = 0; i < 2; i++) {
    await env.settle();
    env.last.ends(1006);
    env.pass(5000);
  }
  await env.settle();
  assert.deepEqual(names, ["ann", "bob"]);
  env.last.says({
    type: "OPEN",
    payload: { ...alone, host: "bob", roster: [{ id: "bob", group: 1 }] },
  });
  await env.settle();
  env.last.ends(1006);
  env.pass(5000);
  await env.settle();
  assert.deepEqual(
    [ids, names],
    [[], ["ann", "bob"]],
    "a ticket for another id is the server's to refuse",
  );
});

test("a second page with the id of a ticket is told why it is refused", async () => {
  const { env, story, words } = rig({ ticket: ticketFor({ id: "ann" }) });
  env.last.says({ type: "ID-TAKEN", payload: { msg: "ID is taken", code: 4409, retry: false } });
  env.last.ends(4409, "id-taken");
  await env.settle();
  assert.ok(story.includes("error Refused"));
  assert.match(words[0] ?? "", /second tab.*\(ann\).*one page at a time/);
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

test("a group that is left before its start never dials", async () => {
  const env = new FakeEnv();
  const { shell } = rig();
  shell.leave();
  shell.start();
  assert.equal(env.sockets.length, 0);
});

test("a refusal rejects waiting sends, is reported, and ends the group", async () => {
  const { env, shell, story } = rig();
  const waiting = shell.send(1).catch((error: { code: string }) => error.code);
  env.last.ends(4426, "unknown-version");
  await env.settle();
  assert.equal(await waiting, "Refused");
  assert.equal(await shell.send(2).catch((error: { code: string }) => error.code), "Refused");
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
  const waiting = shell.send(1).catch((error: { code: string }) => error.code);
  await env.settle();
  shell.leave();
  shell.leave();
  assert.equal(await waiting, "Closed");
  assert.equal(env.last.sent.at(-1), '{"type":"LEAVE"}');
  assert.equal(env.last.closedWith, 1000);
  assert.deepEqual(story.slice(-2), ["closed (no server)", "closed 1000 left"]);
});

test("the status tells the server's connection apart from the group's state", async () => {
  const { env, shell, story, alone, link } = rig();
  env.last.says({
    type: "OPEN",
    payload: { ...alone, host: "you", members: 2, roster: undefined },
  });
  await env.settle();
  link("you");
  await env.settle();
  story.splice(0);
  env.last.ends(1006);
  await env.settle();
  assert.deepEqual(story.splice(0), ["open (no server)"], "the data channel carries the group on");
  env.pass(200);
  env.last.says({
    type: "OPEN",
    payload: { ...alone, host: "you", members: 2, roster: undefined },
  });
  await env.settle();
  assert.deepEqual(story.splice(0), ["open"]);
  env.last.ends(1006);
  shell.pause();
  await env.settle();
  assert.deepEqual(story.splice(0), ["link", "away (no server)"]);
  shell.leave();
  await env.settle();
  assert.deepEqual(story, ["left", "closed (no server)", "closed 1000 left"]);
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
      roster: [{ id: "me", group: 1 }],
      p2p: true,
      relay: { maxMessageBytes: 65_536, maxBytesPerS: 0 },
      resumeMs: 30_000,
      pingMs: 5000,
    },
  });
  shell.send("x").catch(() => {});
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
  const settled = Promise.allSettled(["a", "b", "c"].map((word) => shell.send(word)));
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
  shell.setGivesSnapshots(true);
  env.last.says({ type: "OPEN", payload: alone });
  await env.settle();
  env.last.says({ type: "JOIN", src: "you", payload: { id: "you", group: 1 } });
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
  const waiting = shell.send("x").catch((error: { code: string }) => error.code);
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
  shell.setGivesSnapshots(true);
  env.last.says({ type: "OPEN", payload: alone });
  env.last.says({ type: "JOIN", src: "you", payload: { id: "you", group: 1 } });
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

test("a member that lost its socket keeps its data channel; one that left does not", async () => {
  for (const [payload, closed] of [
    [{ lost: true }, false],
    [undefined, true],
  ] as const) {
    const { env, alone, link } = rig();
    env.last.says({ type: "OPEN", payload: alone });
    env.last.says({ type: "JOIN", src: "you", payload: { id: "you", group: 1 } });
    const toYou = link("you");
    await env.settle();
    env.last.says({ type: "LEAVE", src: "you", ...(payload ? { payload } : {}) });
    await env.settle();
    assert.equal(toYou.closed, closed);
  }
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
  shell.setGivesSnapshots(true);
  env.last.says({ type: "OPEN", payload: alone });
  env.last.says({ type: "JOIN", src: "you", payload: { id: "you", group: 1 } });
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

test("many sends at once are handled together and in order", async () => {
  const { env, shell, story, alone } = rig();
  env.last.says({ type: "OPEN", payload: alone });
  await env.settle();
  const sends = Array.from({ length: 50 }, (_, i) => shell.send(i));
  await env.settle();
  await Promise.all(sends);
  assert.deepEqual(
    story.slice(-50),
    Array.from({ length: 50 }, (_, i) => `me: ${i} @5`),
  );
});

test("four failed dials are reported as Unreachable, once", async () => {
  const { env, story } = rig();
  for (let i = 0; i < 6; i++) {
    env.last.ends(1006);
    env.pass(11_000);
  }
  await env.settle();
  assert.deepEqual(story, ["error Unreachable"]);
});

test("Unreachable says why, and one dial that took its whole time is enough", async () => {
  const none = rig({ ticket: () => new Promise(() => {}) });
  none.env.pass(10_000);
  none.env.pass(11_000);
  await none.env.settle();
  assert.deepEqual(none.words, [
    "The server cannot be reached (no ticket could be had: nothing came in 10 s); trying on.",
  ]);
  const full = rig();
  const again = (): void => {
    for (let i = 0; i < 4; i++) {
      full.env.last.says({
        type: "ERROR",
        payload: { msg: "nobody who may host the page is there", code: 4509, retry: true },
      });
      full.env.last.ends(4509);
      full.env.pass(5_000);
    }
  };
  again();
  full.env.last.says({ type: "OPEN", payload: full.alone });
  full.env.pass(3_000);
  full.env.last.ends(1006);
  full.env.pass(200);
  again();
  await full.env.settle();
  assert.deepEqual(
    full.words,
    Array(2).fill(
      "The server cannot be reached (nobody who may host the page is there); trying on.",
    ),
  );
});

test("an unreadable message is skipped and reported", async (t) => {
  const reported = t.mock.method(console, "error", () => {});
  const { env, story, alone } = rig();
  env.last.says({
    type: "OPEN",
    payload: { ...alone, host: "you", members: 2, roster: undefined },
  });
  const entry = (s: number, d: unknown) => ({ s, e: 5, f: "you", n: s, k: "d", d, z: 1 });
  const restore = {
    t: "restore",
    e: 5,
    heal: { r: 0, e: 0, s: 0 },
    snap: { r: 5, e: 5, s: 0, line: [[5, 0]], counts: [], members: [], has: false, z: 0 },
  };
  env.last.says({ type: "RELAY", src: "you", payload: restore });
  env.last.says({
    type: "RELAY",
    src: "you",
    payload: {
      t: "data",
      e: 5,
      r: 5,
      p: 5,
      s: 1,
      x: [entry(1, '"good"'), entry(2, { not: "packed" }), entry(3, '"better"')],
    },
  });
  await env.settle();
  await env.settle();
  assert.deepEqual(
    story.filter((line) => line.startsWith("you")),
    ['you: "good" @5', 'you: "better" @5'],
  );
  assert.equal(reported.mock.callCount(), 1);
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

test("the debug log of an election has at most ten lines, whoever wins it", async () => {
  for (const next of ["me", "him"]) {
    const { env, lines, link } = rig();
    const says = async (message: object): Promise<void> => {
      env.last.says(message);
      await env.settle();
    };
    const line = [[5, 0]];
    await says({
      type: "OPEN",
      payload: {
        host: "you",
        epoch: 5,
        members: 3,
        p2p: true,
        relay: { maxMessageBytes: 65_536 },
        resumeMs: 30_000,
      },
    });
    const members = ["you", "me", "him"].map((id) => [id, { group: true }]);
    await says({
      type: "RELAY",
      src: "you",
      payload: {
        t: "restore",
        e: 5,
        heal: { r: 0, e: 0, s: 0 },
        snap: { r: 5, e: 5, s: 0, line, counts: [], members, has: false, z: 0 },
      },
    });
    await says({
      type: "RELAY",
      src: "you",
      payload: {
        t: "data",
        e: 5,
        r: 5,
        p: 5,
        s: 1,
        x: [{ s: 1, e: 5, f: "you", n: 0, k: "j", d: { group: true }, z: 0 }],
      },
    });
    const toYou = link("you");
    await env.settle();
    assert.deepEqual(lines.splice(0), [
      "OPEN host you epoch 5, 3 members",
      "status open",
      "joined, host you epoch 5",
      "you reached over relay",
      "host you, epoch 5, took 0 ms",
      "you joined",
      "him joined",
      "recovered by log (join), away 0 ms",
      "data channel to you open",
      "you reached over p2p",
    ]);

    toYou.happens("close");
    await env.settle();
    await says({
      type: "HOST",
      payload: {
        host: next,
        epoch: 6,
        cause: "left",
        members: 2,
        p2p: true,
        roster: ["me", "him"].map((id) => ({ id, group: 1 })),
      },
    });
    const place = { r: 5, e: 5, s: 1 };
    if (next === "me")
      await says({
        type: "RELAY",
        src: "him",
        payload: {
          t: "at",
          e: 6,
          at: { ...place, done: 1, base: 0, line, snap: false, stale: false, age: 0 },
        },
      });
    else {
      const x = [{ s: 2, e: 6, f: "you", n: 0, k: "l", d: null, z: 0 }];
      await says({ type: "RELAY", src: "him", payload: { t: "data", e: 6, r: 5, p: 5, s: 2, x } });
    }
    const toHim = link("him");
    toHim.happens(
      "data",
      JSON.stringify({ t: "ack", e: 6, at: { r: 5, e: 6, s: 2 }, gap: false, k: 9 }),
    );
    env.pass(1_000);
    await env.settle();
    const dead = [
      "data channel to you closed",
      "you reached over relay",
      `HOST ${next} epoch 6 (left)`,
    ];
    assert.deepEqual(
      lines,
      next === "me"
        ? [
            ...dead,
            "host is this page, epoch 6 (left), took 0 ms",
            "data channel to him open",
            "him reached over p2p",
            "you left",
          ]
        : [
            ...dead,
            "him reached over relay",
            "host him, epoch 6 (left), took 0 ms",
            "you left",
            "data channel to him open",
            "him reached over p2p",
          ],
    );
  }
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
