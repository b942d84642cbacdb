import assert from "node:assert/strict";
import { test } from "node:test";
import { type Aim, Channels } from "../src/channels.ts";
import { FakeEnv, FakeLink } from "./rig.ts";

function rig() {
  const env = new FakeEnv();
  const dialled: FakeLink[] = [];
  const story: string[] = [];
  const heard: unknown[] = [];
  let online = true;
  const channels = new Channels(env, {
    up: (id, up) => story.push(`${id} ${up ? "up" : "down"}`),
    received: (_, message) => heard.push(message),
    heard: (id) => story.push(`${id} heard`),
    alive() {},
    pressure: (id, high) => story.push(`${id} ${high ? "high" : "low"}`),
    rtt: (id, ms) => story.push(`${id} ${ms} ms`),
    failed: (id, times) => story.push(`${id} failed ${times}`),
    connect: (id) => {
      const link = new FakeLink(id, `dc_${dialled.length}`);
      dialled.push(link);
      return link;
    },
    over() {},
    online: () => online,
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

/** Aims at a host alone. */
function host(id: string | undefined, relayed = false): Aim {
  return { host: id, deputy: undefined, serves: false, relayed };
}

/** Answers pings for so long. */
function live(env: FakeEnv, link: FakeLink, ms: number): void {
  for (let passed = 0; passed < ms; passed += 500) {
    env.pass(500);
    link.happens("data", "q0");
  }
}

test("the host is dialled once, and the channel stays as long as it is answered", () => {
  const { env, channels, dialled, story, last } = rig();
  channels.aim(host("h"));
  channels.aim(host("h"));
  env.pass(100);
  last().opens();
  live(env, last(), 60_000);
  assert.equal(dialled.length, 1);
  assert.deepEqual(
    story.filter((line) => !line.endsWith("ms")),
    ["h up"],
  );
});

test("who does not answer the dial is dialled again, later each time and not for ever more often", () => {
  const { env, channels, dialled, story } = rig();
  channels.aim(host("h"));
  env.pass(8_200);
  assert.deepEqual(story, ["h failed 1"]);
  assert.ok(dialled[0]?.closed);
  env.pass(30_000);
  assert.ok(dialled.length >= 3 && dialled.length <= 5, `${dialled.length}`);
  env.pass(300_000);
  assert.ok(dialled.length < 15, `${dialled.length}`);
});

test("silence ends it, on our side too, and it is dialled again", () => {
  const { env, channels, dialled, story, last } = rig();
  channels.aim(host("h"));
  env.pass(100);
  last().opens();
  env.pass(9_000);
  assert.deepEqual(story.slice(0, 2), ["h up", "h down"]);
  assert.ok(dialled[0]?.closed);
  env.pass(2_000);
  assert.equal(dialled.length, 2);
  // A stopped peer that comes back speaks on the old one: nobody listens.
  dialled[0]?.happens("data", '{"t":"late"}');
  assert.equal(story.filter((line) => line.includes("up")).length, 1);
});

test("a page that slept does not take its own silence for the other's", () => {
  const { env, channels, story, last } = rig();
  channels.aim(host("h"));
  env.pass(100);
  last().opens();
  env.freeze(60_000);
  env.pass(3_000);
  assert.deepEqual(story, ["h up"]);
});

test("a change of host ends no dial and closes no channel to the host before it for 30 s", () => {
  const { env, channels, dialled, last } = rig();
  channels.aim(host("h"));
  env.pass(100);
  channels.aim(host("i"));
  env.pass(100);
  assert.deepEqual(
    dialled.map(({ peer, closed }) => `${peer} ${closed}`),
    ["h false", "i false"],
  );
  dialled[0]?.opens();
  last().opens();
  live(env, last(), 5_000);
  live(env, dialled[0] as FakeLink, 5_000);
  channels.aim(host("h"));
  env.pass(100);
  assert.equal(dialled.length, 2, "the channel to h is there already");
  for (let s = 0; s < 29; s++) dialled.forEach((link) => live(env, link, 500));
  assert.equal(dialled[1]?.closed, false);
  for (let s = 0; s < 40; s++) dialled.forEach((link) => live(env, link, 500));
  assert.deepEqual([dialled[0]?.closed, dialled[1]?.closed], [false, true]);
});

test("whoever others rely on closes no channel to a former host", () => {
  const { env, channels, dialled, last } = rig();
  channels.aim(host("h"));
  env.pass(100);
  last().opens();
  channels.aim({ ...host(undefined), serves: true });
  for (let s = 0; s < 200; s++) live(env, last(), 500);
  assert.equal(dialled[0]?.closed, false);
  channels.aim({ ...host("i"), serves: false });
  for (let s = 0; s < 70; s++) live(env, dialled[0] as FakeLink, 500);
  assert.equal(dialled[0]?.closed, true);
});

test("the deputy is dialled beside the host, and is there at once when it hosts", () => {
  const { env, channels, dialled } = rig();
  channels.aim({ ...host("h"), deputy: "d" });
  env.pass(100);
  assert.deepEqual(dialled.map(({ peer }) => peer).sort(), ["d", "h"]);
  env.pass(1_000);
  dialled.forEach((link) => link.opens());
  const reached = channels.reached();
  assert.deepEqual(Object.keys(reached).sort(), ["d", "h"]);
  assert.ok(
    Object.values(reached).every((ms) => ms > 900 && ms < 1_200),
    JSON.stringify(reached),
  );
  channels.aim(host("d"));
  env.pass(100);
  assert.equal(dialled.length, 2);
  assert.deepEqual(Object.keys(channels.reached()), ["d"]);
});

test("a dial lasts as long as the server calls fair, and no less than before", () => {
  const { env, channels, dialled } = rig();
  channels.allow(20_000);
  channels.aim(host("h"));
  env.pass(19_900);
  assert.equal(dialled[0]?.closed, false);
  env.pass(300);
  assert.equal(dialled[0]?.closed, true);
  channels.allow(300);
  channels.aim(host("i"));
  env.pass(7_900);
  assert.equal(dialled.find(({ peer }) => peer === "i")?.closed, false);
});

test("another host, and a relay until then: dialling it waits until the page goes on", () => {
  const { env, channels, dialled } = rig();
  channels.aim(host("h", true));
  env.pass(100);
  channels.aim(host("i", true));
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

test("without a WebSocket nobody is dialled; with it again, at once", () => {
  const { env, channels, dialled, setOnline } = rig();
  setOnline(false);
  channels.aim(host("h"));
  env.pass(60_000);
  assert.equal(dialled.length, 0);
  setOnline(true);
  channels.online();
  env.pass(150);
  assert.equal(dialled.length, 1);
});

test("when both sides dialled, both keep the same one", () => {
  for (const first of [0, 1]) {
    const { env, channels, story, last } = rig();
    channels.aim(host("h"));
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

test("long messages go in pieces, of which PeerJS takes each, and are whole again", () => {
  const [a, b] = [rig(), rig()];
  const [from, to] = [new FakeLink("b", "dc_1"), new FakeLink("a", "dc_1")];
  a.channels.accept(from);
  b.channels.accept(to);
  from.opens();
  to.opens();
  const message = { t: "data", x: "ü€😀".repeat(40_000) };
  a.channels.send("b", JSON.stringify(message), false);
  const frames = from.sent.filter((frame) => frame[0] === "c");
  assert.ok(frames.length > 5);
  for (const frame of frames) assert.ok(new TextEncoder().encode(frame).length < 262_144);
  for (const frame of frames) to.happens("data", frame);
  assert.deepEqual(b.heard, [message]);
  assert.ok(b.story.includes("a heard"));
});

test("what the channel does not take yet waits, and is told of as pressure", () => {
  const { channels, story } = rig();
  const link = new FakeLink("m", "dc_1");
  channels.accept(link);
  link.opens();
  link.raw.bufferedAmount = 300 << 10;
  for (let i = 0; i < 40; i++) channels.send("m", JSON.stringify({ x: "x".repeat(30_000) }), false);
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

test("talk that waits behind more talk is pressure no longer than that, though a state fills the channel", () => {
  const { channels, story } = rig();
  const link = new FakeLink("m", "dc_1");
  channels.accept(link);
  link.opens();
  link.raw.bufferedAmount = 300 << 10;
  channels.send("m", JSON.stringify({ t: "restore", x: "x".repeat(20 << 20) }), true);
  for (let i = 0; i < 20; i++) channels.send("m", JSON.stringify({ x: "x".repeat(40_000) }), false);
  assert.equal(story.at(-1), "m high");
  // The channel takes a few frames each time, and is as full again.
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
  assert.ok(channels.hasState("m"));
  assert.equal(story.at(-1), "m low");
});

test("a state on its way is told of, is no pressure, and goes no further when there is another host", () => {
  const { channels, story } = rig();
  const link = new FakeLink("m", "dc_1");
  channels.accept(link);
  link.opens();
  link.raw.bufferedAmount = 300 << 10;
  channels.send("m", JSON.stringify({ t: "restore", x: "x".repeat(4 << 20) }), true);
  channels.send("m", '{"t":"word"}', false);
  assert.ok(!story.includes("m high"));
  assert.ok(channels.hasState("m"));
  channels.turn();
  assert.ok(!channels.hasState("m"));
  link.raw.bufferedAmount = 0;
  link.drain();
  assert.deepEqual(
    link.sent.filter((frame) => !frame.startsWith("p")),
    ['{"t":"word"}'],
  );
});

test("a channel holds 36 KB of a state at most, so messages wait behind no more", () => {
  const { channels } = rig();
  const link = new FakeLink("m", "dc_1");
  channels.accept(link);
  link.opens();
  const { send } = link.raw;
  link.raw.send = (text) => {
    send(text);
    link.raw.bufferedAmount += text.length;
  };
  channels.send("m", JSON.stringify({ t: "restore", x: "x".repeat(100_000) }), true);
  assert.ok(link.raw.bufferedAmount <= 37_000, `${link.raw.bufferedAmount} bytes`);
  channels.send("m", '{"t":"word"}', false);
  assert.equal(
    link.sent.at(-1),
    '{"t":"word"}',
    "a message waits for no state outside the channel",
  );
  let drained = 0;
  for (; link.raw.bufferedAmount > 0; drained++) {
    assert.ok(channels.hasState("m"), "the state is still on its way");
    link.raw.bufferedAmount = link.raw.bufferedAmountLowThreshold;
    link.drain();
    if (link.raw.bufferedAmount === link.raw.bufferedAmountLowThreshold)
      link.raw.bufferedAmount = 0;
  }
  assert.ok(drained >= 4, `${drained} times`);
  assert.ok(!channels.hasState("m"));
  assert.equal(link.sent.filter((frame) => frame.startsWith("c")).length, 25);
});

test("pings are answered, and measure", () => {
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

test("what is no message harms nobody", () => {
  const { channels, heard } = rig();
  const link = new FakeLink("m", "dc_1");
  channels.accept(link);
  link.opens();
  for (const junk of [new ArrayBuffer(3), 7, null, "", "{", "c1,2", "c1,0,2:x", "z", "qx"])
    link.happens("data", junk);
  assert.deepEqual(heard, []);
});
