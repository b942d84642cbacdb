// Messages and closes as tests/fixtures has them: the library reads what the server writes, and writes what it reads. The
// server's core is held to the same files by src/core/tests/fixtures.rs.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import {
  parseDeputy,
  parseRosterEntry,
  parseHost,
  isSocketLost,
  parseAlone,
  parseOpen,
} from "../src/payload.ts";
import { Relay } from "../src/relay.ts";
import { Shell } from "../src/shell.ts";
import { isTerminal } from "../src/retry.ts";
import { ServerSocket } from "../src/socket.ts";
import type { Close, ServerMessage } from "../src/socket-types.ts";
import { FakeEnv, FakeLink, FakePage } from "./rig.ts";

const FIXTURES = "../tests/fixtures";
const EPOCH = 1_795_425_719_930;

/** Returns the frames of a file, exactly as they stand in it: one a line. */
function frames(file: string): string[] {
  const lines = readFileSync(`${FIXTURES}/${file}.json`, "utf8").trim().split("\n");
  assert.deepEqual([lines[0], lines.at(-1)], ["[", "]"], file);
  return lines.slice(1, -1).map((line) => line.replace(/,$/, ""));
}

function messages(file: string): ServerMessage[] {
  return frames(file).map((text) => JSON.parse(text) as ServerMessage);
}

function kinds(folder: string): string[] {
  return readdirSync(`${FIXTURES}/${folder}`)
    .map((name) => name.replace(/\.json$/, ""))
    .sort();
}

/** Returns a socket that the server has let in, and what its hooks were told. */
function openSocket() {
  const env = new FakeEnv();
  const said: ServerMessage[] = [];
  const ends: Close[] = [];
  const routes = { health: "http://server/health", leave: "http://server/leave" };
  const socket = new ServerSocket(
    env,
    { routes: () => routes, url: () => "ws://server/" },
    {
      message: (message) => said.push(message),
      lost() {},
      ended: (close) => ends.push(close),
      proved() {},
      failed() {},
    },
  );
  socket.dial();
  env.last.opens();
  return { env, socket, said, ends };
}

// --- to the client ---

const TERMS = {
  open: {
    host: "ann",
    epoch: EPOCH,
    resumeMs: 30_000,
    fairMs: 7500,
    upMs: 86_400_000,
    returnMs: 4000,
  },
  expireMs: 5000,
  profileBytes: 2048,
  ice: [{ urls: ["stun:stun.example.org"] }],
} as const;

const readers: Readonly<Record<string, (message: ServerMessage) => unknown>> = {
  open: ({ payload }) => [parseOpen(payload), parseDeputy(payload)],
  host: ({ payload }) => [parseHost(payload), parseDeputy(payload)],
  join: ({ payload }) => parseRosterEntry(payload),
  leave: ({ src, payload }) => [src, isSocketLost(payload)],
  deputy: ({ payload }) => parseDeputy(payload),
  alone: ({ payload }) => parseAlone(payload),
};

const read: Readonly<Record<string, readonly unknown[]>> = {
  open: [
    [undefined, undefined],
    [
      {
        ...TERMS,
        open: {
          ...TERMS.open,
          members: 1,
          relay: true,
          recovering: false,
          roster: [{ id: "ann", group: true, can: ["zip", "x-1"], profile: { name: "Ann" } }],
        },
        p2p: true,
        limits: { maxMessageBytes: 65_536, queueBytes: 1_048_576 },
      },
      undefined,
    ],
    [
      {
        ...TERMS,
        open: { ...TERMS.open, members: 2, relay: false, recovering: true, alone: true },
        p2p: true,
        limits: { maxMessageBytes: 65_536, queueBytes: 1_048_576 },
      },
      "bob",
    ],
  ],
  host: [
    [{ host: "cyd", epoch: 1_795_425_764_512, cause: "left", fairMs: 7500 }, undefined],
    [{ host: "cyd", epoch: 1_795_425_764_512, cause: "left", fairMs: 7500 }, "bob"],
    [
      {
        host: "cyd",
        epoch: 1_795_425_764_512,
        cause: "left",
        fairMs: 7500,
        roster: [
          { id: "bob", group: false },
          { id: "cyd", group: true, relay: false },
        ],
      },
      undefined,
    ],
  ],
  join: [
    { id: "bob", group: false },
    { id: "bob", group: true, can: ["zip", "x-1"], relay: false, profile: { name: "Bob" } },
  ],
  leave: [
    ["bob", false],
    ["bob", true],
  ],
  deputy: ["bob", undefined],
  alone: [true, false],
};

for (const [kind, expected] of Object.entries(read))
  test(`the library reads ${kind}.json`, () => {
    assert.deepEqual(messages(`to-client/${kind}`).map(readers[kind] as never), expected);
  });

/** Kinds that the socket hands on as they came: PeerJS, the relay or the shell reads their payloads. */
const HANDED_ON = ["expire", "ice", "relay", "signal"];

for (const kind of HANDED_ON)
  test(`the socket hands on ${kind}.json as it came`, () => {
    const { env, said } = openSocket();
    said.length = 0;
    for (const message of messages(`to-client/${kind}`)) env.last.says(message);
    assert.deepEqual(said, messages(`to-client/${kind}`));
  });

test("a refusal that ends a connection comes with its reason, and is final unless it says retry", () => {
  for (const { payload } of messages("to-client/refusal")) {
    const { msg, code, retry } = payload as { msg: string; code: number; retry: boolean };
    const { env, ends } = openSocket();
    env.last.says({ type: "ERROR", payload: payload as object });
    env.last.ends(1006);
    assert.deepEqual(ends, retry ? [] : [{ code, reason: msg }]);
  }
});

test("RESTART names a close that is worth coming back from, and how soon", () => {
  const [restart] = messages("to-client/restart");
  const { retryMs, code } = (restart as ServerMessage).payload as { retryMs: number; code: number };
  const { env } = openSocket();
  env.last.says(restart as object);
  env.last.ends(code);
  env.pass(retryMs - 1);
  assert.equal(env.sockets.length, 1);
  env.pass(retryMs);
  assert.equal(env.sockets.length, 2);
});

test("every kind of message of the server is read", () => {
  const tested = [...Object.keys(read), ...HANDED_ON, "refusal", "restart", "heartbeat", "probe"];
  assert.deepEqual(kinds("to-client"), tested.sort());
});

// --- to the server ---

test("HEARTBEAT is answered by the server, PROBE by the library", () => {
  const { env, socket } = openSocket();
  socket.wake();
  socket.prove(EPOCH);
  assert.deepEqual(env.last.sent, frames("to-server/heartbeat"));
  assert.deepEqual(frames("to-server/heartbeat"), frames("to-client/heartbeat"));
  env.last.sent.length = 0;
  env.last.says(messages("to-client/probe")[0] as object);
  assert.deepEqual(env.last.sent, frames("to-server/probe"));
});

test("a page that leaves says LEAVE", () => {
  const { env, socket } = openSocket();
  socket.leave();
  assert.deepEqual(env.last.sent, frames("to-server/leave"));
});

test("the relay writes relay.json", () => {
  const { env, socket } = openSocket();
  const relay = new Relay(env, socket, { feed() {}, measured() {} });
  relay.send(undefined, '{"n":1}', "messages");
  relay.send("bob", '{"n":1}', "messages");
  assert.deepEqual(
    env.last.sent.filter((text) => text.includes('"n":1')),
    frames("to-server/relay"),
  );
});

/** Returns the shell of `me`, let in where `ann` hosts, or where it hosts itself, and what it sent since. */
function openShell(
  host: string,
  { profile, visible = true, p2p = true }: { profile?: unknown; visible?: boolean; p2p?: boolean },
) {
  const env = new FakeEnv();
  env.alive = true;
  const page = new FakePage();
  page.visible = visible;
  const shell = new Shell(env, { id: "me", profile, p2p }, page, () => {});
  shell.start();
  const roster =
    host === "me"
      ? {
          roster: [
            { id: "me", group: 2 },
            { id: "bob", group: 2 },
          ],
        }
      : {};
  env.last.opens({ host, epoch: EPOCH, members: 2, p2p, relay: {}, resumeMs: 30_000, ...roster });
  const sent = (type: string): string[] =>
    env.last.sent.filter((text) => (JSON.parse(text) as { type: string }).type === type);
  return { env, shell, sent };
}

test("the shell writes status.json", async () => {
  const [first, hidden, without, relay, channels] = frames("to-server/status");
  const { env, shell, sent } = openShell("ann", { profile: { name: "Bob" } });
  shell.setProfile(null);
  await env.settle();
  const link = new FakeLink("ann", "dc_ann");
  shell.accept(link);
  link.opens();
  await env.settle();
  assert.deepEqual(sent("STATUS"), [first, without, relay, channels]);
  assert.deepEqual(openShell("ann", { visible: false, p2p: false }).sent("STATUS"), [hidden]);
});

test("the shell writes suspect.json and trust.json", async () => {
  const { env, sent } = openShell("ann", {});
  for (let s = 0; s < 10; s++) {
    env.pass(1000);
    await env.settle();
  }
  assert.deepEqual(sent("SUSPECT").slice(0, 1), frames("to-server/suspect"));
  const at = { r: EPOCH, e: EPOCH, s: 0 };
  const beat = { t: "beat", e: EPOCH, at, sent: 0, w: [], k: 1, cause: "left" };
  env.last.says({ type: "RELAY", src: "ann", payload: beat });
  await env.settle();
  assert.deepEqual(sent("TRUST"), frames("to-server/trust"));
});

test("the shell writes resign.json", async () => {
  const [named] = frames("to-server/resign");
  const { env, shell, sent } = openShell("me", {});
  for (let s = 0; s < 5; s++) {
    env.pass(1000);
    await env.settle();
  }
  shell.resign("bob");
  await env.settle();
  assert.deepEqual(sent("RESIGN"), [named]);
});

test("the shell sends what PeerJS signals as it is", () => {
  const { shell, env } = openShell("ann", {});
  env.last.sent.length = 0;
  for (const text of frames("to-server/signal")) shell.signal(JSON.parse(text) as object);
  assert.deepEqual(env.last.sent, frames("to-server/signal"));
});

test("every kind of message of a client is written", () => {
  assert.deepEqual(kinds("to-server"), [
    "heartbeat",
    "leave",
    "probe",
    "relay",
    "resign",
    "signal",
    "status",
    "suspect",
    "trust",
  ]);
});

// --- closes ---

interface CloseRow {
  readonly code: number;
  readonly name: string;
  readonly retry: boolean;
}

test("the library comes back after the closes that say so, and after no other", () => {
  const rows = JSON.parse(readFileSync(`${FIXTURES}/closes.json`, "utf8")) as readonly CloseRow[];
  for (const { code, name, retry } of rows) {
    // Only a page that said LEAVE is closed with `left`: it dials no more by itself.
    if (name !== "left") assert.equal(isTerminal(code), !retry, `${code} ${name}`);
  }
});
