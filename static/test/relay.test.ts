import assert from "node:assert/strict";
import { test } from "node:test";
import { RELAY_LIMITS, type RelayLimits } from "../src/payload.ts";
import { Relay } from "../src/relay.ts";
import { ServerSocket } from "../src/socket.ts";
import { FakeEnv } from "./rig.ts";

interface Frame {
  readonly type: string;
  readonly dst?: string;
  readonly payload: {
    readonly r?: string;
    readonly n?: number;
    readonly k?: number;
    readonly x?: string;
  };
}

function rig(limits: Partial<RelayLimits> = {}) {
  const env = new FakeEnv();
  const heard: [string, unknown][] = [];
  const pressure: string[] = [];
  const rtts: number[] = [];
  const inPieces: string[] = [];
  const address = {
    routes: () => ({ health: "http://x/health", leave: "http://server/leave" }),
    url: () => "ws://x",
  };
  const socket = new ServerSocket(env, address, {
    lost() {},
    ended() {},
    proved() {},
    failed() {},
    message: ({ type, src, payload }) => type === "RELAY" && relay.received(src as string, payload),
  });
  const relay: Relay = new Relay(env, socket, {
    feed(event) {
      if (event.type === "received") heard.push([event.from, event.message]);
      if (event.type === "heard") inPieces.push(event.from);
      if (event.type === "pressure") pressure.push(`${event.link} ${event.high ? "high" : "low"}`);
    },
    measured: (_, ms) => rtts.push(ms),
  });
  socket.dial();
  env.last.opens();
  relay.open({ ...RELAY_LIMITS, ...limits });
  const frames = (): Frame[] => env.last.sent.map((text) => JSON.parse(text) as Frame);
  /** Passes the frames on to another member, as the server does. */
  const passOn = (to: { socket: typeof env.last }, from: string): void => {
    for (const { payload } of frames()) to.socket.says({ type: "RELAY", src: from, payload });
  };
  return { env, relay, heard, inPieces, pressure, rtts, frames, passOn };
}

test("a short message is one frame, with or without dst", () => {
  const { relay, frames } = rig();
  relay.send("you", '{"t":"x"}', "messages");
  relay.send(undefined, '{"t":"y"}', "messages");
  assert.deepEqual(frames(), [
    { type: "RELAY", dst: "you", payload: { t: "x" } },
    { type: "RELAY", payload: { t: "y" } },
  ]);
});

test("a long message goes in frames that the server accepts and is reassembled", () => {
  const [a, b] = [rig({ maxMessageBytes: 8192 }), rig()];
  const message = { t: "data", x: 'ü€😀"\\'.repeat(5000) };
  a.relay.send("b", JSON.stringify(message), "messages");
  for (const text of a.env.last.sent) assert.ok(new TextEncoder().encode(text).length <= 8192);
  assert.ok(a.env.last.sent.length > 5);
  a.passOn({ socket: b.env.last }, "a");
  assert.deepEqual(b.heard, [["a", message]]);
  assert.deepEqual(b.inPieces, ["a"], "reported at once, and not with every piece");
});

test("frames wait while the socket is full, and back-pressure is reported", () => {
  const { env, relay, pressure, frames } = rig();
  env.last.bufferedAmount = 300 << 10;
  for (let i = 0; i < 60; i++)
    relay.send(undefined, JSON.stringify({ t: "x", x: "x".repeat(10_000) }), "messages");
  assert.deepEqual([frames().length, pressure], [0, ["relay high"]]);
  env.last.bufferedAmount = 0;
  env.pass(50);
  assert.deepEqual([frames().length, pressure], [60, ["relay high", "relay low"]]);
});

test("a slow member gets no more than its window; the others do not wait for it", () => {
  const { env, relay, frames } = rig();
  const big = JSON.stringify({ t: "data", x: "x".repeat(48_000) });
  for (let i = 0; i < 20; i++) relay.send("slow", big, "messages");
  const toSlow = () =>
    frames().filter(({ dst, payload }) => dst === "slow" && payload.r === undefined).length;
  assert.ok(toSlow() >= 8 && toSlow() <= 10, `${toSlow()}`);
  relay.send("quick", '{"t":"x"}', "messages");
  assert.equal(frames().at(-1)?.dst, "quick");
  for (let i = 0; i < 20; i++) {
    const mark = frames()
      .filter(({ dst, payload }) => dst === "slow" && payload.r === "m")
      .at(-1);
    env.last.says({ type: "RELAY", src: "slow", payload: { r: "e", n: mark?.payload.n } });
  }
  assert.equal(toSlow(), 20);
});

test("snapshots have back-pressure of their own; messages to all go on", () => {
  const { env, relay, pressure, frames } = rig();
  env.last.bufferedAmount = 300 << 10;
  const big = JSON.stringify({ t: "restore", x: "x".repeat(2 << 20) });
  for (const to of ["a", "b", "c"]) relay.send(to, big, "snapshots");
  relay.send(undefined, '{"t":"data"}', "messages");
  assert.deepEqual(pressure, ["states high"]);
  env.last.bufferedAmount = 0;
  env.pass(50);
  assert.ok(
    frames()
      .slice(0, 2)
      .some(({ payload }) => (payload as { t?: string }).t === "data"),
  );
  assert.deepEqual(pressure, ["states high", "states low"]);
});

test("a snapshot gets through a socket that is slower than the messages", () => {
  const { env, relay, pressure, frames } = rig();
  const state = JSON.stringify({ t: "restore", x: "x".repeat(1 << 20) });
  env.last.alive = true;
  relay.send("you", state, "snapshots");
  let [seen, of, said] = [0, 0, 0];
  for (let ms = 0; ms < 20_000; ms += 50) {
    // Messages of 500 KB a second are sent while there is no back-pressure. The socket passes on
    // 300 KB.
    for (
      let i = 0;
      i < 5 && pressure.filter((word) => word.startsWith("relay")).at(-1) !== "relay high";
      i++
    ) {
      relay.send(undefined, JSON.stringify({ t: "data", x: "x".repeat(5000) }), "messages");
      said++;
    }
    env.last.bufferedAmount = Math.max(0, env.last.bufferedAmount - 15_000);
    env.pass(50);
    for (const frame of frames().slice(seen)) {
      const { dst, payload = {} } = frame;
      env.last.bufferedAmount += JSON.stringify(frame).length;
      if (payload.r === "m")
        env.last.says({ type: "RELAY", src: dst, payload: { r: "e", n: payload.n } });
      else if (dst === "you") of++;
    }
    seen = frames().length;
  }
  assert.ok(!relay.hasSnapshot("you"), `${of} pieces of the state went`);
  assert.ok(said > 100, `${said} were said meanwhile`);
  assert.equal(
    pressure.filter((word) => word.startsWith("states")).at(-1),
    "states low",
    "and another may go",
  );
});

test("messages that keep the socket full do not hold up a snapshot", () => {
  const { env, relay, pressure, frames } = rig();
  const state = JSON.stringify({ t: "restore", x: "x".repeat(350_000) });
  let full = true;
  const gone = (): boolean =>
    frames().reduce((sum, { payload }) => sum + (payload.x?.length ?? 0), 0) >= 2 * state.length;
  Object.defineProperty(env.last, "bufferedAmount", {
    get: () => (full || gone() ? 300 << 10 : 0),
  });
  for (const to of ["a", "b"]) relay.send(to, state, "snapshots");
  full = false;
  env.pass(50);
  assert.ok(gone());
  assert.deepEqual(pressure, ["states high"]);
  relay.send(undefined, '{"t":"data"}', "messages");
  assert.deepEqual(pressure, ["states high", "states low"]);
});

test("a member that never echoes is assumed to have lost its messages", () => {
  const { env, relay, frames } = rig();
  const big = JSON.stringify({ t: "data", x: "x".repeat(48_000) });
  for (let i = 0; i < 20; i++) relay.send("gone", big, "messages");
  const before = frames().length;
  env.pass(5000);
  relay.send("gone", '{"t":"x"}', "messages");
  assert.equal(frames().filter(({ type }) => type === "RELAY").length, before + 1);
});

test("snapshots and messages alternate", () => {
  const { env, relay, frames } = rig();
  env.last.bufferedAmount = 300 << 10;
  for (let i = 0; i < 5; i++) relay.send(undefined, '{"t":"restore"}', "snapshots");
  for (let i = 0; i < 2; i++) relay.send(undefined, '{"t":"data"}', "messages");
  env.last.bufferedAmount = 0;
  relay.drain();
  assert.deepEqual(
    frames().map(({ payload }) => (payload as { t?: string }).t),
    ["data", "restore", "data", "restore", "restore", "restore", "restore"],
  );
});

/** Returns a rig with a snapshot of 8 MB and a member that echoes only when the test says. */
function stuffed() {
  const made = rig();
  const big = JSON.stringify({ t: "restore", x: "x".repeat(8 << 20) });
  const passed = (): number =>
    made.frames().filter(({ dst, payload }) => dst === "slow" && payload.r === undefined).length;
  const echo = (): void => {
    const mark = made
      .frames()
      .filter(({ dst, payload }) => dst === "slow" && payload.r === "m")
      .at(-1);
    made.env.last.says({ type: "RELAY", src: "slow", payload: { r: "e", n: mark?.payload.n } });
  };
  return { ...made, big, passed, echo };
}

test("a snapshot is under way until its last frame is sent, or the member echoes nothing for long", () => {
  const { env, relay, big, passed, echo } = stuffed();
  relay.send("slow", big, "snapshots");
  assert.ok(relay.hasSnapshot("slow") && !relay.hasSnapshot("another"));
  for (let i = 0; i < 100; i++) echo();
  assert.ok(!relay.hasSnapshot("slow"));
  const pieces = passed();
  assert.ok(pieces > 120 && pieces < 140, `${pieces}`);
  relay.send("slow", big, "snapshots");
  env.freeze(5000);
  assert.ok(!relay.hasSnapshot("slow"));
});

test("a message to a member overtakes the snapshot on its way to it", () => {
  const { relay, big, frames, echo } = stuffed();
  relay.send("slow", big, "snapshots");
  relay.send("slow", '{"t":"word"}', "messages");
  const said = (): number =>
    frames().findIndex(({ payload }) => (payload as { t?: string }).t === "word");
  assert.equal(said(), -1);
  echo();
  assert.ok(said() > 0);
});

test("frames that wait for a member are dropped when it leaves or the host changes", () => {
  for (const end of [
    (relay: Relay) => relay.forget("slow"),
    (relay: Relay) => relay.hostChanged(),
  ]) {
    const { relay, big, passed, echo } = stuffed();
    relay.send("slow", big, "snapshots");
    const before = passed();
    end(relay);
    for (let i = 0; i < 100; i++) echo();
    assert.equal(passed(), before);
    relay.send("slow", '{"t":"x"}', "messages");
    assert.equal(passed(), before + 1);
  }
});

test("a ping is answered and measures the round trip", () => {
  const [a, b] = [rig(), rig()];
  a.relay.ping("b", undefined);
  b.env.last.says({ type: "RELAY", src: "a", payload: a.frames().at(-1)?.payload });
  a.env.freeze(40);
  a.env.last.says({ type: "RELAY", src: "b", payload: b.frames().at(-1)?.payload });
  assert.deepEqual(a.rtts, [40]);
  a.relay.ping("b", 40);
  b.env.last.says({ type: "RELAY", src: "a", payload: a.frames().at(-1)?.payload });
  assert.deepEqual(b.rtts, [40]);
});

/** Returns the size of a text in bytes, as the server counts it. */
const bytes = (text: string): number => new TextEncoder().encode(text).length;

test("bytes under way to one member stay below half of the server's queue", () => {
  for (const queueBytes of [1 << 20, 131_072, 16_384]) {
    for (const character of ["x", "ü", "界", "😀"]) {
      const { env, relay } = rig({ queueBytes, maxMessageBytes: 131_072 });
      relay.send(
        "you",
        JSON.stringify({ t: "restore", x: character.repeat(queueBytes) }),
        "snapshots",
      );
      const sent = env.last.sent.map(bytes).reduce((sum, n) => sum + n, 0);
      assert.ok(sent <= queueBytes / 2, `${sent} of ${queueBytes} bytes, in ${character}`);
      assert.ok(sent >= queueBytes / 4, `${sent} of ${queueBytes} bytes, in ${character}`);
      // The echo of a mark lets the next frames pass.
      const mark = (): { payload: { r?: string; n: number } } | undefined =>
        env.last.sent
          .map((text) => JSON.parse(text) as { payload: { r?: string; n: number } })
          .filter(({ payload }) => payload.r === "m")
          .at(-1);
      const [before, first] = [env.last.sent.length, mark()];
      assert.ok(first && first.payload.n > queueBytes / 4, "marks count bytes");
      env.last.says({ type: "RELAY", src: "you", payload: { r: "e", n: first.payload.n } });
      assert.ok(env.last.sent.length > before + 2);
    }
  }
});

test("no frame exceeds the server's limit, whatever its content and receiver", () => {
  const [mine, yours] = ["m".repeat(128), "\\".repeat(128)];
  for (const maxMessageBytes of [1024, 2048, 65_536]) {
    const { env, relay, heard } = rig({ maxMessageBytes });
    const message = { t: "data", x: 'ü€😀"\\界'.repeat(8000) };
    const joined: [string, unknown][] = [];
    const other = rig();
    for (const to of [yours, undefined]) relay.send(to, JSON.stringify(message), "messages");
    for (let i = 0; i < 50; i++) {
      env.pass(50);
      const mark = env.last.sent
        .map((text) => JSON.parse(text) as Frame)
        .filter(({ payload }) => payload.r === "m")
        .at(-1);
      if (mark)
        env.last.says({ type: "RELAY", src: yours, payload: { r: "e", n: mark.payload.n } });
    }
    for (const text of env.last.sent) {
      const { dst, payload } = JSON.parse(text) as Frame;
      assert.ok(bytes(text) <= 131_072);
      const delivered = bytes(JSON.stringify({ type: "RELAY", src: mine, payload }));
      assert.ok(delivered <= maxMessageBytes, `${delivered} of ${maxMessageBytes}`);
      if (payload.r === undefined)
        other.env.last.says({ type: "RELAY", src: dst ?? "all", payload });
    }
    joined.push(...(other.heard as [string, unknown][]));
    assert.deepEqual(joined.map(([from]) => from).sort(), [yours, "all"].sort());
    for (const [, whole] of joined) assert.deepEqual(whole, message);
    assert.deepEqual(heard, []);
  }
});

test("waiting frames are measured in bytes, like the socket's own buffer", () => {
  const { env, relay, pressure } = rig();
  env.last.bufferedAmount = 256 << 10;
  for (let i = 0; i < 10; i++)
    relay.send(undefined, JSON.stringify({ t: "x", x: "界".repeat(10_000) }), "messages");
  assert.deepEqual(pressure, ["relay high"], "300 KB wait, in 100,000 characters");
});
