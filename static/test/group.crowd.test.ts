// Large pages: a thousand members over the relay, a hundred that join at once, many that have left.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Group, type Effect, type Event, type RosterEntry, type Wire } from "../src/group/index.ts";
import { Rig } from "./group.rig.ts";

const MEMBERS = 1000;
const NOBODY: readonly RosterEntry[] = [];

test("a page of 1,000 delivers the same through three changes of host", () => {
  let now = 1000;
  let frames = 0;
  const groups = new Map<string, Group>();
  const seen = new Map<string, string[]>();
  let post: { to: string; from: string; message: Wire }[] = [];
  const ids = Array.from({ length: MEMBERS }, (_, i) => `m${i}`);
  const feed = (id: string, event: Event): void => {
    const group = groups.get(id);
    if (group) perform(id, group.handle(event, now));
  };
  const perform = (id: string, effects: readonly Effect[]): void => {
    for (const effect of effects) {
      if (effect.type === "transmit") {
        frames++;
        post.push({ to: effect.to, from: id, message: effect.message });
      } else if (effect.type === "fanout") {
        frames++;
        for (const to of groups.keys())
          if (to !== id) post.push({ to, from: id, message: effect.message });
      } else if (effect.type === "deliver") seen.get(id)?.push(effect.data as string);
      else if (effect.type === "restore") seen.set(id, [...(effect.state as string[])]);
      else if (effect.type === "askSnapshot")
        feed(id, {
          type: "snapshot",
          token: effect.token,
          given: true,
          state: [...(seen.get(id) ?? [])],
          size: 10,
        });
    }
  };
  const pass = (ms: number): void => {
    for (const end = now + ms; now < end; ) {
      now += 20;
      for (const [id, group] of groups)
        if (group.nextDeadline() <= now) feed(id, { type: "timer" });
      const due = post;
      post = [];
      for (const { to, from, message } of due)
        feed(to, { type: "received", from, via: "relay", message });
    }
  };
  const name = (host: string, epoch: number): void => {
    const roster = [...groups.keys()].map((id) => ({ id, group: true }));
    for (const id of groups.keys())
      feed(id, {
        type: "host",
        host: { host, epoch, cause: "left", ...(id === host ? { roster } : {}) },
      });
  };
  for (const id of ids) {
    groups.set(id, new Group(id));
    seen.set(id, []);
    feed(id, { type: "snapshots", able: true });
    if (id !== "m0") feed("m0", { type: "joined", member: { id, group: true } });
    feed(id, {
      type: "open",
      open: {
        host: "m0",
        epoch: 5,
        members: 1,
        relay: true,
        resumeMs: 30_000,
        ...(id === "m0" ? { roster: NOBODY } : {}),
      },
    });
  }
  pass(4000);
  let n = 0;
  const talk = (): void => {
    for (let i = 0; i < 20; i++) {
      const id = ids[(n * 37 + 5) % MEMBERS] as string;
      n++;
      if (groups.has(id)) feed(id, { type: "send", token: n, data: `${id}#${n}`, size: 40 });
      pass(20);
    }
  };
  for (let change = 1; change <= 3; change++) {
    talk();
    groups.delete(`m${change - 1}`);
    talk();
    name(`m${change}`, 5 + change);
    const before = frames;
    pass(1000);
    assert.ok(frames - before < 6 * MEMBERS, `a change of host costs ${frames - before} frames`);
  }
  pass(3000);
  const model = seen.get("m3")?.join(" ");
  assert.ok(model && model.length > 100);
  for (const id of groups.keys()) assert.equal(seen.get(id)?.join(" "), model);
});

test("a hundred members that join at once are restored as fast as the socket takes it, in turn", () => {
  const STATE = 200_000;
  const host = new Group("host");
  let now = 1000;
  const sent: Extract<Effect, { type: "transmit" }>[] = [];
  const feed = (event: Event): void => {
    for (const effect of host.handle(event, now)) {
      if (effect.type === "askSnapshot")
        feed({ type: "snapshot", token: effect.token, given: true, state: "s", size: STATE });
      if (effect.type === "transmit" && effect.message.t === "restore") sent.push(effect);
    }
  };
  feed({ type: "snapshots", able: true });
  feed({
    type: "open",
    open: { host: "host", epoch: 5, members: 1, relay: true, resumeMs: 30_000, roster: NOBODY },
  });
  const nowhere = {
    r: 0,
    e: 0,
    s: 0,
    done: 0,
    base: 0,
    line: [],
    snap: false,
    stale: false,
    age: 0,
  };
  const ids = Array.from({ length: 100 }, (_, i) => `m${i}`);
  const say = (): void => {
    for (const id of ids)
      feed({ type: "received", from: id, via: "relay", message: { t: "at", e: 5, at: nowhere } });
  };
  for (const id of ids) feed({ type: "joined", member: { id, group: true } });
  say();
  assert.ok(
    sent.length * STATE > 1 << 20 && sent.length * STATE < 2 << 20,
    `${sent.length} at once`,
  );
  assert.equal(
    new Set(sent.map(({ message }) => message)).size,
    1,
    "the same message is made again for each",
  );
  const first = sent.length;
  feed({ type: "pressure", link: "states", high: true });
  now += 100;
  say();
  assert.equal(sent.length, first, "more for a socket that is full");
  for (let round = 0; sent.length < ids.length; round++) {
    now += 100;
    const before = sent.length;
    feed({ type: "pressure", link: "states", high: false });
    assert.ok(
      sent.length > before && sent.length - before <= first,
      `${sent.length - before} in round ${round}`,
    );
    feed({ type: "pressure", link: "states", high: true });
  }
  assert.deepEqual(new Set(sent.slice(0, ids.length).map(({ to }) => to)), new Set(ids));
});

test("a page that many members have left keeps its interval of heartbeats", () => {
  const rig = new Rig();
  rig.together("a", "b");
  for (let i = 0; i < 200; i++) {
    const id = `guest ${i}`;
    rig.feed("a", { type: "joined", member: { id, group: true } });
    rig.feed("a", { type: "received", from: id, via: "relay", message: { t: "bye", e: 10 } });
    rig.feed("a", { type: "left", id });
  }
  rig.pass(5000);
  rig.effects.get("a")?.splice(0);
  rig.pass(5000);
  const beats = (rig.effects.get("a") ?? []).filter(
    (effect) => effect.type === "fanout" && effect.message.t === "beat",
  ).length;
  assert.ok(beats >= 9, `${beats} beats in 5 s`);
});
