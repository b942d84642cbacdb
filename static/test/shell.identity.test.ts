// Tests the id that a ticket gives this page.

import assert from "node:assert/strict";
import { test } from "node:test";
import { rig } from "./shell.rig.ts";

/** Returns a ticket without a valid signature, which only the server checks. */
const ticketFor = (claims: object): string =>
  `${btoa('{"alg":"HS256"}')}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.sig`;

test("a ticket's id becomes this page's id, and its count goes on from earlier loads", async () => {
  for (const ticket of [ticketFor({ id: "ann", exp: 1 }), () => ticketFor({ id: "ann", exp: 1 })]) {
    const { env, shell, story, names, claims } = rig({ ticket });
    const early = shell.send("", "early");
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
    payload: { ...alone, host: "bob", roster: [{ id: "bob", group: 2 }] },
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
