// Tests what reaches the page through the shell: messages, events and errors.

import assert from "node:assert/strict";
import { test } from "node:test";
import { rig } from "./shell.rig.ts";

test("a member that is alone opens the group and gets its own messages", async () => {
  const { env, shell, story, alone, sent } = rig({ profile: { name: "Ann" } });
  const early = shell.send("", { a: 1 });
  env.last.says({ type: "OPEN", payload: alone });
  await env.settle();
  await early;
  await Promise.all([shell.send("", "x"), env.settle()]);
  assert.deepEqual(story, ["open", "open", "host", 'me: {"a":1} @5', 'me: "x" @5']);
  assert.deepEqual(sent("STATUS"), [
    { eligible: true, visible: true, relay: true, profile: { name: "Ann" } },
  ]);
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

test("a member that lost its socket keeps its data channel; one that left does not", async () => {
  for (const [payload, closed] of [
    [{ lost: true }, false],
    [undefined, true],
  ] as const) {
    const { env, alone, link } = rig();
    env.last.says({ type: "OPEN", payload: alone });
    env.last.says({ type: "JOIN", src: "you", payload: { id: "you", group: 2 } });
    const toYou = link("you");
    await env.settle();
    env.last.says({ type: "LEAVE", src: "you", ...(payload ? { payload } : {}) });
    await env.settle();
    assert.equal(toYou.closed, closed);
  }
});

test("many sends at once are handled together and in order", async () => {
  const { env, shell, story, alone } = rig();
  env.last.says({ type: "OPEN", payload: alone });
  await env.settle();
  const sends = Array.from({ length: 50 }, (_, i) => shell.send("", i));
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
        roster: ["me", "him"].map((id) => ({ id, group: 2 })),
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
