// Tests the promises of a group's beginning and end.

import assert from "node:assert/strict";
import { test } from "node:test";
import { PeerstarError } from "../src/errors.ts";
import { Emitter } from "../src/events.ts";
import { GroupLife } from "../src/group-life.ts";
import { MemberList } from "../src/members.ts";
import type { PageGroupEvents } from "../src/page-events.ts";
import { FakePage } from "./rig.ts";

const end = { code: 1000, reason: "left" };
const opened = { id: "me", host: "me", epoch: 1, first: true };

test("`opened` resolves with the event, and stays so after the end", async () => {
  const events = new Emitter<PageGroupEvents>();
  const life = new GroupLife(events);
  events.emit("open", opened);
  events.emit("close", end);
  assert.deepEqual(await life.opened, opened);
  await life.closed;
});

test("`opened` rejects with the server's refusal, or with Closed", async () => {
  for (const code of ["Refused", "Closed"] as const) {
    const events = new Emitter<PageGroupEvents>();
    const life = new GroupLife(events);
    events.emit("error", new PeerstarError("Unreachable"));
    if (code === "Refused") events.emit("error", new PeerstarError("Refused", "why"));
    events.emit("close", end);
    await assert.rejects(life.opened, { code, ...(code === "Refused" ? { message: "why" } : {}) });
  }
});

test("nobody has to handle `opened`", async () => {
  const events = new Emitter<PageGroupEvents>();
  const unhandled: unknown[] = [];
  const note = (error: unknown): void => void unhandled.push(error);
  process.on("unhandledRejection", note);
  new GroupLife(events);
  events.emit("close", end);
  await new Promise((done) => setImmediate(done));
  process.off("unhandledRejection", note);
  assert.deepEqual(unhandled, []);
});

test("the list of members is the same array until somebody comes or goes", () => {
  const list = new MemberList();
  const page = new FakePage();
  const alone = list.all("me");
  assert.deepEqual(alone, ["me"]);
  assert.equal(list.all("me"), alone);
  list.announce({ kind: "member", change: "join", id: "ann", profile: 1 }, "me", undefined, page);
  const both = list.all("me");
  assert.deepEqual([alone, both], [["me"], ["me", "ann"]]);
  list.announce({ kind: "profile", id: "ann", profile: 2 }, "me", undefined, page);
  assert.equal(list.all("me"), both);
  assert.deepEqual(list.all("named by the ticket"), ["named by the ticket", "ann"]);
  list.announce({ kind: "member", change: "leave", id: "ann" }, "me", undefined, page);
  assert.deepEqual(list.all("me"), ["me"]);
});
