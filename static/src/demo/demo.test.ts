import assert from "node:assert/strict";
import { test } from "node:test";
import { addressOf, base64url, pageProblem } from "./address.ts";
import { backoffMs } from "./backoff.ts";
import { Chat } from "./chat.ts";
import { spots } from "./layout.ts";
import { speechIn } from "./speech.ts";
import { fromServer } from "./wire.ts";

const address = (url: string) => addressOf(new URL(url));

test("the page is the address without its query", () => {
  assert.equal(address("https://host.example/a/?x=1#y").page, "https://host.example/a/");
  assert.equal(address("http://localhost:9000/").page, "http://localhost:9000/");
});

test("?page= names another page, ?key= another key", () => {
  const { page, server } = address("http://localhost:9000/?page=b%C3%BCro&key=k");
  assert.equal(page, "büro");
  assert.equal(server.key, "k");
});

test("the path of a page is below the path of the document, in letters no proxy touches", () => {
  const { server } = address("https://host.example/deep/down/?page=%C3%BC%2F%3F%3E");
  assert.equal(server.path, `/deep/down/pages/~${Buffer.from("ü/?>").toString("base64url")}/`);
  assert.deepEqual([server.host, server.port, server.secure], ["host.example", 443, true]);
  assert.match(base64url("ÿþ~?>".repeat(9)), /^[A-Za-z0-9_-]+$/);
});

test("a page's name is measured in bytes", () => {
  assert.equal(pageProblem("ü".repeat(512)), undefined);
  assert.match(pageProblem("ü".repeat(513))!, /1026 bytes/);
});

test("an assignment is read from OPEN and HOST", () => {
  const open = fromServer({ type: "OPEN", payload: { page: "p", host: "a", epoch: 5, members: 2, p2p: true, roster: [{ id: "a", group: 0 }, { id: "b" }], ice: [{ urls: "stun:x" }] } });
  assert.deepEqual(open, { type: "assigned", assignment: { host: "a", epoch: 5, members: 2, p2p: true, roster: ["a", "b"] }, ice: [{ urls: "stun:x" }] });
  const host = fromServer({ type: "HOST", payload: { page: "p", host: "b", epoch: 6, cause: "left", members: 1, p2p: false } });
  assert.deepEqual(host, { type: "assigned", assignment: { host: "b", epoch: 6, members: 1, p2p: false, cause: "left" } });
});

test("what has no meaning here is passed over, whatever its shape", () => {
  for (const odd of [undefined, null, 7, "OPEN", [], {}, { type: "OPEN" }, { type: "OPEN", payload: null }, { type: "JOIN" }, { type: "OFFER", src: "a" }])
    assert.equal(fromServer(odd), undefined);
  for (const odd of [undefined, null, 7, {}, { type: "say" }, { type: "say", n: "1", text: "x" }, { type: "said", line: {} }, { type: "roster", seats: {} }])
    assert.equal(speechIn(odd), undefined);
});

test("words are cut to what a channel carries", () => {
  const said = speechIn({ type: "say", n: 1, text: "x".repeat(5000) });
  assert.ok(said?.type === "say" && said.text.length === 1000);
});

test("a repeated line is taken once, and mine stops waiting when it comes back", () => {
  const chat = new Chat("me");
  const line = chat.write("hello");
  assert.deepEqual(chat.unheard(), [{ type: "say", n: 1, text: "hello" }]);
  assert.equal(chat.take({ from: "other", n: 1, text: "not mine" }), true);
  assert.equal(chat.waiting.length, 1);
  assert.equal(chat.take(line), true);
  assert.equal(chat.take({ ...line }), false);
  assert.deepEqual([chat.lines.length, chat.waiting.length], [2, 0]);
});

test("the chat is bounded, and still knows what it let go", () => {
  const chat = new Chat("me");
  for (let n = 1; n <= 300; n++) chat.take({ from: "other", n, text: "x" });
  assert.equal(chat.lines.length, 100);
  assert.equal(chat.take({ from: "other", n: 150, text: "x" }), false);
});

test("the host stands in the middle and nobody on anyone else", () => {
  for (const count of [1, 2, 3, 10, 40, 100]) {
    const all = spots(Array.from({ length: count }, (_, i) => `m${i}`), "m0");
    assert.equal(all.length, count);
    assert.deepEqual([all[0]!.id, all[0]!.x, all[0]!.y], ["m0", 200, 200]);
    for (const [i, a] of all.entries()) {
      assert.ok(Math.min(a.x, a.y) - a.r - 5 > 0 && Math.max(a.x, a.y) + a.r + 5 < 400, `${a.id} of ${count} is outside`);
      for (const b of all.slice(i + 1)) assert.ok(Math.hypot(a.x - b.x, a.y - b.y) > Math.min(a.r, b.r), `${a.id} is on ${b.id} of ${count}`);
    }
  }
});

test("waiting grows, has a limit, and is never nothing", () => {
  assert.ok(backoffMs(0, 0) >= 200);
  assert.ok(backoffMs(3, 0) > backoffMs(1, 0));
  assert.ok(backoffMs(50, 0.999) <= 10_000);
});
