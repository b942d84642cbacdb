// Notices to the page when it is up to date again.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Freshness } from "../src/group/freshness.ts";
import type { Notice } from "../src/group/index.ts";
import { Outbox } from "../src/group/outbox.ts";
import { Recovery } from "../src/group/recovery.ts";
import { Replica } from "../src/group/replica.ts";
import { Self } from "../src/group/self.ts";
import { ServerView } from "../src/group/server-view.ts";
import { defaults } from "../src/group/settings.ts";
import { Step } from "../src/group/step.ts";

/** Returns the parts of a member that was out of step from 1000 to 5000. */
function backAfterAbsence() {
  const freshness = new Freshness(new ServerView(2500, 3000));
  const outbox = new Outbox();
  const replica = new Replica(defaults);
  const step = new Step();
  replica.found(10, 0);
  freshness.joined(1000);
  freshness.foundOnHostsLog(true, 5000);
  step.begin(5000);
  const recovery = new Recovery({ freshness, outbox, replica, self: new Self("me", []), step });
  const notices = (): Notice[] =>
    step.end().flatMap((effect) => (effect.type === "notice" ? [effect.notice] : []));
  return { freshness, notices, outbox, recovery };
}

/** An own message that the page was handed, and that is given up while it was to be sent again. */
function addOrphan(outbox: Outbox): void {
  outbox.add(1, "x", 1);
  outbox.mark(1);
  outbox.settle(1, { r: 4, e: 4, s: 1 });
  outbox.again(0, () => false);
  outbox.mark(1);
  outbox.doubt();
}

test("a page that caught up is told once how long it was away", () => {
  const { notices, recovery } = backAfterAbsence();
  recovery.caughtUp();
  recovery.caughtUp();
  assert.deepEqual(notices(), [
    {
      kind: "recovered",
      complete: true,
      via: "log",
      awayMs: 4000,
      reason: "behind",
      lost: [],
      lostMore: false,
    },
  ]);
});

test("a page whose member leads is told nothing if it lost nothing", () => {
  const { freshness, notices, recovery } = backAfterAbsence();
  recovery.leads();
  assert.deepEqual([notices(), freshness.outOfStepSince], [[], undefined]);
});

test("an own message that could not be sent again is told as lost", () => {
  const { notices, outbox, recovery } = backAfterAbsence();
  addOrphan(outbox);
  recovery.leads();
  const [recovered] = notices();
  assert.ok(recovered?.kind === "recovered" && !recovered.complete);
  assert.deepEqual(recovered.lost, [{ from: "me", mine: true, seq: 1, epoch: 4, data: "x" }]);
});
