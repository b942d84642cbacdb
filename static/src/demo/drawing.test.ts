import assert from "node:assert/strict";
import { test } from "node:test";
import { addressOf, pageProblem } from "./address.ts";
import { example, PITCH } from "./example.ts";
import { HOST_R, MOST, RTT_AT, SIZE, spots, type Spot } from "./layout.ts";
import { messageIn } from "./message.ts";
import { reduce } from "./model/reduce.ts";
import { BOX, EMPTY, type Step } from "./model/types.ts";
import { distinct, hueOf, MAX_NAME, someName } from "./people.ts";
import { freePlace, type View } from "./free-place.ts";
import { wirePath } from "./wire-path.ts";
import {
  changeInWords,
  endInWords,
  errorInWords,
  hostInWords,
  missedInWords,
  took,
} from "./words.ts";

test("the page is the address without its query; ?page=, ?key= and ?server= name others", () => {
  const address = (url: string) => addressOf(new URL(url));
  assert.deepEqual(address("https://host.example/a/?x=1#y"), {
    page: "https://host.example/a/",
    server: "https://host.example/a/",
    key: "peerjs",
  });
  assert.deepEqual(
    address("http://localhost:9000/deep/index.html?page=b%C3%BCro&key=k").server,
    "http://localhost:9000/deep/",
  );
  assert.deepEqual(
    address("http://localhost:9000/?page=b%C3%BCro&key=k&server=https://x.example/p/"),
    { page: "büro", server: "https://x.example/p/", key: "k" },
  );
});

test("the length of a page's name is measured in bytes", () => {
  assert.equal(pageProblem("ü".repeat(512)), undefined);
  assert.match(pageProblem("ü".repeat(513))!, /1026 bytes/);
});

test("the host stands in the middle and no two members overlap", () => {
  for (const count of [1, 2, 3, 5, 9, 10, 24, 40, 200]) {
    const ids = Array.from({ length: count }, (_, i) => `m${String(i).padStart(3, "0")}`);
    const all = spots(ids, "m000", ids.at(-1)!);
    assert.ok(all.length === Math.min(count, MOST + 1) || all.length === MOST + 2);
    assert.ok(
      count === 1 || all.some(({ id }) => id === ids.at(-1)),
      "one's own place is always drawn",
    );
    assert.deepEqual([all[0]!.id, all[0]!.r], ["m000", HOST_R]);
    const [host, ...others] = all as [Spot, ...Spot[]];
    assert.ok(
      !others.some(({ x, y }) => Math.abs(x - host.x) < 1 && y > host.y),
      `of ${count}, one stands where the host's name is`,
    );
    for (const [i, a] of all.entries()) {
      assert.ok(a.y + a.name > 6, `the name of ${a.id} of ${count} is cut off`);
      assert.ok(
        a.x - a.r > 0 && a.x + a.r < SIZE.width && a.y - a.r > 0 && a.y + a.r + 18 < SIZE.height,
        `${a.id} of ${count} is outside`,
      );
      for (const b of all.slice(i + 1))
        assert.ok(
          Math.hypot(a.x - b.x, a.y - b.y) > Math.min(a.r, b.r),
          `${a.id} is on ${b.id} of ${count}`,
        );
    }
  }
});

test("a member that does not know the host yet stands in the middle", () => {
  assert.deepEqual(
    spots(["me"], undefined, "me").map(({ x, r }) => [x, r]),
    [[SIZE.width / 2, HOST_R]],
  );
});

test("with few members nothing overlaps the host's name, however long it is", () => {
  const letter = 8;
  for (let count = 2; count <= 8; count++) {
    const [host, ...others] = spots(
      Array.from({ length: count }, (_, i) => `m${i}`),
      "m0",
      "m0",
    ) as [Spot, ...Spot[]];
    const name = {
      left: host.x - (host.letters * letter) / 2,
      right: host.x + (host.letters * letter) / 2,
      top: host.y + host.name - 11,
    };
    for (const { id, x, y, r } of others) {
      const rtt = { x: host.x + (x - host.x) * RTT_AT, y: host.y + (y - host.y) * RTT_AT };
      const clear = (at: { x: number; y: number }, width: number, height: number) =>
        at.y + height <= name.top || at.x + width <= name.left || at.x - width >= name.right;
      assert.ok(clear(rtt, 18, 7), `the round trip of ${id} of ${count}`);
      assert.ok(clear({ x, y }, r, r), `the circle of ${id} of ${count}`);
    }
  }
});

test("a new step takes the first free place in view, or one below all", () => {
  const view = { x: 100, y: 50, width: 800, height: 500 };
  const steps: Step[] = [];
  for (let n = 0; n < 30; n++) {
    const at = freePlace(steps, view);
    for (const step of steps)
      assert.ok(
        Math.abs(step.x - at.x) >= BOX.width || Math.abs(step.y - at.y) >= BOX.height,
        `${n} lies on ${step.id}`,
      );
    if (n < 9)
      assert.ok(
        at.x >= view.x &&
          at.x + BOX.width <= view.x + view.width &&
          at.y >= view.y &&
          at.y + BOX.height <= view.y + view.height,
      );
    steps.push({ id: `s${n}`, name: "n", by: "me", ...at });
  }
});

test("new steps stand in the same rows and columns in every scrolled view", () => {
  const columns = (view: View) => [
    freePlace([], view).x % PITCH.x,
    freePlace([], view).y % PITCH.y,
  ];
  const straight = columns({ x: 0, y: 0, width: 800, height: 500 });
  for (const [x, y] of [
    [7, 3],
    [100, 50],
    [300, 99],
    [1000, 1234],
  ] as const) {
    const view = { x, y, width: 800, height: 500 };
    assert.deepEqual(columns(view), straight);
    const at = freePlace([], view);
    assert.ok(at.x >= x && at.y >= y, "and are in view");
  }
  const narrow = { x: 40, y: 0, width: 364, height: 438 };
  assert.ok(freePlace([], narrow).x < narrow.x, "where no whole one fits, one that is cut will do");
});

test("the example fits its window and is one workflow", () => {
  for (const width of [360, 700, 1400]) {
    let n = 0;
    const { board } = reduce(
      EMPTY,
      "me",
      example(width, () => `s${n++}`),
    );
    assert.deepEqual([board.steps.size, board.wires.size], [6, 5]);
    assert.equal(reduce(board, "me", { do: "undo" }).board.steps.size, 0, "and one thing to undo");
  }
});

test("a wire leaves on the side that faces the other step", () => {
  assert.match(wirePath({ x: 0, y: 0 }, { x: 400, y: 0 }), /^M172 28C.* 400 28$/);
  assert.match(wirePath({ x: 0, y: 0 }, { x: 0, y: 300 }), /^M86 56C.* 86 300$/);
});

test("wires that enter and leave the same side do not overlap", () => {
  const places = [
    { x: 400, y: 0 },
    { x: -400, y: 0 },
    { x: 0, y: 300 },
    { x: 0, y: -300 },
  ];
  const box = { x: 0, y: 0 };
  const leaving = places.map((other) => /^M(\S+ [^C]+)C/.exec(wirePath(box, other))![1]!);
  const entering = places.map((other) => / (\S+ \S+)$/.exec(wirePath(other, box))![1]!);
  assert.equal(new Set([...leaving, ...entering]).size, 8);
});

test("messages are parsed as untrusted data", () => {
  for (const odd of [
    undefined,
    7,
    {},
    { type: "do", n: 1 },
    { type: "do", operation: { do: "undo" } },
    { type: "name", name: " " },
    { type: "links", links: 1 },
    { type: "drop" },
  ])
    assert.equal(messageIn(odd), undefined);
  assert.deepEqual(
    messageIn({
      type: "links",
      links: [{ id: "a", path: "p2p", rttMs: 3 }, { id: "b", path: "smoke" }, null],
    }),
    { type: "links", links: [{ id: "a", path: "p2p", rttMs: 3 }] },
  );
});

test("the text of a failed undo names the member that has changed the step since", () => {
  const said = (id: string) => (id === "me" ? "you" : "Bob");
  const added = reduce(EMPTY, "me", { do: "add", id: "a", name: "GLM", x: 0, y: 0 }).board;
  const undone = reduce(
    reduce(added, "bob", { do: "move", id: "a", x: 9, y: 9, gesture: "g" }).board,
    "me",
    { do: "undo" },
  );
  assert.deepEqual(
    [changeInWords("you", undone, added), missedInWords(undone, said)],
    [undefined, "Bob has changed “GLM” since; nothing undone."],
  );
  const gone = reduce(reduce(added, "bob", { do: "remove", id: "a" }).board, "me", { do: "undo" });
  assert.equal(missedInWords(gone, said), "Others have changed things since; nothing undone.");
});

test("two members with the same name are told apart", () => {
  assert.equal(distinct("Ann", new Set(["Bob"])), "Ann");
  assert.equal(distinct("Ann", new Set(["Ann", "Ann 2"])), "Ann 3");
  const long = "x".repeat(MAX_NAME);
  assert.equal(distinct(long, new Set([long])).length, MAX_NAME);
});

test("durations, counts and errors have short texts", () => {
  assert.deepEqual(
    [took(86.6), took(12_340)],
    [
      { value: "87", unit: "ms" },
      { value: "12", unit: "s" },
    ],
  );
  assert.match(errorInWords({ code: "Uncertain" })!, /may not have reached/);
  assert.equal(errorInWords({ code: "Refused", message: "raw" }), undefined);
  assert.equal(errorInWords(new Error("plain")), "plain");
  const one = reduce(EMPTY, "me", { do: "add", id: "a", name: "GLM", x: 0, y: 0 });
  assert.equal(changeInWords("you", one, EMPTY), "You added “GLM”");
  assert.equal(
    changeInWords("Ann", reduce(one.board, "me", { do: "undo" }), one.board),
    "Ann removed “GLM” (undo)",
  );
  const kept = reduce(EMPTY, "me", {
    do: "load",
    steps: [{ id: "a", name: "GLM", x: 0, y: 0 }],
    wires: [],
    kept: true,
  });
  assert.deepEqual(
    [changeInWords("you", kept, EMPTY), changeInWords("Ann", kept, EMPTY)],
    ["Your board from last time is back", "Ann’s board from last time is back"],
  );
  assert.deepEqual(
    [hostInWords("you", 14.2), hostInWords("Bob", 14.2)],
    [
      "You are the host now, seen here in 14\u00a0ms",
      "Bob is the host now, seen here in 14\u00a0ms",
    ],
  );
  assert.match(endInWords({ code: 4401, reason: "Invalid key provided" }), /“key”/);
  assert.equal(endInWords({ code: 4405, reason: "page is empty" }), "page is empty");
  assert.match(
    someName(() => 0),
    /^\S+ \S+$/,
  );
  assert.ok(hueOf("a") >= 0 && hueOf("a") < 360);
  const [once, twice] = [hueOf("abc"), hueOf("abc")];
  assert.equal(once, twice);
});
