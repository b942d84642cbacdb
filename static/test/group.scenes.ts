// Beginnings that several tests share: two members with a history, a server that was gone, a page
// that founds another history.

import assert from "node:assert/strict";
import type { Notice } from "../src/group/index.ts";
import type { Lost } from "../src/group/types.ts";
import { Rig } from "./group.rig.ts";

type Recovered = Extract<Notice, { kind: "recovered" }>;

/** Epoch of the first host. */
export const EPOCH = 10;

/** Returns the epoch that the server's clock gives to a host that is named at this moment. */
export function clock(rig: Rig): number {
  return EPOCH + rig.now - 1000;
}

/**
 * Returns a page of two members, `a`, which hosts, and `b`. Each has sent something, and both were
 * handed it.
 */
export function withHistory(): Rig {
  const rig = new Rig();
  rig.together("a", "b");
  for (const [id, data] of [
    ["a", "a1"],
    ["b", "b1"],
    ["a", "a2"],
    ["b", "b2"],
  ] as const) {
    rig.send(id, data);
    rig.pass(200);
  }
  assert.deepEqual([rig.state("a"), rig.state("b")], ["a1 b1 a2 b2", "a1 b1 a2 b2"]);
  return rig;
}

/**
 * The server is gone for `ms`, and its members are cut off from each other. Then it begins anew.
 */
export function outage(rig: Rig, ms: number): void {
  for (const id of ["a", "b"]) rig.feed(id, { type: "offline" });
  rig.pass(ms, "nobody");
  rig.letters = [];
  rig.upMs = 0;
}

/** A page is opened anew, finds nobody, founds a history and sends. */
export function foundsHistory(rig: Rig, id: string, epoch: number, ...sends: string[]): void {
  rig.add(id);
  rig.open(id, id, epoch, [id]);
  for (const data of sends) rig.send(id, data);
  rig.pass(100, id);
  assert.equal(rig.state(id), sends.join(" "));
}

/**
 * The page `n` founds a history and sends `n1`, when the server has been up for `upMs` after an
 * outage. Returns the epoch.
 */
export function foundsAfterOutage(
  rig: Rig,
  { outageMs, upMs }: { readonly outageMs: number; readonly upMs: number },
): number {
  outage(rig, outageMs);
  rig.upMs = upMs;
  const epoch = clock(rig);
  foundsHistory(rig, "n", epoch, "n1");
  return epoch;
}

/** A member comes to the page that `host` hosts. */
export function comesTo(rig: Rig, id: string, host: string, epoch: number): void {
  rig.feed(host, { type: "joined", member: { id, group: true } });
  rig.open(id, host, epoch);
}

/** Time passes for the server as well. */
export function passWithServer(rig: Rig, ms: number, ...among: string[]): void {
  rig.pass(ms, ...among);
  rig.upMs = (rig.upMs ?? 0) + ms;
}

/**
 * Takes the member `id` away for long. Meanwhile `n` founds another history, which the page goes on
 * with. Returns what the page of `id` is told when it is back.
 */
export function losesHistory(rig: Rig, id: string): Recovered {
  const epoch = foundsAfterOutage(rig, { outageMs: 200_000, upMs: 3_600_000 });
  for (const other of ["a", "b"]) if (other !== id) rig.kill(other);
  passWithServer(rig, 60_000, "n");
  comesTo(rig, id, "n", epoch);
  rig.pass(3000);
  return lastRecovery(rig, id);
}

/** Returns the last notice that a page was up to date again. */
export function lastRecovery(rig: Rig, id: string): Recovered {
  return rig.noticed(id, "recovered").at(-1) ?? assert.fail(`${id} was not told that it recovered`);
}

export function listLost(lost: readonly Lost[]): string {
  return lost
    .map(
      ({ data, from, mine, seq }) => `${String(data)} of ${from}${mine ? ", mine" : ""} at ${seq}`,
    )
    .join("; ");
}
