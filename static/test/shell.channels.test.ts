// Tests the channels of a page: their messages beside those of the group itself.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LocalChannel } from "../src/channels/channel.ts";
import { PURPOSE, wrap } from "../src/channels/envelope.ts";
import { PageCallbacks } from "../src/page-callbacks.ts";
import { FakeEnv, FakePage } from "./rig.ts";
import { rig } from "./shell.rig.ts";

/** Opens a channel and notes its messages. */
function listen({ shell }: ReturnType<typeof rig>, name: string) {
  const app = new LocalChannel();
  const heard: unknown[] = [];
  app.events.on("message", (data, { from, seq }) => heard.push([data, from, seq]));
  shell.openChannel(name, app);
  return { app, heard };
}

test("a channel hears its own messages only, in the one order of the group", async () => {
  const made = rig();
  const { env, shell, story, alone } = made;
  const [chat, board] = [listen(made, "chat"), listen(made, "board")];
  env.last.says({ type: "OPEN", payload: alone });
  await env.settle();
  await Promise.all([
    shell.send("chat", "a"),
    shell.send("", "b"),
    shell.send("board", new Uint8Array([1])),
    shell.send("chat", "c"),
    shell.send("nobody opened this", "d"),
    env.settle(),
  ]);
  const first = (chat.heard[0] as [unknown, string, number])[2];
  assert.deepEqual(chat.heard, [
    ["a", "me", first],
    ["c", "me", first + 3],
  ]);
  assert.deepEqual(board.heard, [[new Uint8Array([1]), "me", first + 2]]);
  assert.deepEqual(
    story.filter((line) => line.startsWith("me: ")).length,
    1,
    "only the group's own message",
  );
});

/** A member that has nothing yet. */
const nowhere = {
  t: "at",
  e: 5,
  at: { r: 0, e: 0, s: 0, done: 0, base: 0, line: [], snap: false, stale: false, age: 0 },
};

/** Returns the snapshots that the page has sent over the relay. */
function restores({ sent }: ReturnType<typeof rig>): { state?: string; parts?: unknown }[] {
  return (sent("RELAY") as { t: string; snap: object }[])
    .filter(({ t }) => t === "restore")
    .map(({ snap }) => snap);
}

test("a channel that is opened late is handed what was said there, and every page gives it on", async () => {
  const made = rig();
  const { env, shell, page, alone } = made;
  page.onSnapshot = () => "own";
  shell.callbacksChanged("");
  env.last.says({ type: "OPEN", payload: alone });
  await env.settle();
  await Promise.all([shell.send("chat", "a"), shell.send("chat", "b"), env.settle()]);
  env.last.says({ type: "JOIN", src: "you", payload: { id: "you", group: 2 } });
  env.last.says({ type: "RELAY", src: "you", payload: nowhere });
  await env.settle();
  const [given = {}] = restores(made);
  assert.equal(given.state, '"own"');
  const [, parts] = given.parts as [1, [string, null, 1, unknown[]][]];
  assert.deepEqual(parts[0]?.slice(0, 3), ["chat", null, 1]);
  assert.equal(parts[0]?.[3].length, 2);
  const told: unknown[] = [];
  const app = new LocalChannel();
  app.events.on("message", (data) => told.push(data));
  app.events.on("recovered", ({ complete, via, reason }) => told.push([complete, via, reason]));
  shell.openChannel("chat", app);
  await env.settle();
  assert.deepEqual(told, ["a", "b", [true, "log", "join"]]);
});

test("each channel is restored by its own part before any message follows, and told of its own losses", async () => {
  const env = new FakeEnv();
  const page = new FakePage();
  const told: unknown[] = [];
  page.onRestore = (state, { lost }) => told.push(["", state, lost.map(({ data }) => data)]);
  const callbacks = new PageCallbacks(
    env,
    page,
    () => {},
    () => {},
  );
  callbacks.callbacksChanged("");
  const board = new LocalChannel();
  let go = (): void => {};
  board.onRestore = (state, { lost, reason }) => {
    told.push(["board", state, lost.map(({ data }) => data), reason]);
    return new Promise<void>((done) => (go = done));
  };
  board.events.on("message", (data) => told.push(data));
  board.events.on("recovered", ({ lost }) => told.push(["recovered", lost.length]));
  callbacks.openChannel("board", board);
  await env.settle();
  const about = { from: "ann", mine: false, epoch: 5 };
  const lost = [
    { ...about, seq: 7, data: wrap(PURPOSE.message, "board", '"lost here"') },
    { ...about, seq: 8, data: '"lost there"' },
    { ...about, seq: 9, data: wrap(PURPOSE.message, "unopened", '"lost to nobody"') },
  ];
  callbacks.perform({
    type: "restore",
    state: '"own"',
    parts: [
      1,
      [["board", '"part"', 1, [["ann", 3, 3, 5, wrap(PURPOSE.message, "board", '"since"')]]]],
    ],
    about: { reason: "replaced", lost, lostMore: false },
  });
  callbacks.push(() =>
    callbacks.recovered({
      kind: "recovered",
      complete: false,
      via: "snapshot",
      awayMs: 1,
      reason: "replaced",
      lost,
      lostMore: false,
    }),
  );
  await env.settle();
  const restored = [
    ["", "own", ["lost there"]],
    ["board", "part", ["lost here"], "replaced"],
  ];
  assert.deepEqual(told, restored);
  go();
  await env.settle();
  assert.deepEqual(told, [...restored, "since", ["recovered", 1]]);
});

test("a channel whose onSnapshot fails keeps the page from giving a snapshot", async (t) => {
  const reported = t.mock.method(console, "error", () => {});
  const made = rig();
  const { env, shell, page, alone } = made;
  page.onSnapshot = () => "own";
  shell.callbacksChanged("");
  const { app } = listen(made, "board");
  app.onSnapshot = () => {
    throw new Error("not now");
  };
  env.last.says({ type: "OPEN", payload: alone });
  await env.settle();
  env.last.says({ type: "JOIN", src: "you", payload: { id: "you", group: 2 } });
  env.last.says({ type: "RELAY", src: "you", payload: nowhere });
  await env.settle();
  assert.deepEqual(restores(made), []);
  assert.match(String(reported.mock.calls[0]?.arguments[1]), /not now/);
});
