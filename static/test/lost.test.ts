// Tests what a page is told that loses messages, or whose server does not believe its claim.

import assert from "node:assert/strict";
import { test } from "node:test";
import { pack } from "../src/codec.ts";
import { lostOn } from "../src/lost.ts";
import { PageCallbacks } from "../src/page-callbacks.ts";
import type { LostMessage, RestoreInfo } from "../src/restore-info.ts";
import { Shell } from "../src/shell.ts";
import { FakeEnv, FakePage } from "./rig.ts";

test("lost messages are unpacked for onRestore and `recovered`; unreadable ones are left out", async () => {
  const env = new FakeEnv();
  const handed: [unknown, RestoreInfo][] = [];
  const page = new FakePage();
  page.onRestore = (state, about) => handed.push([state, about]);
  const callbacks = new PageCallbacks(
    env,
    page,
    () => {},
    () => {},
  );
  const about = { from: "ann", mine: false, seq: 7, epoch: 5 };
  const lost = [
    { ...about, data: pack({ a: new Uint8Array([1, 2]) }).text },
    { ...about, seq: 8, data: "{" },
    { ...about, seq: 9, mine: true, data: pack("x").text },
  ];
  callbacks.perform({
    type: "restore",
    state: pack([1]).text,
    about: { reason: "replaced", lost, lostMore: true },
  });
  await env.settle();
  const expected: LostMessage[] = [
    { ...about, data: { a: new Uint8Array([1, 2]) } },
    { ...about, seq: 9, mine: true, data: "x" },
  ];
  assert.deepEqual(handed, [[[1], { reason: "replaced", lost: expected, lostMore: true }]]);
  assert.equal(lostOn("", lost), handed[0]?.[1].lost);
  assert.ok(Object.isFrozen(lostOn("", lost)) && Object.isFrozen(lostOn("", [])));
});

test("a server whose clock was set back is reported once and dialled with growing waits", async () => {
  const env = new FakeEnv();
  const page = new FakePage();
  const shell = new Shell(env, { id: "me", profile: undefined, p2p: false }, page, () => {});
  shell.start();
  const open = {
    members: 2,
    p2p: true,
    relay: { maxMessageBytes: 65_536, maxBytesPerS: 0 },
    resumeMs: 30_000,
    pingMs: 5000,
  };
  env.last.says({ type: "OPEN", payload: { ...open, host: "h", epoch: 1_000_000 } });
  env.last.ends(1006);
  let dials = 0;
  let answered = env.last;
  for (let ms = 0; ms < 240_000; ms += 100) {
    env.pass(100);
    if (env.last === answered) continue;
    answered = env.last;
    answered.alive = true;
    dials++;
    answered.says({ type: "OPEN", payload: { ...open, host: "other", epoch: 90_000 } });
    await env.settle();
  }
  await env.settle();
  const eligible = answered.sent.flatMap(
    (text) => (JSON.parse(text) as { payload?: { eligible?: boolean } }).payload?.eligible ?? [],
  );
  assert.deepEqual(eligible, [false], "it cannot host for a server that does not believe it");
  assert.ok(dials >= 8 && dials <= 16, `${dials} dials in four minutes`);
  const told = page.events.flatMap(({ name, args }) => {
    if (name === "status") return args[0].state;
    return name === "error" ? args[0].code : [];
  });
  assert.deepEqual(told, ["open", "Unreachable", "away"]);
  assert.equal(page.errors.length, 1);
  assert.match(
    page.errors[0] ?? "",
    /^The server's clock was set back: it is at least 15 minutes behind/,
  );
});
