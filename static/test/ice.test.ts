import assert from "node:assert/strict";
import { test } from "node:test";
import { objection, acceptServers } from "../src/ice.ts";

/** Stands for a browser that accepts addresses with a scheme, and TURN only with credentials. */
function make({ iceServers = [], iceTransportPolicy }: RTCConfiguration): void {
  if (iceTransportPolicy && !["all", "relay"].includes(iceTransportPolicy))
    throw new TypeError(`"${iceTransportPolicy as string}" is not a valid enum value`);
  for (const { urls, username } of iceServers) {
    for (const url of [urls].flat()) {
      if (!/^(stun|turn)s?:/.test(url)) throw new SyntaxError(`"${url}" is not a valid URL`);
      if (url.startsWith("turn") && !username)
        throw new Error("both username and credential are required");
    }
  }
}

const [stun, turn, bare, poor] = [
  { urls: ["stun:a"] },
  { urls: "turn:b", username: "u", credential: "c" },
  { urls: ["stun.example.org"] },
  { urls: ["turn:x", "turns:x"] },
];

test("servers that the browser accepts are all used", () => {
  assert.deepEqual(acceptServers({}, [stun, turn], make), {
    servers: [stun, turn],
    problem: undefined,
  });
  assert.deepEqual(acceptServers({ iceServers: [turn] }, [], make), {
    servers: [],
    problem: undefined,
  });
});

test("servers that the browser refuses are left out and named; the others are used", () => {
  const { servers, problem } = acceptServers(
    { iceTransportPolicy: "relay" },
    [bare, stun, poor, turn],
    make,
  );
  assert.deepEqual(servers, [stun, turn]);
  assert.equal(
    problem,
    'stun.example.org: "stun.example.org" is not a valid URL; turn:x, turns:x: both username and credential are required',
  );
});

test("servers that are refused only in combination are all left out, with the browser's words", () => {
  const crowd = ({ iceServers = [] }: RTCConfiguration): void => {
    if (iceServers.length > 1) throw new Error("too many");
  };
  assert.deepEqual(acceptServers({}, [stun, turn], crowd), { servers: [], problem: "too many" });
});

test("entries that are no servers are left out", () => {
  const strict = ({ iceServers = [] }: RTCConfiguration): void => {
    for (const server of iceServers)
      if (typeof server !== "object" || server === null) throw new TypeError("no dictionary");
  };
  assert.deepEqual(acceptServers({}, [null, 7, stun] as unknown as RTCIceServer[], strict), {
    servers: [stun],
    problem: "undefined: no dictionary; undefined: no dictionary",
  });
});

test("a page's own configuration is tried unchanged", () => {
  assert.equal(objection({ iceServers: [stun] }, make), undefined);
  assert.equal(
    objection({ iceTransportPolicy: "none" as RTCIceTransportPolicy }, make),
    '"none" is not a valid enum value',
  );
  // Node has no WebRTC to try a configuration with.
  assert.equal(objection({ iceServers: [bare] }), undefined);
});
