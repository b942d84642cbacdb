// Messages from one member to one other: once, in order, with one outcome.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { DirectWire } from "../src/group/direct/wire.ts";
import { Group, type Wire } from "../src/group/index.ts";
import { DirectRig } from "./direct.rig.ts";
import type { Letter } from "./group.rig.ts";

/** Returns a page of three, of which `a` hosts. */
function three(): DirectRig {
  const rig = new DirectRig();
  rig.together("a", "b", "c");
  return rig;
}

const carries = ({ message }: Letter): boolean => message.t === "direct" && message.x.length > 0;

test("a message goes to one member, and to nobody else's page or log", () => {
  const rig = three();
  const before = rig.groups.get("a")?.place.s;
  rig.sendTo("b", "c", "one");
  rig.sendTo("b", "c", "two");
  rig.settle();
  assert.equal(rig.handed("c"), "b:one b:two");
  assert.equal(rig.outcomes("b"), "ok ok");
  assert.equal(rig.handed("a"), "");
  assert.equal(rig.groups.get("a")?.place.s, before);
});

test("the host sends, and is sent to, and a page sends to itself", () => {
  const rig = three();
  rig.sendTo("a", "c", "from the host");
  rig.sendTo("c", "a", "to the host");
  rig.sendTo("c", "c", "to itself");
  rig.settle();
  assert.deepEqual(
    [rig.handed("c"), rig.handed("a"), rig.outcomes("a"), rig.outcomes("c")],
    ["c:to itself a:from the host", "c:to the host", "ok", "ok ok"],
  );
});

test("what is lost or repeated on its way is handed over once, in order", () => {
  const rig = three();
  let lost = 0;
  rig.loses = (letter) => carries(letter) && lost++ < 2;
  for (const data of ["1", "2", "3"]) {
    rig.sendTo("b", "c", data);
    rig.settle();
  }
  rig.pass(5000);
  assert.equal(rig.handed("c"), "b:1 b:2 b:3");
  assert.equal(rig.outcomes("b"), "ok ok ok");

  rig.sendTo("b", "c", "4");
  const letters = rig.take(carries);
  rig.hand(letters);
  rig.hand(letters);
  rig.settle();
  rig.hand(letters);
  rig.settle();
  assert.equal(rig.handed("c"), "b:1 b:2 b:3 b:4");
});

test("a message whose acknowledgement is lost is not handed over again", () => {
  const rig = three();
  rig.sendTo("b", "c", "0");
  rig.settle();
  let lost = 0;
  rig.loses = ({ message }) => message.t === "got" && lost++ < 3;
  rig.sendTo("b", "c", "1");
  rig.pass(10_000);
  assert.deepEqual([rig.handed("c"), rig.outcomes("b")], ["b:0 b:1", "ok ok"]);
});

test("a message waits until the receiver's page was handed what the sender's was", () => {
  const rig = three();
  rig.sendTo("b", "c", "first");
  rig.settle();
  rig.loses = ({ to, message }) => to === "c" && (message.t === "data" || message.t === "beat");
  rig.send("b", "to all");
  rig.pass(300);
  assert.deepEqual([rig.state("b"), rig.state("c")], ["to all", ""]);
  rig.sendTo("b", "c", "after that");
  rig.pass(300);
  assert.equal(rig.handed("c"), "b:first");
  rig.loses = () => false;
  rig.pass(3000);
  const effects = rig.effects.get("c") ?? [];
  const order = effects.filter(({ type }) => type === "deliver" || type === "direct");
  assert.deepEqual(
    order.map((effect) => (effect as { data: unknown }).data),
    ["first", "to all", "after that"],
  );
  assert.equal(rig.outcomes("b"), "ok ok");
});

test("a message waits while its addressee is away", () => {
  const rig = three();
  rig.sendTo("b", "c", "first");
  rig.settle();
  rig.loses = ({ from, to }) => from === "c" || to === "c";
  rig.sendTo("b", "c", "second");
  rig.pass(20_000);
  assert.equal(rig.outcomes("b"), "ok");
  rig.loses = () => false;
  rig.pass(5000);
  assert.deepEqual([rig.handed("c"), rig.outcomes("b")], ["b:first b:second", "ok ok"]);
});

test("when a member leaves, what it cannot have is Gone, and what it may have is Uncertain", () => {
  const rig = three();
  rig.sendTo("b", "c", "has it");
  rig.settle();
  rig.loses = ({ from, to, message }) => message.t === "got" && from === "c" && to === "b";
  rig.sendTo("b", "c", "may have it");
  rig.settle();
  assert.equal(rig.handed("c"), "b:has it b:may have it");
  rig.feed("b", { type: "pressure", link: "relay", high: true });
  rig.sendTo("b", "c", "cannot have it");
  rig.goes("c", "a");
  rig.pass(1000);
  assert.equal(rig.outcomes("b"), "ok Uncertain Gone");
  rig.sendTo("b", "c", "nobody there");
  assert.equal(rig.outcomes("b"), "ok Uncertain Gone Gone");
});

test("a member that was said to have left is handed nothing twice when it is back", () => {
  const rig = three();
  rig.loses = ({ message }) => message.t === "got" && message.n > 0;
  rig.sendTo("b", "c", "1");
  const letters: Letter[] = [];
  rig.loses = (letter) => {
    if (carries(letter)) letters.push(letter);
    return letter.message.t === "got" && letter.message.n > 0;
  };
  rig.settle();
  rig.feed("a", { type: "left", id: "c" });
  rig.settle();
  assert.equal(rig.outcomes("b"), "Uncertain");
  rig.loses = () => false;
  rig.feed("a", { type: "joined", member: { id: "c", group: true } });
  rig.pass(1000);
  rig.sendTo("b", "c", "2");
  rig.pass(1000);
  rig.hand(letters);
  rig.pass(1000);
  assert.deepEqual([rig.handed("c"), rig.outcomes("b")], ["b:1 b:2", "Uncertain ok"]);
});

test("a page that takes the id of another is handed nothing that the other may have", () => {
  const rig = three();
  rig.sendTo("b", "c", "1");
  rig.settle();
  rig.loses = ({ message }) => message.t === "got";
  rig.sendTo("b", "c", "2");
  rig.settle();
  rig.loses = () => false;
  // Another load of the page with the same id, which nobody saw leave.
  const again = new Group("c");
  again.identify("c", 5000);
  rig.groups.set("c", again);
  rig.effects.set("c", []);
  rig.open("c", "a", 10);
  rig.pass(10_000);
  assert.equal(rig.outcomes("b"), "ok Uncertain");
  rig.sendTo("b", "c", "3");
  rig.pass(1000);
  assert.deepEqual([rig.handed("c"), rig.outcomes("b")], ["b:3", "ok Uncertain ok"]);
});

test("messages of a page that takes the id of another are no repeats", () => {
  const rig = three();
  rig.sendTo("c", "b", "1");
  rig.settle();
  const again = new Group("c");
  again.identify("c", 5000);
  rig.groups.set("c", again);
  rig.open("c", "a", 10);
  rig.pass(3000);
  rig.sendTo("c", "b", "1 of the next page");
  rig.pass(3000);
  assert.equal(rig.handed("b"), "c:1 c:1 of the next page");
});

test("a change of host loses nothing that is under way", () => {
  const rig = three();
  rig.loses = ({ message }) => message.t === "direct";
  rig.sendTo("b", "c", "1");
  rig.settle();
  rig.loses = () => false;
  rig.kill("a");
  rig.host("b", "b", 11, "left", ["b", "c"]);
  rig.host("c", "b", 11, "left");
  rig.sendTo("c", "b", "2");
  rig.pass(2000);
  assert.deepEqual([rig.handed("c"), rig.handed("b")], ["b:1", "c:2"]);
});

test("the host passes on what the relay does not carry", () => {
  const rig = three();
  rig.loses = ({ from, to }) => from !== "a" && to !== "a";
  rig.sendTo("b", "c", "1");
  rig.sendTo("b", "c", "2");
  rig.pass(100);
  assert.deepEqual([rig.handed("c"), rig.outcomes("b")], ["b:1 b:2", "ok ok"]);
  // The way is remembered.
  rig.sendTo("b", "c", "3");
  rig.settle();
  assert.equal(rig.outcomes("b"), "ok ok ok");
});

test("who is not the host passes nothing on, and is not believed", () => {
  const rig = three();
  const m: DirectWire = { t: "direct", e: 10, life: 0, key: -1, after: 0, x: [] };
  rig.receive("b", "c", { t: "pass", e: 10, to: "a", m } satisfies Wire);
  rig.receive("b", "c", { t: "passed", e: 10, from: "a", m } satisfies Wire);
  rig.receive("b", "c", { t: "found", e: 10, id: "a", lacks: true } satisfies Wire);
  assert.deepEqual(
    rig.letters.filter(({ message }) => ["got", "pass", "passed"].includes(message.t)),
    [],
  );
});

test("a member with an older library is Unsupported, by its host's word", () => {
  const rig = three();
  rig.addOlder("d");
  rig.joins("d", "a");
  rig.sendTo("b", "d", "1");
  rig.sendTo("a", "d", "2");
  rig.settle();
  assert.deepEqual([rig.outcomes("a"), rig.outcomes("b")], ["Unsupported", "Unsupported"]);
});

test("where host and addressee have an older library, silence is the answer", () => {
  const rig = new DirectRig();
  rig.addOlder("a");
  rig.open("a", "a", 10, ["a"]);
  rig.addOlder("d");
  rig.joins("d", "a");
  rig.add("b", "c");
  rig.joins("b", "a");
  rig.joins("c", "a");
  rig.sendTo("b", "d", "1");
  rig.sendTo("b", "c", "2");
  rig.pass(8000);
  assert.deepEqual([rig.handed("c"), rig.outcomes("b")], ["b:2", "ok"]);
  rig.pass(8000);
  assert.equal(rig.outcomes("b"), "ok Unsupported");
});

test("a stock client is Unsupported at once", () => {
  const rig = three();
  rig.feed("a", { type: "joined", member: { id: "stock", group: false } });
  rig.pass(1000);
  rig.sendTo("b", "stock", "1");
  assert.equal(rig.outcomes("b"), "Unsupported");
});

test("limits are kept: one message, one addressee, all of them", () => {
  const rig = new DirectRig();
  rig.addWith("a", { messageBytes: 100, outboxBytes: 300 });
  rig.open("a", "a", 10, ["a"]);
  rig.add("b", "c", "d");
  for (const id of ["b", "c", "d"]) rig.joins(id, "a");
  rig.sendTo("a", "b", "x".repeat(101));
  rig.sendTo("a", "b", "x".repeat(100));
  rig.sendTo("a", "b", "x".repeat(51));
  rig.sendTo("a", "b", "x".repeat(50));
  rig.sendTo("a", "c", "x".repeat(100));
  rig.sendTo("a", "d", "x".repeat(51));
  assert.equal(rig.outcomes("a"), "TooLarge Backpressure Backpressure");
  rig.settle();
  assert.equal(rig.outcomes("a"), "TooLarge Backpressure Backpressure ok ok ok");
});

test("a message that its page gives up has no outcome, and those after it are handed over", () => {
  const rig = three();
  rig.loses = ({ to }) => to === "c";
  rig.sendTo("b", "c", "0");
  const token = rig.sendTo("b", "c", "1");
  rig.sendTo("b", "c", "2");
  rig.settle();
  rig.feed("b", { type: "abort", token });
  rig.loses = () => false;
  rig.pass(5000);
  assert.deepEqual([rig.handed("c"), rig.outcomes("b")], ["b:0 b:2", "ok ok"]);
});

test("a tried message that its page gives up does not hold up those after it", () => {
  const rig = three();
  rig.sendTo("b", "c", "0");
  rig.settle();
  rig.loses = carries;
  const token = rig.sendTo("b", "c", "1");
  rig.sendTo("b", "c", "2");
  rig.settle();
  rig.feed("b", { type: "abort", token });
  rig.loses = () => false;
  rig.pass(5000);
  assert.deepEqual([rig.handed("c"), rig.outcomes("b")], ["b:0 b:2", "ok ok"]);
});

test("who leaves has its messages Closed, and sends no more", () => {
  const rig = three();
  rig.sendTo("b", "c", "1");
  rig.sendTo("b", "c", "2", 1000);
  rig.feed("b", { type: "leave" });
  rig.sendTo("b", "c", "3");
  assert.equal(rig.outcomes("b"), "Closed Closed Closed");
});

test("a sender that is restored asks for no place that its history does not have", () => {
  const rig = three();
  rig.sendTo("b", "a", "first");
  rig.settle();
  // Cut off with a history of its own: `b` hosts for a while, and stamps what nobody gets.
  rig.host("b", "b", 11, "stalled", ["a", "b", "c"]);
  rig.pass(1000, "b");
  rig.send("b", "given up");
  rig.pass(4000, "b");
  assert.equal(rig.state("b"), "given up");
  rig.sendTo("b", "a", "from the other half");
  rig.letters = [];
  for (const id of ["a", "c"]) rig.host(id, "a", 12, "stalled", ["a", "c"]);
  rig.pass(1000, "a", "c");
  rig.send("a", "goes on");
  rig.pass(1000, "a", "c");
  rig.host("b", "a", 12, "stalled");
  rig.feed("a", { type: "joined", member: { id: "b", group: true } });
  rig.pass(20_000);
  assert.equal(rig.handed("a"), "b:first b:from the other half");
  assert.equal(rig.outcomes("b"), "ok ok");
});
