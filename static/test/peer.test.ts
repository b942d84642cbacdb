// Tests what peer.ts relies on inside PeerJS. If a test fails after an update of PeerJS, peer.ts
// must be adapted.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createPeer, PeerSignalling } from "../src/peer.ts";

class FakeConnection {
  static readonly all: FakeConnection[] = [];
  signalingState = "stable";
  broken = false;
  localDescription: unknown;
  readonly channels: { label: string; init: unknown }[] = [];

  constructor(public config: object) {
    FakeConnection.all.push(this);
  }

  getConfiguration(): object {
    return { ...this.config, bundlePolicy: "balanced" };
  }

  setConfiguration(config: object): void {
    if (this.broken) throw new Error("InvalidStateError");
    this.config = config;
  }

  createDataChannel(label: string, init: unknown): unknown {
    this.channels.push({ label, init });
    return { readyState: "connecting", addEventListener() {}, close() {} };
  }

  createOffer = () => Promise.resolve({ type: "offer", sdp: "v=0" });
  createAnswer = () => Promise.resolve({ type: "answer", sdp: "v=0" });
  setLocalDescription = () => Promise.resolve();
  setRemoteDescription = () => Promise.resolve();
  addIceCandidate = () => Promise.resolve();
  close(): void {}
}
Object.assign(globalThis, { RTCPeerConnection: FakeConnection, RTCSessionDescription: class {} });

function rig(rtc: RTCConfiguration = {}) {
  const sent: {
    type: string;
    dst?: string;
    payload?: { label?: string; connectionId?: string };
  }[] = [];
  const events: string[] = [];
  const accepted: string[] = [];
  const signalling = new PeerSignalling((message) => sent.push(message as (typeof sent)[number]));
  const peer = createPeer(
    { id: "me", token: "token" },
    { host: "server", port: 443, path: "/x/", secure: true, key: "k" },
    rtc,
    signalling,
    ({ peer: id }) => accepted.push(id),
  );
  for (const name of ["open", "connection", "disconnected", "close"])
    (peer as unknown as { on(name: string, then: () => void): void }).on(name, () =>
      events.push(name),
    );
  // Outside a browser PeerJS finds no WebRTC and does not start.
  signalling.start("me", "token");
  return { signalling, peer, sent, events, accepted };
}

/** Runs microtasks only. On its first timer PeerJS finds that Node has no WebRTC, and gives up. */
const tick = async () => {
  for (let i = 0; i < 20; i++) await Promise.resolve();
};
const offer = (label: string) => ({
  type: "OFFER",
  src: "you",
  payload: {
    type: "data",
    connectionId: "dc_1",
    label,
    serialization: "raw",
    reliable: true,
    sdp: {},
  },
});

test("the peer uses the library's socket and gets only the first OPEN", () => {
  const { signalling, peer, events } = rig();
  assert.equal(peer.socket as unknown, signalling);
  signalling.opened();
  signalling.opened();
  assert.deepEqual(events, ["open"]);
  assert.equal(peer.open, true);
});

test("a group's connection is raw, reliable, and offered through the library's socket", async () => {
  const { signalling, peer, sent } = rig();
  signalling.opened();
  peer.useIce([{ urls: "stun:x" }]);
  const connection = peer.dialGroup("you");
  await tick();
  assert.equal(connection?.peer, "you");
  assert.equal(typeof connection?.connectionId, "string");
  const rtc = FakeConnection.all.at(-1);
  assert.deepEqual(rtc?.config, { iceServers: [{ urls: "stun:x" }] });
  assert.deepEqual(
    rtc?.channels.map(({ init }) => init),
    [{ ordered: true }],
  );
  assert.deepEqual(
    sent.map(({ type, dst }) => [type, dst]),
    [["OFFER", "you"]],
  );
  assert.equal(sent[0]?.payload?.label, "peerstar:group");
  assert.equal(peer.hasAppConnections("you"), false);
});

test("new ICE servers apply to future and open connections; the page's own stay first", async (t) => {
  const warned = t.mock.method(console, "warn", () => {});
  const { signalling, peer } = rig({
    iceTransportPolicy: "relay",
    iceServers: [{ urls: "turn:own" }],
  });
  signalling.opened();
  peer.dialGroup("you");
  const dialled = FakeConnection.all.at(-1) as FakeConnection;
  assert.deepEqual(dialled.config, {
    iceTransportPolicy: "relay",
    iceServers: [{ urls: "turn:own" }],
  });
  peer.dialGroup("dead");
  (FakeConnection.all.at(-1) as FakeConnection).broken = true;
  signalling.receive(offer("own"));
  const offered = FakeConnection.all.at(-1) as FakeConnection;
  assert.notEqual(offered, dialled);
  const iceServers = [{ urls: "turn:own" }, { urls: "turn:x", username: "2:me", credential: "c" }];
  peer.useIce(iceServers.slice(1));
  for (const { config } of [dialled, offered])
    assert.deepEqual(config, { iceTransportPolicy: "relay", iceServers, bundlePolicy: "balanced" });
  assert.equal(warned.mock.callCount(), 1);
  await tick();
  peer.dialGroup("another");
  assert.deepEqual(FakeConnection.all.at(-1)?.config, { iceTransportPolicy: "relay", iceServers });
});

test("a group's incoming connection goes to the library, any other to the app", async () => {
  const { signalling, events, accepted } = rig();
  signalling.opened();
  signalling.receive(offer("peerstar:group"));
  await tick();
  assert.deepEqual([accepted, events], [["you"], ["open"]]);
  signalling.receive({
    ...offer("own"),
    payload: { ...offer("own").payload, connectionId: "dc_2" },
  });
  await tick();
  assert.deepEqual([accepted, events], [["you"], ["open", "connection"]]);
});

test("an OFFER that PeerJS fails on is reported and ignored", (t) => {
  const { signalling, peer } = rig();
  t.mock.method(console, "warn", () => {});
  signalling.opened();
  signalling.receive({ type: "OFFER", src: "you" });
  signalling.receive({
    type: "OFFER",
    src: "you",
    payload: { type: "data", serialization: "none such" },
  });
  assert.equal(peer.open, true);
});

test("LEAVE closes all connections to the member that left", () => {
  const { signalling, peer } = rig();
  signalling.opened();
  const made = [peer.dialGroup("you"), peer.connect("you"), peer.connect("you")].map(
    (connection) => connection as unknown as { peerConnection: unknown },
  );
  assert.deepEqual(Object.keys(peer.connections), ["you"]);
  assert.ok(made.every(({ peerConnection }) => peerConnection));
  signalling.receive({ type: "LEAVE", src: "you" });
  assert.deepEqual(Object.keys(peer.connections), []);
  assert.deepEqual(
    made.map(({ peerConnection }) => peerConnection),
    [null, null, null],
  );
});

test("offers of data are unwanted if the app takes no connections; calls wait for the app", () => {
  const quiet = createPeer(
    { id: "me", token: "token" },
    { host: "server", port: 443, path: "/x/", secure: true, key: "k" },
    {},
    new PeerSignalling(() => {}),
    () => {},
  );
  const call = { type: "OFFER", src: "you", payload: { type: "media", connectionId: "mc_1" } };
  assert.deepEqual(
    [
      offer("peerstar:group"),
      offer("own"),
      call,
      { type: "OFFER" },
      { ...offer("own"), type: "ANSWER" },
    ].map((message) => quiet.isUnwanted(message)),
    [true, true, false, false, false],
  );
  (quiet as unknown as { on(name: string, then: () => void): void }).on("connection", () => {});
  assert.deepEqual(
    [offer("peerstar:group"), offer("own")].map((message) => quiet.isUnwanted(message)),
    [true, false],
  );
});
