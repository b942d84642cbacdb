// A few groups whose messages wait until a test hands them over, so that a hard case can be laid
// out by hand. The file has no tests itself.

import assert from "node:assert/strict";
import {
  CAN,
  Group,
  type Effect,
  type Event,
  type Notice,
  type RosterEntry,
  type Wire,
} from "../src/group/index.ts";

/** Where a member stands that has no history yet. */
export const NOWHERE = {
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

/** A message on its way. */
export interface Letter {
  readonly from: string;
  readonly to: string;
  readonly message: Wire;
}

export class Rig {
  now = 1000;
  readonly groups = new Map<string, Group>();
  readonly app = new Map<string, string[]>();
  readonly notices = new Map<string, Notice[]>();
  readonly settled = new Map<string, string[]>();
  readonly effects = new Map<string, Effect[]>();
  letters: Letter[] = [];
  /** Members that the server does not answer. */
  readonly deaf = new Set<string>();
  /** Returns whether a letter that `settle` or `pass` would hand over is lost. */
  loses: (letter: Letter) => boolean = () => false;
  /** Time since the server began, as it says it with OPEN. An older server does not say it. */
  upMs: number | undefined;
  /** Members whose page never ends making its snapshot. */
  readonly slow = new Set<string>();
  /** Members with a library that can nothing beyond the protocol. */
  readonly lacking = new Set<string>();
  #token = 0;

  add(...ids: string[]): void {
    for (const id of ids) {
      this.groups.set(id, new Group(id, {}, this.lacking.has(id) ? [] : CAN));
      this.app.set(id, []);
      this.notices.set(id, []);
      this.settled.set(id, []);
      this.effects.set(id, []);
      this.feed(id, { type: "snapshots", able: true });
    }
  }

  feed(id: string, event: Event): void {
    const group = this.groups.get(id);
    if (group) this.#perform(id, group.handle(event, this.now));
  }

  #perform(id: string, effects: readonly Effect[]): void {
    const app = this.app.get(id) as string[];
    for (const effect of effects) {
      this.effects.get(id)?.push(effect);
      if (effect.type === "transmit")
        this.letters.push({ from: id, to: effect.to, message: effect.message });
      else if (effect.type === "fanout")
        for (const to of this.groups.keys())
          if (to !== id) this.letters.push({ from: id, to, message: effect.message });
      if (effect.type === "deliver") app.push(String(effect.data));
      else if (effect.type === "restore") app.splice(0, app.length, ...(effect.state as string[]));
      else if (effect.type === "askSnapshot" && !this.slow.has(id))
        this.feed(id, {
          type: "snapshot",
          token: effect.token,
          given: true,
          state: app.slice(),
          size: 1,
        });
      // The server answers at once. It has told a deposed host so before.
      else if (effect.type === "prove" && !this.deaf.has(id))
        this.feed(id, { type: "proved", epoch: effect.epoch });
      else if (effect.type === "notice") this.notices.get(id)?.push(effect.notice);
      else if (effect.type === "settle") this.settled.get(id)?.push(effect.error ?? "ok");
    }
  }

  open(
    id: string,
    host: string,
    epoch: number,
    roster: readonly string[] = [],
    recovering = false,
  ): void {
    const open = {
      host,
      epoch,
      members: 1,
      relay: true,
      resumeMs: 30_000,
      ...(this.upMs === undefined ? {} : { upMs: this.upMs }),
      ...(recovering ? { recovering } : {}),
      ...(host === id ? { roster: entries(roster) } : {}),
    };
    this.feed(id, { type: "open", open });
  }

  host(
    to: string,
    host: string,
    epoch: number,
    cause: string,
    roster: readonly string[] = [],
  ): void {
    this.feed(to, {
      type: "host",
      host: { host, epoch, cause, ...(host === to ? { roster: entries(roster) } : {}) },
    });
  }

  /** The server says to members that it is alone, or that it is not any more. */
  alone(isAlone: boolean, ...ids: readonly string[]): void {
    for (const id of ids) this.feed(id, { type: "alone", alone: isAlone });
  }

  /** A data channel between two members opens. */
  link(one: string, other: string): void {
    this.feed(one, { type: "link", id: other, up: true });
    this.feed(other, { type: "link", id: one, up: true });
  }

  /** A member receives a message as if from another. */
  receive(to: string, from: string, message: unknown): void {
    this.feed(to, { type: "received", from, via: "relay", message });
  }

  send(id: string, data: string): void {
    this.feed(id, { type: "send", token: ++this.#token, data, size: data.length });
  }

  /** Takes out the letters that fit. The others stay. */
  take(fits: (letter: Letter) => boolean): Letter[] {
    const taken = this.letters.filter(fits);
    this.letters = this.letters.filter((letter) => !fits(letter));
    return taken;
  }

  hand(letters: readonly Letter[]): void {
    for (const { from, to, message } of letters)
      this.feed(to, {
        type: "received",
        from,
        via: "relay",
        message: JSON.parse(JSON.stringify(message)),
      });
  }

  /**
   * Hands over all letters between these members, everyone if none is named, until there are no
   * more.
   */
  settle(...among: readonly string[]): void {
    for (let round = 0; round < 200; round++) {
      const letters = this.take(
        ({ from, to }) => among.length === 0 || (among.includes(from) && among.includes(to)),
      );
      if (letters.length === 0) return;
      this.hand(letters.filter((letter) => !this.loses(letter)));
    }
    assert.fail("the members never stop talking");
  }

  /** Lets time pass: timers ring, and letters between these members arrive. */
  pass(ms: number, ...among: readonly string[]): void {
    const end = this.now + ms;
    while (this.now < end) {
      this.now = Math.min(end, this.now + 50);
      for (const [id, group] of this.groups)
        if (group.nextDeadline() <= this.now) this.feed(id, { type: "timer" });
      this.settle(...among);
    }
  }

  /** Opens a page: the first member hosts, the others join, and all are on one log. */
  together(...ids: string[]): void {
    this.add(...ids);
    const [first = ""] = ids;
    this.open(first, first, 10, [first]);
    for (const id of ids.slice(1)) {
      this.feed(first, { type: "joined", member: { id, group: true } });
      this.open(id, first, 10);
      this.settle();
    }
    this.pass(1200);
    this.letters = [];
  }

  /** Closes the tab of a member without a goodbye. */
  kill(id: string): void {
    this.groups.delete(id);
    this.letters = this.letters.filter(({ from, to }) => from !== id && to !== id);
  }

  state(id: string): string {
    return (this.app.get(id) ?? []).join(" ");
  }

  noticed<K extends Notice["kind"]>(id: string, kind: K): Extract<Notice, { kind: K }>[] {
    return (this.notices.get(id) ?? []).filter(
      (notice): notice is Extract<Notice, { kind: K }> => notice.kind === kind,
    );
  }
}

function entries(ids: readonly string[]): RosterEntry[] {
  return ids.map((id) => ({ id, group: true }));
}
