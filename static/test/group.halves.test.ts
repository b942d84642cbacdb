// A page in two halves, each with its part of the server. The half without the record is told that it
// is alone. On healing the other half's history wins, and what was said in this one is sent again.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Rig } from "./group.rig.ts";

/** Epoch of a host that is named `ms` after the page began. */
const after = (ms: number): number => 10 + ms;

/** A page that can be parted. */
class Halves {
  readonly rig = new Rig();
  readonly all: readonly string[];
  readonly islanders: readonly string[];
  readonly #began: number;
  #epoch = 10;
  #said = 0;

  constructor(main: readonly string[], islanders: readonly string[]) {
    this.all = [...main, ...islanders];
    this.islanders = islanders;
    this.rig.together(...this.all);
    this.#began = this.rig.now;
  }

  get main(): readonly string[] {
    return this.all.filter((id) => !this.islanders.includes(id) && this.rig.groups.has(id));
  }

  /** The members of the island who still live. */
  get island(): readonly string[] {
    return this.islanders.filter((id) => this.rig.groups.has(id));
  }

  /** Parts the page: nothing passes between the halves. */
  cut(): void {
    const side = (id: string): boolean => this.islanders.includes(id);
    this.rig.loses = ({ from, to }) => side(from) !== side(to);
    const [host = ""] = this.all;
    for (const id of side(host) ? this.main : this.island)
      this.rig.feed(host, { type: "left", id });
    this.rig.alone(true, ...this.island);
  }

  /** A half, or all, get another host. */
  names(host: string, among: readonly string[], cause = "timeout"): number {
    this.#epoch = Math.max(this.#epoch + 1, after(this.rig.now - this.#began));
    for (const id of among) this.rig.host(id, host, this.#epoch, cause, among);
    return this.#epoch;
  }

  /** Parts the page, and the island gets a host. Returns the epoch of that host. */
  part(host: string): number {
    this.cut();
    const epoch = this.names(host, this.island);
    this.rig.pass(1500);
    return epoch;
  }

  /** The halves are one again, under a host that the half with the record names. */
  heal(host: string): void {
    this.rig.loses = () => false;
    this.rig.letters = [];
    this.names(host, [...this.main, ...this.island], "restarted");
    this.rig.alone(false, ...this.island);
  }

  /** One of them says the next word. */
  says(id: string): string {
    const word = `${id}.${++this.#said}`;
    this.rig.send(id, word);
    return word;
  }

  /** Both halves talk for so long. Returns what each has said. */
  talk(ms: number, everyMs: number): { readonly main: string[]; readonly island: string[] } {
    const words = { main: [] as string[], island: [] as string[] };
    for (let t = 0, n = 0; t < ms; t += everyMs, n++) {
      words.main.push(this.says(this.main[n % this.main.length] as string));
      words.island.push(this.says(this.island[n % this.island.length] as string));
      this.rig.pass(everyMs);
    }
    return words;
  }

  /** Checks that all have the same state, with all words of the main half in their order, then the island's. */
  areOne(main: readonly string[], island: readonly string[]): void {
    const state = this.rig.state(this.main[0] as string);
    for (const id of [...this.main, ...this.island]) assert.equal(this.rig.state(id), state, id);
    const words = state.split(" ");
    assert.equal(new Set(words).size, words.length, "a word came twice");
    assert.deepEqual(
      words.filter((word) => main.includes(word)),
      main,
    );
    assert.deepEqual(words.filter((word) => island.includes(word)).sort(), [...island].sort());
    assert.ok(words.indexOf(main.at(-1) ?? "") < words.indexOf(island[0] ?? ""), "the island won");
    for (const id of [...this.main, ...this.island]) assert.ok(!this.rig.groups.get(id)?.alone, id);
  }

  /** Checks that nobody of the main half lost or missed anything, and nobody was told a loss of their own. */
  mainIsUntouched(): void {
    for (const id of this.main)
      assert.deepEqual(
        this.rig.noticed(id, "recovered").filter(({ complete }) => !complete),
        [],
        id,
      );
    for (const id of [...this.main, ...this.island])
      assert.deepEqual(
        this.rig.noticed(id, "recovered").flatMap(({ lost }) => lost.filter(({ mine }) => mine)),
        [],
        id,
      );
  }
}

test("one member is alone for 300 s while 199 talk", () => {
  const others = Array.from({ length: 199 }, (_, i) => `m${i}`);
  const halves = new Halves(others, ["x"]);
  halves.cut();
  halves.rig.pass(1000);
  halves.names("x", ["x"]);
  const { main, island } = halves.talk(300_000, 3000);
  halves.heal("m0");
  halves.rig.pass(10_000);
  halves.areOne(main, island);
  halves.mainIsUntouched();
});

test("an island that elects again and again, and talks, gives way to the half with the record", () => {
  const halves = new Halves(["a", "b"], ["c", "d"]);
  halves.cut();
  const said = { main: [] as string[], island: [] as string[] };
  for (const host of ["c", "d", "c"]) {
    halves.names(host, halves.island);
    halves.rig.pass(1500);
    const { main, island } = halves.talk(20_000, 1000);
    said.main.push(...main);
    said.island.push(...island);
  }
  halves.heal("a");
  halves.rig.pass(5000);
  halves.areOne(said.main, said.island);
  halves.mainIsUntouched();
});

test("the host was on the island, and the other half elects", () => {
  const halves = new Halves(["b", "c"], ["a"]);
  const { rig } = halves;
  rig.host("b", "a", 11, "resigned");
  const epoch = 11;
  for (const id of halves.all) rig.host(id, "a", epoch, "resigned", halves.all);
  rig.pass(1500);
  halves.cut();
  halves.names("b", ["b", "c"]);
  rig.pass(1500);
  const { main, island } = halves.talk(60_000, 1000);
  halves.heal("b");
  rig.pass(5000);
  halves.areOne(main, island);
  halves.mainIsUntouched();
});

test("the island's host has the longer log and is named by the half with the record", () => {
  const halves = new Halves(["a", "b"], ["c", "d"]);
  halves.part("c");
  const island: string[] = [];
  for (let n = 0; n < 200; n++) {
    island.push(halves.says(n % 2 ? "c" : "d"));
    halves.rig.pass(100);
  }
  const main = [halves.says("a"), halves.says("b")];
  halves.rig.pass(40_000);
  halves.heal("c");
  halves.rig.pass(5000);
  halves.areOne(main, island);
  halves.mainIsUntouched();
});

test("the halves heal while the main half takes over", () => {
  const halves = new Halves(["a", "b", "b2"], ["c", "d"]);
  const { rig } = halves;
  halves.part("c");
  const { main, island } = halves.talk(60_000, 1000);
  rig.kill("a");
  // The members of the island come into the roster of a host that has asked and not stamped.
  rig.loses = () => true;
  halves.names("b", halves.main, "left");
  rig.pass(100);
  halves.heal("b");
  rig.pass(5000);
  halves.areOne(main, island);
  halves.mainIsUntouched();
});

test("the host of the main half dies as the halves heal, and a member of the island is named", () => {
  const halves = new Halves(["a", "b"], ["c", "d"]);
  const { rig } = halves;
  halves.part("c");
  const { main, island } = halves.talk(60_000, 1000);
  rig.loses = () => false;
  rig.kill("a");
  halves.heal("d");
  rig.pass(5000);
  halves.areOne(main, island);
  halves.mainIsUntouched();
});

test("a host from the island waits for a member that may have the better history", () => {
  const halves = new Halves(["a", "b"], ["c", "d"]);
  const { rig } = halves;
  halves.part("c");
  const { main, island } = halves.talk(60_000, 1000);
  halves.heal("c");
  // The members of the main half answer late.
  const late = ({ from, to }: { from: string; to: string }): boolean =>
    ["a", "b"].includes(from) !== ["a", "b"].includes(to);
  rig.loses = late;
  rig.pass(1500);
  rig.loses = () => false;
  rig.pass(6000);
  halves.areOne(main, island);
  halves.mainIsUntouched();
});

test("a host that was alone restores nobody of the other half, and asks for another host", () => {
  const halves = new Halves(["a", "b"], ["c", "d"]);
  const { rig } = halves;
  const epoch = halves.part("c");
  const { main, island } = halves.talk(60_000, 1000);
  // The page goes on with the claim of c, in its own epoch.
  rig.loses = () => false;
  rig.letters = [];
  rig.deaf.add("c");
  for (const id of ["a", "b"]) rig.host(id, "c", epoch, "restarted");
  rig.alone(false, ...halves.island);
  rig.host("c", "c", epoch, "restarted", halves.all);
  rig.pass(500);
  const resigned = rig.effects.get("c")?.find((effect) => effect.type === "resign");
  assert.ok(resigned?.type === "resign" && ["a", "b"].includes(resigned.to ?? ""));
  assert.deepEqual(rig.noticed("a", "recovered").length, 0);
  halves.names(resigned.to as string, halves.all, "resigned");
  rig.pass(5000);
  halves.areOne(main, island);
  halves.mainIsUntouched();
});

test("a host that was alone does not have the word before the other half has spoken", () => {
  const halves = new Halves(["a", "b"], ["c", "d"]);
  const { rig } = halves;
  halves.cut();
  const epoch = halves.names("c", halves.island);
  rig.pass(3000);
  halves.talk(20_000, 1000);
  rig.letters = [];
  for (const id of ["a", "b"]) rig.host(id, "c", epoch, "restarted");
  rig.host("c", "c", epoch, "restarted", halves.all);
  rig.alone(false, ...halves.island);
  // The server proves the seat at once, and the other half is late.
  rig.pass(1000);
  assert.ok(rig.groups.get("c")?.alone && rig.groups.get("d")?.alone);
  rig.loses = () => false;
  rig.pass(1000);
  assert.ok(rig.effects.get("c")?.some((effect) => effect.type === "resign"));
  assert.equal(rig.noticed("a", "recovered").length, 0);
});

test("a history from the island is no better for having been handed on", () => {
  const halves = new Halves(["a"], ["c", "d"]);
  const { rig } = halves;
  halves.cut();
  halves.names("c", halves.island);
  rig.pass(3000);
  halves.talk(20_000, 1000);
  rig.add("n");
  rig.deaf.add("n");
  rig.loses = ({ from, to }) => from === "a" || to === "a";
  const epoch = halves.names("n", ["c", "d"]);
  rig.open("n", "n", epoch, ["n", "c", "d"]);
  rig.alone(false, "c", "d");
  rig.pass(6000);
  assert.equal(rig.state("n"), rig.state("c"));
  assert.ok(rig.groups.get("n")?.alone);
  rig.loses = () => false;
  rig.host("a", "n", epoch, "timeout");
  rig.feed("n", { type: "joined", member: { id: "a", group: true } });
  rig.pass(500);
  assert.ok(rig.effects.get("n")?.some((effect) => effect.type === "resign"));
  assert.equal(rig.noticed("a", "recovered").length, 0);
});

test("a page whose server is alone for a while, with no other half, notices nothing", () => {
  const halves = new Halves([], ["a", "b", "c"]);
  const { rig } = halves;
  rig.alone(true, ...halves.all);
  rig.pass(1000);
  for (const id of halves.all) assert.ok(rig.groups.get(id)?.alone, id);
  for (let n = 0; n < 60; n++) {
    halves.says("b");
    rig.pass(1000);
  }
  const state = rig.state("a");
  assert.equal(state.split(" ").length, 60);
  rig.alone(false, ...halves.all);
  rig.pass(2000);
  for (const id of halves.all) {
    assert.ok(!rig.groups.get(id)?.alone, id);
    assert.equal(rig.state(id), state);
    assert.equal(rig.noticed(id, "recovered").filter(({ reason }) => reason !== "join").length, 0);
  }
});

test("a host that was alone has the word only by a question that it asked since", () => {
  const halves = new Halves([], ["a", "b"]);
  const { rig } = halves;
  rig.deaf.add("a");
  rig.alone(true, "a", "b");
  rig.pass(100);
  rig.alone(false, "a", "b");
  rig.pass(3000);
  assert.ok(rig.groups.get("a")?.alone);
  assert.ok(rig.groups.get("b")?.alone, "b follows a host without the word");
  rig.deaf.delete("a");
  rig.pass(6000);
  assert.ok(!rig.groups.get("a")?.alone);
  assert.ok(!rig.groups.get("b")?.alone);
});

test("a member alone with its server is handed what it says itself", () => {
  const halves = new Halves(["a", "b"], ["x"]);
  const { rig } = halves;
  halves.cut();
  halves.names("x", ["x"]);
  rig.pass(1500);
  const word = halves.says("x");
  rig.pass(500);
  assert.ok(rig.state("x").endsWith(word));
  assert.deepEqual(rig.settled.get("x"), ["ok"]);
});

test("what exceeds the limit of what is kept is told as lost", () => {
  const halves = new Halves(["a", "b"], ["x"]);
  const { rig } = halves;
  halves.cut();
  halves.names("x", ["x"]);
  rig.pass(1500);
  const size = 1 << 19;
  for (let n = 0; n < 10; n++) {
    rig.feed("x", { type: "send", token: 1000 + n, data: `big${n}`, size });
    rig.pass(2000);
  }
  halves.says("a");
  rig.pass(40_000);
  halves.heal("a");
  rig.pass(10_000);
  const { lost } = rig.noticed("x", "recovered").at(-1) ?? assert.fail();
  assert.deepEqual(
    lost.map(({ data, mine }) => [data, mine]),
    [
      ["big0", true],
      ["big1", true],
    ],
  );
  assert.equal(
    rig.state("x").match(/big\d/g)?.join(" "),
    "big2 big3 big4 big5 big6 big7 big8 big9",
  );
  assert.equal(rig.state("x"), rig.state("b"));
});

test("a host that is told its own epoch again takes the roster and interrupts nothing", () => {
  const rig = new Rig();
  rig.together("a", "b", "c");
  rig.send("b", "b1");
  rig.pass(500);
  for (const id of ["a", "b", "c"]) rig.effects.get(id)?.splice(0);
  rig.add("d");
  rig.open("d", "a", 10);
  rig.letters = [];
  // The page has moved: c is not there any more, and d is new.
  rig.host("a", "a", 10, "restarted", ["a", "b", "d"]);
  rig.send("b", "b2");
  rig.settle("a", "b", "d");
  assert.ok(rig.groups.get("a")?.leads);
  assert.equal(rig.state("b"), "b1 b2");
  assert.ok(
    !rig.effects.get("a")?.some((one) => one.type === "notice" && one.notice.kind === "host"),
  );
  assert.ok(
    !rig.effects
      .get("a")
      ?.some((one) => one.type === "transmit" && one.message.t === "ask" && one.to === "b"),
  );
  assert.ok(rig.groups.get("a")?.members.includes("c"), "c may be coming back");
  rig.kill("c");
  rig.pass(4000);
  assert.deepEqual(rig.groups.get("a")?.members.sort(), ["a", "b", "d"]);
  assert.equal(rig.state("d"), "b1 b2");
});

test("a member that is told the epoch that it knows goes on", () => {
  const rig = new Rig();
  rig.together("a", "b");
  rig.effects.get("b")?.splice(0);
  rig.host("b", "a", 10, "restarted");
  assert.deepEqual(rig.effects.get("b"), []);
});
