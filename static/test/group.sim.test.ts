// Simulates thousands of whole groups on the real page. Every guarantee holds in each, and every fault occurs.

import assert from "node:assert/strict";
import { test } from "node:test";
import { simulate, trace } from "../sim/run.ts";

const SCHEDULES = Number(process.env["PEERSTAR_SIM_SCHEDULES"] ?? 5000);
const SEED = Number(process.env["PEERSTAR_SIM_SEED"] ?? 1);

/** Events that must occur in 1,000 schedules or more, which prove little without them. */
const EXERCISED = [
  "join",
  "link opened",
  "rejected Backpressure",
  "rejected TooLarge",
  "rejected Uncertain",
  "rejected Closed",
  "fault: crash",
  "fault: leave",
  "fault: freeze",
  "fault: resign",
  "fault: server restart",
  "fault: socket lost",
  "fault: slow member",
  "fault: cut off, unnoticed",
  "fault: profile changed",
  "fault: socket closed with 1001",
  "fault: lies",
  "others know of a later epoch",
  "fault: link lost",
  "fault: link lost, one end unaware",
  "fault: link blocked",
  "fault: crash, and the next in take-over",
  "fault: new host dies while taking over",
  "message ack",
  "message ask",
  "message at",
  "message beat",
  "message bye",
  "message data",
  "message fence",
  "message fill",
  "message need",
  "message pull",
  "message restore",
  "message send",
  "message snap",
  "message want",
  "recovered log complete",
  "recovered log complete (joiner)",
  "recovered log incomplete",
  "recovered none incomplete",
  "recovered none incomplete (joiner)",
  "recovered snapshot complete",
  "recovered snapshot complete (joiner)",
  "recovered snapshot incomplete",
  "host: asks the server whether it still is",
  "take-over: an answer was overtaken before",
  "server: closes, replaced",
  "server: closes, timeout",
  "server: host changed, left",
  "server: host changed, resigned",
  "server: host changed, restarted",
  "server: host changed, stalled",
  "server: host changed, timeout",
  "server: host changed, unreachable",
  "server: host changed, upgraded",
  "server: a newer socket keeps the seat",
  "fault: page lost",
  "fault: cut off together",
  "fault: stock client comes",
  "fault: stock client goes",
  "server: host stands after restart",
  "server: election after restart",
  "server: newcomer gives way to a claimant",
  "status away",
  "status open",
  "suspect",
  "trust: a suspicion ends",
  "server: deputy named",
  "fault: clock set back",
  "fault: dials held back",
  "a history from before overrules a provisional one",
  "fault: in halves",
  "fault: host dies while the halves heal",
  "told: alone",
  "told: not alone",
  "server: a host is told its own epoch",
  "direct: answered",
  "direct: ok",
  "direct: Backpressure",
  "direct: Closed",
  "direct: Gone",
  "direct: Timeout",
  "direct: TooLarge",
  "direct: Uncertain",
  "direct: Unsupported",
  "direct: a handler is told that nobody waits",
  "message direct",
  "message got",
  "message reply",
  "message replied",
  "message pass",
  "message passed",
  "message found",
  "lost: listed",
  "lost: listed, one's own",
  "lost: more than is listed",
];

test(`${SCHEDULES} schedules from seed ${SEED} keep the six guarantees`, () => {
  const {
    counts,
    failed: [failed],
  } = simulate(SCHEDULES, SEED);
  if (failed) {
    console.log(trace(failed.seed).slice(-80).join("\n"));
    assert.fail(
      `seed ${failed.seed}: ${failed.error}\n(the whole trace: scripts/sim 1 ${failed.seed} --trace)`,
    );
  }
  for (const [what, n] of [...counts].sort()) console.log(`${String(n).padStart(10)}  ${what}`);
  if (SCHEDULES >= 1000)
    for (const what of EXERCISED) assert.ok((counts.get(what) ?? 0) > 0, `never happened: ${what}`);
});

test("the same seed gives the same trace, bit for bit", () => {
  for (const seed of [3, 1421, 52_108]) assert.deepEqual(trace(seed), trace(seed));
});
