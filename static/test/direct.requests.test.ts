// Requests to one other member, and the answers.

import assert from "node:assert/strict";
import { test } from "node:test";
import { DirectRig } from "./direct.rig.ts";

/** Returns a page of three, of which `a` hosts. */
function three(): DirectRig {
  const rig = new DirectRig();
  rig.together("a", "b", "c");
  return rig;
}

test("a request is answered once", () => {
  const rig = three();
  rig.sendTo("b", "c", "time?", 10_000);
  rig.settle();
  assert.deepEqual([rig.handed("c"), rig.outcomes("b")], ["b:time?", ""]);
  rig.answer("c", "time?", "noon");
  rig.answer("c", "time?", "midnight");
  rig.settle();
  assert.equal(rig.outcomes("b"), "=noon");
  rig.pass(20_000);
  assert.equal(rig.outcomes("b"), "=noon");
});

test("a page answers itself", () => {
  const rig = three();
  rig.sendTo("b", "b", "time?", 10_000);
  rig.answer("b", "time?", "noon");
  assert.equal(rig.outcomes("b"), "=noon");
});

test("a request or answer that is lost or repeated runs the handler once", () => {
  const rig = three();
  let lost = 0;
  rig.loses = ({ message }) =>
    (message.t === "reply" || message.t === "replied" || message.t === "got") && lost++ % 2 === 0;
  rig.sendTo("b", "c", "time?", 10_000);
  rig.pass(3000);
  rig.answer("c", "time?", "noon");
  rig.pass(6000);
  assert.deepEqual([rig.handed("c"), rig.outcomes("b")], ["b:time?", "=noon"]);
  rig.pass(30_000);
  rig.letters = [];
  rig.pass(3000, "nobody");
  assert.deepEqual(
    rig.letters.filter(({ message }) => message.t === "reply"),
    [],
    "the answer is not repeated for ever",
  );
});

test("an answer that is lost is sent again", () => {
  const rig = three();
  rig.sendTo("b", "c", "time?", 10_000);
  rig.settle();
  let lost = 0;
  rig.loses = ({ message }) => message.t === "reply" && lost++ < 1;
  rig.answer("c", "time?", "noon");
  rig.pass(3000);
  assert.deepEqual([lost, rig.outcomes("b")], [1, "=noon"]);
});

test("messages and requests come in the order in which they were sent", () => {
  const rig = three();
  rig.sendTo("b", "c", "1");
  rig.sendTo("b", "c", "2", 10_000);
  rig.sendTo("b", "c", "3");
  rig.settle();
  assert.equal(rig.handed("c"), "b:1 b:2 b:3");
});

test("an answer does not wait for what the requester's page was not handed", () => {
  const rig = three();
  rig.sendTo("b", "c", "time?", 10_000);
  rig.settle();
  rig.loses = ({ to, message }) => to === "b" && (message.t === "data" || message.t === "beat");
  rig.send("c", "to all");
  rig.pass(200);
  assert.deepEqual([rig.state("c"), rig.state("b")], ["to all", ""]);
  rig.answer("c", "time?", "noon");
  rig.settle();
  assert.equal(rig.outcomes("b"), "=noon");
});

test("a request without an answer in time is a Timeout, and its handler is told", () => {
  const rig = three();
  rig.sendTo("b", "c", "time?", 2000);
  rig.pass(1900);
  assert.equal(rig.outcomes("b"), "");
  rig.pass(200);
  assert.deepEqual([rig.outcomes("b"), rig.ended("c")], ["Timeout", 1]);
  rig.answer("c", "time?", "too late");
  rig.pass(1000);
  assert.equal(rig.outcomes("b"), "Timeout");
});

test("a request that was given up before it arrived is not handed over", () => {
  const rig = three();
  rig.loses = ({ to }) => to === "c";
  rig.sendTo("b", "c", "time?", 500);
  rig.pass(1000);
  rig.loses = () => false;
  rig.pass(10_000);
  assert.deepEqual([rig.outcomes("b"), rig.handed("c")], ["Timeout", ""]);
});

test("the page gives up a request: no outcome, and its handler is told", () => {
  const rig = three();
  const token = rig.sendTo("b", "c", "time?", 10_000);
  rig.settle();
  rig.feed("b", { type: "abort", token });
  rig.settle();
  rig.answer("c", "time?", "noon");
  rig.pass(20_000);
  assert.deepEqual([rig.outcomes("b"), rig.ended("c")], ["", 1]);
});

test("a member leaves with the request: Uncertain; the requester leaves: the handler is told", () => {
  const rig = three();
  rig.sendTo("b", "c", "time?", 10_000);
  rig.sendTo("c", "a", "place?", 10_000);
  rig.settle();
  rig.goes("c", "a");
  rig.pass(1000);
  assert.deepEqual([rig.outcomes("b"), rig.ended("a")], ["Uncertain", 1]);
});

test("who was not asked cannot answer", () => {
  const rig = three();
  rig.sendTo("b", "c", "time?", 10_000);
  rig.settle();
  rig.receive("b", "a", { t: "reply", e: 10, life: 0, q: 1, d: "never", z: 5 });
  assert.equal(rig.outcomes("b"), "");
});

test("a page is at work on 1,024 requests at most", () => {
  const rig = three();
  for (let i = 0; i < 1025; i++) rig.sendTo("b", "c", `${i}`, 100_000);
  rig.settle();
  assert.equal(rig.ended("c"), 1);
});
