// The freshness machine: what it notes of each event, and what it then says of the history.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Freshness } from "../src/group/freshness.ts";
import { ServerView } from "../src/group/server-view.ts";

const RESUME_MS = 30_000;

/** Returns the freshness of a member that is online, in an epoch that the server announced. */
function online(): { freshness: Freshness; server: ServerView } {
  const server = new ServerView(2500, 3000);
  server.opened({ host: "a", epoch: 10, members: 2, relay: true, resumeMs: RESUME_MS });
  server.announced(10);
  server.adopted(10, "a", 1000);
  server.seatDecided(true);
  const freshness = new Freshness(server);
  freshness.joined(1000);
  return { freshness, server };
}

test("contact alone does not make a history fresh", () => {
  const { freshness } = online();
  freshness.heard(5000);
  assert.deepEqual([freshness.contactAt, freshness.sharedAt], [5000, 1000]);
  assert.equal(freshness.ageMs(6000), 5000);
});

test("a history found on the host's log is shared, confirmed and assured", () => {
  const { freshness } = online();
  freshness.foundOnHostsLog(true, 5000);
  const { contactAt, sharedAt, confirmedAt, assuredAt } = freshness;
  assert.deepEqual([contactAt, sharedAt, confirmedAt, assuredAt], [5000, 5000, 5000, 5000]);
});

test("a history is not confirmed while the server does not confirm the epoch", () => {
  const { freshness, server } = online();
  freshness.foundOnHostsLog(true, 2000);
  server.disconnected();
  freshness.foundOnHostsLog(true, 5000);
  assert.deepEqual([freshness.sharedAt, freshness.confirmedAt], [5000, 2000]);
  server.opened({ host: "a", epoch: 9, members: 2, relay: true, resumeMs: RESUME_MS });
  server.announced(9);
  freshness.foundOnHostsLog(true, 6000);
  assert.equal(freshness.confirmedAt, 2000);
});

test("a host that leads is assured, and not confirmed by another member", () => {
  const { freshness } = online();
  freshness.led(5000);
  assert.deepEqual([freshness.assuredAt, freshness.confirmedAt], [5000, 0]);
});

test("a stale history is fresh again once the host has placed it", () => {
  const { freshness } = online();
  freshness.awayTooLong();
  assert.ok(freshness.isStale(1000));
  freshness.placedByHost();
  assert.ok(!freshness.isStale(1000));
});

test("an inherited history becomes stale when it is as old as it was elsewhere, until it is shared", () => {
  const { freshness } = online();
  freshness.inherited(-20_000);
  assert.equal(freshness.ageMs(5000), 25_000);
  assert.ok(!freshness.isStale(9999));
  assert.ok(freshness.isStale(10_000));
  freshness.led(10_000);
  assert.ok(!freshness.isStale(60_000));
});

test("after a pause, only a follower that heard a later heartbeat makes the history fresh", () => {
  const { freshness } = online();
  const before = freshness.heartbeatSent();
  freshness.paused();
  freshness.followed(before, 5000);
  assert.ok(freshness.isUnsure);
  assert.deepEqual([freshness.contactAt, freshness.sharedAt], [5000, 1000]);
  freshness.followed(freshness.heartbeatSent(), 6000);
  assert.ok(!freshness.isUnsure);
  assert.equal(freshness.sharedAt, 6000);
});

test("after a pause, a takeover leaves a history stale, and the server's proof makes it fresh", () => {
  const { freshness } = online();
  freshness.awayTooLong();
  freshness.paused();
  freshness.tookOver(5000);
  freshness.provedHost("taking over");
  assert.deepEqual([freshness.isUnsure, freshness.isStale(5000)], [false, true]);
  freshness.provedHost("leading");
  assert.ok(!freshness.isStale(5000));
  assert.equal(freshness.pauses, 1);
});

test("an absence of more than 1.5 s is noted from its begin until the page is told", () => {
  const { freshness } = online();
  freshness.foundOnHostsLog(true, 2500);
  assert.equal(freshness.outOfStepSince, undefined);
  freshness.foundOnHostsLog(true, 4001);
  freshness.foundOnHostsLog(true, 9000);
  assert.equal(freshness.outOfStepSince, 2500);
  freshness.backInStep();
  assert.equal(freshness.outOfStepSince, undefined);
});

test("nothing confirms a history while the server is alone, and it stays apart until a host has it", () => {
  const { freshness, server } = online();
  freshness.foundOnHostsLog(true, 2000);
  server.aloneSaid(true);
  freshness.setApart(2000);
  freshness.foundOnHostsLog(true, 3000);
  freshness.led(3000);
  assert.deepEqual(
    [freshness.sharedAt, freshness.assuredAt, freshness.confirmedAt],
    [3000, 2000, 2000],
  );
  server.aloneSaid(false);
  assert.ok(freshness.isApart);
  freshness.foundOnHostsLog(false, 4000);
  assert.ok(freshness.isApart);
  assert.equal(freshness.confirmedAt, 2000);
  freshness.foundOnHostsLog(true, 5000);
  assert.ok(!freshness.isApart);
  assert.equal(freshness.confirmedAt, 5000);
  // A heartbeat that the host sent before it heard ALONE may still be on its way.
  freshness.setApart(6000);
  freshness.foundOnHostsLog(true, 6500);
  assert.ok(freshness.isApart);
});

test("a host that was alone has no word until the server proves its seat", () => {
  const { freshness, server } = online();
  server.aloneSaid(true);
  freshness.setApart(2000);
  server.aloneSaid(false);
  assert.ok(!freshness.hostsWithWord);
  freshness.followed(freshness.heartbeatSent(), 2000);
  freshness.led(2000);
  assert.deepEqual([freshness.assuredAt, freshness.confirmedAt], [0, 0]);
  freshness.joinedAgain();
  assert.ok(freshness.hostsWithWord);
});
