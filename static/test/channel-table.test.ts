// Tests what a page keeps of its channels, gives of them, and is given.

import assert from "node:assert/strict";
import { test } from "node:test";
import { PURPOSE, wrap } from "../src/channels/envelope.ts";
import { readParts, writeParts, type LoggedMessage } from "../src/channels/parts.ts";
import { ChannelTable, type Callbacks, type Restored } from "../src/channels/table.ts";

const STATEFUL: Callbacks = { gives: true, restores: true };
const STATELESS: Callbacks = { gives: false, restores: false };

let seq = 0;
/** A message of ann's, which the group stamps now. */
function message(channel: string, payload: string, from = "ann"): LoggedMessage {
  seq++;
  return { from, n: seq, seq, epoch: 5, text: wrap(PURPOSE.message, channel, payload) };
}

/** A page whose group itself has this state. */
function page(callbacks = STATEFUL, limits = {}): ChannelTable {
  const table = new ChannelTable(limits);
  table.open("", callbacks, 0);
  return table;
}

/** Returns what a page gives, as it arrives. */
function given(table: ChannelTable, states: Record<string, string> = {}, now = 0) {
  const snapshot = table.snapshot(new Map(Object.entries(states)), now);
  assert.ok(snapshot, "gives a snapshot");
  return JSON.parse(JSON.stringify(snapshot)) as { state?: string; parts: unknown };
}

function restore(
  table: ChannelTable,
  from: { state?: string; parts?: unknown },
  reason: "join" | "behind" | "replaced" = "join",
): Restored {
  return table.restore(from.state, from.parts, reason, 0);
}

const payloads = ({ messages }: Restored): string[] =>
  messages.map(({ channel, payload }) => `${channel}:${payload}`);

test("a page hands on what was said on channels that it has not opened", () => {
  const a = page();
  const b = page();
  const said = [message("chat", "1"), message("board", "2"), message("chat", "3")];
  for (const one of said) assert.equal(a.take(one, 0), undefined);
  assert.deepEqual(restore(b, given(a, { "": "own" })).channels, [
    { channel: "", replaces: true, state: "own", complete: true, via: "snapshot" },
  ]);
  const opened = b.open("chat", STATEFUL, 0);
  assert.deepEqual(payloads(opened), ["chat:1", "chat:3"]);
  assert.deepEqual(opened.channels, [
    { channel: "chat", replaces: false, state: undefined, complete: true, via: "log" },
  ]);
});

test("a page that has not opened a channel hands on its last part with the messages since", () => {
  const [a, b, c] = [page(), page(), page()];
  a.open("board", STATEFUL, 0);
  const first = message("board", "1");
  assert.equal(a.take(first, 0)?.payload, "1");
  restore(b, given(a, { "": "own", board: "state" }));
  b.take(message("board", "2"), 0);
  c.open("board", STATEFUL, 0);
  const restored = restore(c, given(b, { "": "own" }));
  assert.deepEqual(restored.channels[1], {
    channel: "board",
    replaces: true,
    state: "state",
    complete: true,
    via: "snapshot",
  });
  assert.deepEqual(payloads(restored), ["board:2"]);
});

test("messages of several channels are handed over in the one order", () => {
  const [a, b] = [page(), page()];
  for (const name of ["x", "y", "x", "y"]) a.take(message(name, String(seq)), 0);
  for (const name of ["y", "x"]) b.open(name, STATEFUL, 0);
  const order = restore(b, given(a, { "": "own" })).messages.map((one) => one.message.seq);
  assert.deepEqual(
    order,
    [...order].sort((x, y) => x - y),
  );
  assert.equal(order.length, 4);
});

test("an empty channel is reset on pages that fell behind, not on those that join", () => {
  const a = page();
  const b = page();
  b.open("board", STATEFUL, 0);
  b.take(message("board", "1"), 0);
  const snapshot = given(a, { "": "own" });
  const about = restore(b, snapshot, "replaced").channels[1];
  assert.deepEqual([about?.replaces, about?.state, about?.complete], [true, undefined, true]);
  const c = page();
  c.open("board", STATEFUL, 0);
  assert.equal(restore(c, snapshot).channels[1]?.replaces, false);
});

test("a page keeps 4 MB of an unopened channel, and beyond gives no snapshots until restored", () => {
  const a = page();
  const big = JSON.stringify("x".repeat(1 << 20));
  for (let i = 0; i < 3; i++) a.take(message("files", big), 0);
  assert.ok(a.gives);
  a.take(message("files", big), 0);
  assert.equal(a.gives, false);
  assert.equal(a.snapshot(new Map([["", "own"]]), 0), undefined);
  const late = a.open("files", STATEFUL, 0);
  assert.deepEqual([payloads(late), late.channels[0]?.complete], [[], false]);
  assert.equal(a.gives, false, "what the application has of it is not all");
  const b = page();
  b.open("files", STATEFUL, 0);
  restore(a, given(b, { "": "own", files: "all" }), "behind");
  assert.ok(a.gives);
});

test("a page that knows of channels gives snapshots though the application gives no state", () => {
  const a = page(STATELESS);
  assert.equal(a.gives, false);
  a.take(message("", "plain"), 0);
  assert.equal(a.gives, false, "as without channels");
  a.take(message("board", "1"), 0);
  assert.ok(a.gives);
  const b = page(STATELESS);
  b.open("board", STATEFUL, 0);
  const restored = restore(b, given(a));
  assert.deepEqual(payloads(restored), [":plain", "board:1"]);
  assert.deepEqual(restored.channels[0], {
    channel: "",
    replaces: false,
    state: undefined,
    complete: true,
    via: "log",
  });
});

test("without a state the latest messages are given, and the page is told that there were more", () => {
  const a = page(STATELESS);
  a.open("board", STATEFUL, 0);
  a.take(message("", "old"), 0);
  a.take(message("", "new"), 40_000);
  const b = page(STATELESS);
  const restored = restore(b, given(a, { board: "state" }, 46_000));
  assert.deepEqual(payloads(restored), [":new"]);
  assert.deepEqual([restored.channels[0]?.complete, restored.channels[0]?.via], [false, "log"]);
});

test("a page without a state is handed nothing twice, and is complete if nothing is missing between", () => {
  const [a, b] = [page(STATELESS), page(STATELESS)];
  a.open("board", STATEFUL, 0);
  const [x, y, z] = [message("", "x"), message("", "y"), message("", "z")];
  a.take(message("", "w"), -50_000);
  for (const one of [x, y, z]) a.take(one, 0);
  b.take(x, 0);
  const restored = restore(b, given(a, { board: "state" }, 1), "behind");
  assert.deepEqual([payloads(restored), restored.channels[0]?.complete], [[":y", ":z"], true]);
  assert.equal(b.take(z, 0), undefined, "sent again by its sender after a history was given up");
});

test("a snapshot without parts leaves open channels as they are, and says that something is missing", () => {
  const a = page();
  a.open("board", STATEFUL, 0);
  a.take(message("board", "1"), 0);
  for (const parts of [
    undefined,
    null,
    "s",
    [1],
    [1],
    [2, []],
    [1, [["x"]]],
    [1, [["x", null, 2, []]]],
    [1, [["x", 1, 1, []]]],
    [1, [["x", null, 1, [["a", 1, 2, 3]]]]],
  ]) {
    const { channels } = restore(a, { state: "own", parts }, "behind");
    assert.deepEqual(channels, [
      { channel: "", replaces: true, state: "own", complete: true, via: "snapshot" },
      { channel: "board", replaces: false, state: undefined, complete: false, via: "none" },
    ]);
  }
  const b = page();
  b.open("board", STATEFUL, 0);
  const handedOn = restore(b, given(a, { "": "own", board: "state" })).channels[1];
  assert.deepEqual(
    [handedOn?.state, handedOn?.complete],
    ["state", false],
    "its heirs are told, too",
  );
});

test("the state of the group itself stands where libraries without channels look for it", () => {
  const a = page();
  a.take(message("board", "1"), 0);
  const { state, parts } = given(a, { "": "own" });
  assert.equal(state, "own");
  assert.deepEqual([...(readParts(parts)?.of.keys() ?? [])], ["board"]);
});

test("a page that ceases to give a state hands on what follows", () => {
  const a = page();
  a.open("board", STATEFUL, 0);
  a.callbacksChanged("board", STATELESS);
  a.take(message("board", "1"), 0);
  const part = readParts(given(a, { "": "own" }).parts)?.of.get("board");
  assert.deepEqual([part?.state, part?.messages.length, part?.whole], [undefined, 1, false]);
});

test("purposes of later libraries are kept for others, and not handed to the application", () => {
  const a = page();
  const later = { ...message("board", "1"), text: "oz5:board1" };
  a.take(later, 0);
  assert.deepEqual(payloads(a.open("board", STATELESS, 0)), []);
  assert.equal(a.take({ ...later, n: later.n + 1 }, 0), undefined);
  const part = readParts(given(a, { "": "own" }).parts)?.of.get("board");
  assert.deepEqual(
    part?.messages.map(({ text }) => text),
    ["oz5:board1", "oz5:board1"],
  );
});

test("a page that meets more than 1024 channels gives no snapshots", () => {
  const a = page();
  for (let i = 0; i < 1023; i++) a.take(message(`c${i}`, "1"), 0);
  assert.ok(a.gives);
  a.take(message("one more", "1"), 0);
  assert.equal(a.gives, false);
  assert.equal(a.open("one more", STATEFUL, 0).channels[0]?.complete, false);
});

test("parts are read as they were written", () => {
  const of = new Map([
    ["a", { state: "1", messages: [message("a", "2")], whole: true }],
    ["", { state: undefined, messages: [], whole: false }],
  ]);
  for (const all of [true, false])
    assert.deepEqual(readParts(JSON.parse(JSON.stringify(writeParts({ of, all })))), { of, all });
});

test("small messages count as well: what is kept of many is bounded", () => {
  const a = page(STATELESS);
  a.open("board", STATEFUL, 0);
  for (let i = 0; i < 33_000; i++) a.take(message("", "1"), 0);
  const [, parts] = given(a, { board: "state" }).parts as [1, [string, null, 0, unknown[]][]];
  assert.deepEqual([parts[0]?.[0], parts[0]?.[2], parts[0]?.[3].length], ["", 0, 32_768]);
  for (let i = 0; i < 33_000; i++) a.take(message("unread", "1"), 0);
  assert.equal(a.gives, false);
});

test("what is kept of all unopened channels together is bounded", () => {
  const a = page(STATEFUL, { unopenedChars: 1800 });
  for (let i = 0; i < 10; i++) a.take(message(`c${i}`, "1".repeat(40)), 0);
  assert.ok(a.gives);
  a.take(message("c10", "1".repeat(40)), 0);
  assert.equal(a.gives, false);
  const b = page();
  for (let i = 0; i <= 10; i++) b.open(`c${i}`, STATELESS, 0);
  restore(a, given(b, { "": "own" }), "behind");
  assert.ok(a.gives, "once restored");
});

test("a page that keeps what its history has not is not complete, and says so to its heirs", () => {
  const a = page();
  const b = page();
  b.open("board", STATEFUL, 0);
  const [x, y] = [message("board", "x"), message("board", "y")];
  for (const one of [x, message("board", "given up")]) b.take(one, 0);
  restore(a, { state: "own" });
  for (const one of [x, y]) a.take(one, 0);
  const snapshot = given(a, { "": "own" });
  for (const [reason, complete] of [
    ["behind", true],
    ["replaced", false],
  ] as const) {
    const restored = restore(b, snapshot, reason).channels[1];
    assert.deepEqual([restored?.replaces, restored?.complete], [false, complete], reason);
    const part = readParts(given(b, { "": "own", board: "state" }).parts)?.of.get("board");
    assert.equal(part?.whole, complete);
  }
});
