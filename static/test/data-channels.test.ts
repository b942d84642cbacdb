import assert from "node:assert/strict";
import { test } from "node:test";
import { DataChannels, type DialPlan } from "../src/data-channels.ts";
import { FakeEnv, FakeLink } from "./rig.ts";

function rig() {
  const env = new FakeEnv();
  const dialled: FakeLink[] = [];
  const story: string[] = [];
  const heard: unknown[] = [];
  let online = true;
  const channels = new DataChannels(env, {
    feed(event) {
      if (event.type === "link") story.push(`${event.id} ${event.up ? "up" : "down"}`);
      if (event.type === "received") heard.push(event.message);
      if (event.type === "heard") story.push(`${event.from} heard`);
      if (event.type === "pressure") story.push(`${event.link} ${event.high ? "high" : "low"}`);
    },
    measured: (id, ms) => story.push(`${id} ${ms} ms`),
    dialFailed: (id, times) => story.push(`${id} failed ${times}`),
    dial: (id) => {
      const link = new FakeLink(id, `dc_${dialled.length}`);
      dialled.push(link);
      return link;
    },
    forget() {},
    isOnline: () => online,
  });
  return {
    env,
    channels,
    dialled,
    story,
    heard,
    setOnline: (on: boolean) => (online = on),
    last: () => dialled.at(-1) as FakeLink,
  };
}

/** Returns a plan that dials only a host. */
function host(id: string | undefined, isRelayed = false): DialPlan {
  return { host: id, deputy: undefined, isServing: false, isRelayed };
}

/** Answers pings for `ms`. */
function live(env: FakeEnv, link: FakeLink, ms: number): void {
  for (let passed = 0; passed < ms; passed += 500) {
    env.pass(500);
    link.happens("data", "q0");
  }
}

test("dials the host once and keeps the channel while pings are answered", () => {
  const { env, channels, dialled, story, last } = rig();
  channels.follow(host("h"));
  channels.follow(host("h"));
  env.pass(100);
  last().opens();
  live(env, last(), 60_000);
  assert.equal(dialled.length, 1);
  assert.deepEqual(
    story.filter((line) => !line.endsWith("ms")),
    ["h up"],
  );
});

test("dials a member that does not answer again, with growing waits", () => {
  const { env, channels, dialled, story } = rig();
  channels.follow(host("h"));
  env.pass(8_200);
  assert.deepEqual(story, ["h failed 1"]);
  assert.ok(dialled[0]?.closed);
  env.pass(30_000);
  assert.ok(dialled.length >= 3 && dialled.length <= 5, `${dialled.length}`);
  env.pass(300_000);
  assert.ok(dialled.length < 15, `${dialled.length}`);
});

test("closes a silent channel on this side and dials again", () => {
  const { env, channels, dialled, story, last } = rig();
  channels.follow(host("h"));
  env.pass(100);
  last().opens();
  env.pass(9_000);
  assert.deepEqual(story.slice(0, 2), ["h up", "h down"]);
  assert.ok(dialled[0]?.closed);
  env.pass(2_000);
  assert.equal(dialled.length, 2);
  // A stopped page that comes back sends on the old channel. Its message is ignored.
  dialled[0]?.happens("data", '{"t":"late"}');
  assert.equal(story.filter((line) => line.includes("up")).length, 1);
});

test("does not close a channel because this page slept", () => {
  const { env, channels, story, last } = rig();
  channels.follow(host("h"));
  env.pass(100);
  last().opens();
  env.freeze(60_000);
  env.pass(3_000);
  assert.deepEqual(story, ["h up"]);
});

test("keeps the channel or dial to a former host for 30 s", () => {
  const { env, channels, dialled, last } = rig();
  channels.follow(host("h"));
  env.pass(100);
  channels.follow(host("i"));
  env.pass(100);
  assert.deepEqual(
    dialled.map(({ peer, closed }) => `${peer} ${closed}`),
    ["h false", "i false"],
  );
  dialled[0]?.opens();
  last().opens();
  live(env, last(), 5_000);
  live(env, dialled[0] as FakeLink, 5_000);
  channels.follow(host("h"));
  env.pass(100);
  assert.equal(dialled.length, 2, "the channel to h is there already");
  for (let s = 0; s < 29; s++) dialled.forEach((link) => live(env, link, 500));
  assert.equal(dialled[1]?.closed, false);
  for (let s = 0; s < 40; s++) dialled.forEach((link) => live(env, link, 500));
  assert.deepEqual([dialled[0]?.closed, dialled[1]?.closed], [false, true]);
});

test("closes no channel to a former host while others rely on this page", () => {
  const { env, channels, dialled, last } = rig();
  channels.follow(host("h"));
  env.pass(100);
  last().opens();
  channels.follow({ ...host(undefined), isServing: true });
  for (let s = 0; s < 200; s++) live(env, last(), 500);
  assert.equal(dialled[0]?.closed, false);
  channels.follow({ ...host("i"), isServing: false });
  for (let s = 0; s < 70; s++) live(env, dialled[0] as FakeLink, 500);
  assert.equal(dialled[0]?.closed, true);
});

test("dials the deputy beside the host and keeps that channel when the deputy becomes host", () => {
  const { env, channels, dialled } = rig();
  channels.follow({ ...host("h"), deputy: "d" });
  env.pass(100);
  assert.deepEqual(dialled.map(({ peer }) => peer).sort(), ["d", "h"]);
  env.pass(1_000);
  dialled.forEach((link) => link.opens());
  const reached = channels.openTargets();
  assert.deepEqual(Object.keys(reached).sort(), ["d", "h"]);
  assert.ok(
    Object.values(reached).every((ms) => ms > 900 && ms < 1_200),
    JSON.stringify(reached),
  );
  channels.follow(host("d"));
  env.pass(100);
  assert.equal(dialled.length, 2);
  assert.deepEqual(Object.keys(channels.openTargets()), ["d"]);
});

test("a dial may take as long as the server's fairMs, and never less than 8 s", () => {
  const { env, channels, dialled } = rig();
  channels.setDialTimeout(20_000);
  channels.follow(host("h"));
  env.pass(19_900);
  assert.equal(dialled[0]?.closed, false);
  env.pass(300);
  assert.equal(dialled[0]?.closed, true);
  channels.setDialTimeout(300);
  channels.follow(host("i"));
  env.pass(7_900);
  assert.equal(dialled.find(({ peer }) => peer === "i")?.closed, false);
});

test("delays the dial of a new host while the relay serves", () => {
  const { env, channels, dialled } = rig();
  channels.follow(host("h", true));
  env.pass(100);
  channels.follow(host("i", true));
  env.pass(240);
  assert.deepEqual(
    dialled.map(({ peer }) => peer),
    ["h"],
  );
  env.pass(300);
  assert.deepEqual(
    dialled.map(({ peer }) => peer),
    ["h", "i"],
  );
});

test("dials nobody without a WebSocket, and at once when it is back", () => {
  const { env, channels, dialled, setOnline } = rig();
  setOnline(false);
  channels.follow(host("h"));
  env.pass(60_000);
  assert.equal(dialled.length, 0);
  setOnline(true);
  channels.online();
  env.pass(150);
  assert.equal(dialled.length, 1);
});

test("both sides keep the same channel if both dialled", () => {
  for (const first of [0, 1]) {
    const { env, channels, story, last } = rig();
    channels.follow(host("h"));
    env.pass(100);
    const own = last();
    const other = new FakeLink("h", "dc_9");
    channels.accept(other);
    const order = first === 0 ? [own, other] : [other, own];
    order.forEach((link) => link.opens());
    assert.deepEqual([own.closed, other.closed], [true, false]);
    assert.equal(story.filter((line) => / (up|down)$/.test(line)).at(-1), "h up");
  }
});

test("sends a long message in pieces that PeerJS accepts and reassembles it", () => {
  const [a, b] = [rig(), rig()];
  const [from, to] = [new FakeLink("b", "dc_1"), new FakeLink("a", "dc_1")];
  a.channels.accept(from);
  b.channels.accept(to);
  from.opens();
  to.opens();
  const message = { t: "data", x: "ü€😀".repeat(40_000) };
  a.channels.send("b", JSON.stringify(message), "messages");
  const frames = from.sent.filter((frame) => frame[0] === "c");
  assert.ok(frames.length > 5);
  for (const frame of frames) assert.ok(new TextEncoder().encode(frame).length < 262_144);
  for (const frame of frames) to.happens("data", frame);
  assert.deepEqual(b.heard, [message]);
  assert.ok(b.story.includes("a heard"));
});

test("queues frames while the channel is full and reports back-pressure", () => {
  const { channels, story } = rig();
  const link = new FakeLink("m", "dc_1");
  channels.accept(link);
  link.opens();
  link.raw.bufferedAmount = 300 << 10;
  for (let i = 0; i < 40; i++)
    channels.send("m", JSON.stringify({ x: "x".repeat(30_000) }), "messages");
  assert.deepEqual(
    [link.sent.filter((frame) => frame[0] === "{").length, story.at(-1)],
    [0, "m high"],
  );
  link.raw.bufferedAmount = 0;
  link.drain();
  assert.deepEqual(
    [link.sent.filter((frame) => frame[0] === "{").length, story.at(-1)],
    [40, "m low"],
  );
});

test("back-pressure of messages ends with their queue, even if a snapshot fills the channel", () => {
  const { channels, story } = rig();
  const link = new FakeLink("m", "dc_1");
  channels.accept(link);
  link.opens();
  link.raw.bufferedAmount = 300 << 10;
  channels.send("m", JSON.stringify({ t: "restore", x: "x".repeat(20 << 20) }), "snapshots");
  for (let i = 0; i < 20; i++)
    channels.send("m", JSON.stringify({ x: "x".repeat(40_000) }), "messages");
  assert.equal(story.at(-1), "m high");
  // The channel takes a few frames each time and is then as full as before.
  const { send } = link.raw;
  link.raw.send = (text) => {
    send(text);
    link.raw.bufferedAmount += text.length;
  };
  for (let i = 0; i < 20; i++) {
    link.raw.bufferedAmount = 200 << 10;
    link.drain();
  }
  assert.equal(link.sent.filter((frame) => frame.startsWith("{")).length, 20);
  assert.ok(channels.hasSnapshot("m"));
  assert.equal(story.at(-1), "m low");
});

test("a waiting snapshot is reported, is no back-pressure, and is dropped when the host changes", () => {
  const { channels, story } = rig();
  const link = new FakeLink("m", "dc_1");
  channels.accept(link);
  link.opens();
  link.raw.bufferedAmount = 300 << 10;
  channels.send("m", JSON.stringify({ t: "restore", x: "x".repeat(4 << 20) }), "snapshots");
  channels.send("m", '{"t":"word"}', "messages");
  assert.ok(!story.includes("m high"));
  assert.ok(channels.hasSnapshot("m"));
  channels.dropSnapshots();
  assert.ok(!channels.hasSnapshot("m"));
  link.raw.bufferedAmount = 0;
  link.drain();
  assert.deepEqual(
    link.sent.filter((frame) => !frame.startsWith("p")),
    ['{"t":"word"}'],
  );
});

test("a channel holds 36 KB of a snapshot at most, so messages wait behind no more", () => {
  const { channels } = rig();
  const link = new FakeLink("m", "dc_1");
  channels.accept(link);
  link.opens();
  const { send } = link.raw;
  link.raw.send = (text) => {
    send(text);
    link.raw.bufferedAmount += text.length;
  };
  channels.send("m", JSON.stringify({ t: "restore", x: "x".repeat(100_000) }), "snapshots");
  assert.ok(link.raw.bufferedAmount <= 37_000, `${link.raw.bufferedAmount} bytes`);
  channels.send("m", '{"t":"word"}', "messages");
  assert.equal(link.sent.at(-1), '{"t":"word"}', "a message passes the rest of the snapshot");
  let drained = 0;
  for (; link.raw.bufferedAmount > 0; drained++) {
    assert.ok(channels.hasSnapshot("m"), "the snapshot is still on its way");
    link.raw.bufferedAmount = link.raw.bufferedAmountLowThreshold;
    link.drain();
    if (link.raw.bufferedAmount === link.raw.bufferedAmountLowThreshold)
      link.raw.bufferedAmount = 0;
  }
  assert.ok(drained >= 4, `${drained} times`);
  assert.ok(!channels.hasSnapshot("m"));
  assert.equal(link.sent.filter((frame) => frame.startsWith("c")).length, 25);
});

test("answers pings and measures the round trip", () => {
  const { env, channels, story } = rig();
  const link = new FakeLink("m", "dc_1");
  channels.accept(link);
  link.opens();
  link.happens("data", "p123.4");
  assert.equal(link.sent.at(-1), "q123.4");
  const ping = link.sent.find((frame) => frame[0] === "p") as string;
  env.freeze(25);
  link.happens("data", `q${ping.slice(1)}`);
  assert.equal(story.at(-1), "m 25 ms");
});

test("ignores frames that are no message", () => {
  const { channels, heard } = rig();
  const link = new FakeLink("m", "dc_1");
  channels.accept(link);
  link.opens();
  for (const junk of [new ArrayBuffer(3), 7, null, "", "{", "c1,2", "c1,0,2:x", "z", "qx"])
    link.happens("data", junk);
  assert.deepEqual(heard, []);
});
