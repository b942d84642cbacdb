import assert from "node:assert/strict";
import { test } from "node:test";
import { boardIn, operationIn, packed } from "./read.ts";
import { canRevert, reduce } from "./reduce.ts";
import { EMPTY, LIMITS, type Board, type Operation } from "./types.ts";

type Said = readonly [by: string, operation: Operation];

const after = (said: readonly Said[], from: Board = EMPTY): Board =>
  said.reduce((board, [by, operation]) => reduce(board, by, operation).board, from);
const look = (board: Board) => JSON.stringify(packed(board));
const names = (board: Board) => [...board.steps.values()].map(({ name }) => name);
const wires = (board: Board) => [...board.wires.keys()];

const add = (id: string, name = id, x = 0, y = 0): Operation => ({ do: "add", id, name, x, y });
const move = (id: string, x: number, y: number, gesture = "g"): Operation => ({
  do: "move",
  id,
  x,
  y,
  gesture,
});
const rename = (id: string, name: string): Operation => ({ do: "rename", id, name });
const remove = (id: string): Operation => ({ do: "remove", id });
const connect = (from: string, to: string): Operation => ({ do: "connect", from, to });
const disconnect = (from: string, to: string): Operation => ({ do: "disconnect", from, to });
const undo: Operation = { do: "undo" };
const redo: Operation = { do: "redo" };

/** Returns a source of pseudo-random numbers that are the same in every run. */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * sides);
  };
}

function someOperation(roll: (sides: number) => number): Operation {
  const id = () => `s${roll(6)}`;
  const all: (() => Operation)[] = [
    () => add(id(), `step ${roll(9)}`, roll(900), roll(500)),
    () => move(id(), roll(900), roll(500), `g${roll(3)}`),
    () => rename(id(), `name ${roll(9)}`),
    () => remove(id()),
    () => connect(id(), id()),
    () => disconnect(id(), id()),
    () => ({
      do: "load",
      steps: [{ id: id(), name: "loaded", x: 1, y: 1 }],
      wires: [],
      kept: roll(2) === 0,
    }),
    () => undo,
    () => undo,
    () => redo,
  ];
  return all[roll(all.length)]!();
}

const someHistory = (seed: number, length: number): Said[] => {
  const roll = dice(seed);
  return Array.from({ length }, () => [`member ${roll(4)}`, someOperation(roll)]);
};

test("the same operations in the same order give the same board, also through a snapshot", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const history = someHistory(seed, 80);
    const there = after(history);
    assert.equal(look(after(history)), look(there));
    const cut = dice(seed)(history.length);
    const sent: unknown = JSON.parse(look(after(history.slice(0, cut))));
    assert.equal(
      look(after(history.slice(cut), boardIn(sent))),
      look(there),
      `seed ${seed}, snapshot at ${cut}`,
    );
  }
});

test("wires always join present steps and never close a circle", () => {
  for (let seed = 1; seed <= 300; seed++) {
    let board = EMPTY;
    for (const [by, operation] of someHistory(seed, 80)) {
      const before = look(board);
      const next = reduce(board, by, operation);
      assert.equal(look(board), before, "a board is never changed in place");
      if (next.change === undefined)
        assert.deepEqual([next.board.steps, next.board.wires], [board.steps, board.wires]);
      board = next.board;
      for (const { from, to } of board.wires.values())
        assert.ok(board.steps.has(from) && board.steps.has(to));
      assert.ok(isOrdered(board), `a circle, seed ${seed}`);
    }
  }
});

/**
 * Returns whether the board has no circle: removes steps without incoming wires until none is left.
 */
function isOrdered({ steps, wires }: Board): boolean {
  const left = new Set(steps.keys());
  for (let took = true; took; ) {
    took = false;
    for (const id of left)
      if (![...wires.values()].some(({ from, to }) => to === id && left.has(from)))
        took = left.delete(id);
  }
  return left.size === 0;
}

test("undo reverts a member's changes one by one, and redo makes them again", () => {
  const mine: Operation[] = [
    add("a"),
    add("b"),
    connect("a", "b"),
    move("a", 50, 60),
    rename("b", "B"),
    disconnect("a", "b"),
    connect("a", "b"),
    remove("a"),
  ];
  const boards = mine.map((_, count) =>
    after(mine.slice(0, count + 1).map((operation) => ["me", operation])),
  );
  const drawn = (board: Board) => [names(board).sort(), wires(board)];
  let board = boards.at(-1)!;
  for (const earlier of boards.slice(0, -1).reverse()) {
    board = reduce(board, "me", undo).board;
    assert.deepEqual(drawn(board), drawn(earlier));
  }
  for (const later of boards.slice(1)) {
    board = reduce(board, "me", redo).board;
    assert.deepEqual(drawn(board), drawn(later));
  }
  assert.equal(canRevert(board, "me", "redo"), false);
});

test("undo restores a removed step with its wires, at its place", () => {
  const board = after([
    ["me", add("a")],
    ["me", add("b", "Skull strip", 30, 40)],
    ["me", connect("a", "b")],
    ["you", remove("b")],
    ["you", undo],
  ]);
  assert.deepEqual(wires(board), ["a b"]);
  const { name, x, y } = board.steps.get("b")!;
  assert.deepEqual([name, x, y], ["Skull strip", 30, 40]);
});

test("undo concerns a member's own changes only", () => {
  const board = after([
    ["me", add("a")],
    ["you", add("b")],
    ["me", undo],
  ]);
  assert.deepEqual(names(board), ["b"]);
  assert.equal(canRevert(board, "me", "undo"), false);
  assert.equal(canRevert(board, "you", "undo"), true);
});

test("undo leaves what others have changed since, and goes further back the next time", () => {
  const start = after([
    ["me", add("a")],
    ["me", add("b")],
    ["me", move("a", 10, 10)],
    ["you", move("a", 99, 99)],
  ]);
  const first = reduce(start, "me", undo);
  assert.equal(first.change, undefined);
  assert.deepEqual([first.missed?.kind, first.board.steps], ["moved", start.steps]);
  assert.deepEqual(names(reduce(first.board, "me", undo).board), ["a"], "the step before");
  assert.equal(
    reduce(reduce(first.board, "me", undo).board, "me", redo).change?.kind,
    "placed",
    "what was left cannot be done again",
  );
  const wired = after([
    ["me", add("a")],
    ["you", add("b")],
    ["you", connect("b", "a")],
    ["me", undo],
  ]);
  assert.deepEqual(names(wired), ["a", "b"], "a step that another has wired stays");
  assert.equal(canRevert(wired, "me", "undo"), false);
  const again = after([
    ["me", add("a")],
    ["me", rename("a", "A")],
    ["me", undo],
    ["you", rename("a", "yours")],
  ]);
  assert.deepEqual(
    [reduce(again, "me", redo).missed?.kind, names(reduce(again, "me", redo).board)],
    ["renamed", ["yours"]],
  );
});

test("a drag that ends where it began leaves nothing to undo", () => {
  const board = after([
    ["me", add("a", "a", 5, 5)],
    ["me", rename("a", "A")],
    ["me", move("a", 10, 10)],
    ["me", move("a", 5, 5)],
    ["me", undo],
  ]);
  assert.deepEqual(names(board), ["a"]);
});

test("the moves of one drag are undone together", () => {
  const board = after([
    ["me", add("a", "a", 5, 5)],
    ["me", move("a", 10, 10)],
    ["me", move("a", 20, 20)],
    ["you", add("b")],
    ["me", move("a", 30, 30)],
    ["me", undo],
  ]);
  const { x, y } = board.steps.get("a")!;
  assert.deepEqual([x, y], [5, 5]);
});

test("a new change clears what could be redone", () => {
  const board = after([
    ["me", add("a")],
    ["me", undo],
    ["me", add("b")],
    ["me", redo],
  ]);
  assert.deepEqual(names(board), ["b"]);
});

test("all members refuse the second of two wires that close a circle", () => {
  const start: Said[] = [
    ["me", add("a")],
    ["me", add("b")],
    ["me", add("c")],
    ["me", connect("a", "b")],
    ["me", connect("b", "c")],
  ];
  assert.deepEqual(wires(after([...start, ["you", connect("c", "a")]])), ["a b", "b c"]);
  assert.deepEqual(
    wires(
      after([
        ["me", add("a")],
        ["me", connect("a", "a")],
      ]),
    ),
    [],
  );
  // Undo does not close a circle either.
  assert.deepEqual(
    wires(
      after([...start, ["me", disconnect("a", "b")], ["you", connect("c", "a")], ["me", undo]]),
    ),
    ["b c", "c a"],
  );
});

test("a stored board is loaded only onto an empty board and cannot be undone", () => {
  const kept: Operation = {
    do: "load",
    steps: [{ id: "k", name: "kept", x: 1, y: 2 }],
    wires: [],
    kept: true,
  };
  assert.deepEqual(names(after([["me", kept]])), ["kept"]);
  assert.deepEqual(
    names(
      after([
        ["you", add("a")],
        ["me", kept],
      ]),
    ),
    ["a"],
  );
  assert.deepEqual(
    names(
      after([
        ["me", kept],
        ["me", undo],
      ]),
    ),
    ["kept"],
  );
});

test("the remembered changes are bounded", () => {
  const long = after(
    Array.from({ length: 200 }, (_, n): Said => ["me", rename("a", `n${n}`)]),
    after([["me", add("a")]]),
  );
  assert.equal(long.pasts.get("me")!.done.length, LIMITS.past);
  const many = after(Array.from({ length: 200 }, (_, n): Said => [`m${n}`, add(`s${n}`)]));
  assert.equal(many.pasts.size, LIMITS.pasts);
  const full = after(
    Array.from({ length: LIMITS.steps + 5 }, (_, n): Said => ["me", add(`s${n}`)]),
  );
  assert.equal(full.steps.size, LIMITS.steps);
});

test("data of any shape is parsed or ignored", () => {
  for (const odd of [
    undefined,
    null,
    7,
    "x",
    [],
    {},
    { do: "add" },
    { do: "add", id: "a b", name: "n", x: 1, y: 1 },
    { do: "add", id: "a", name: "  ", x: 1, y: 1 },
    { do: "move", id: "a", x: NaN, y: 1 },
    { do: "fly" },
  ])
    assert.equal(operationIn(odd), undefined);
  assert.deepEqual(
    operationIn({ do: "add", id: "a", name: ` ${"x".repeat(200)}\n`, x: -5, y: 1e9, more: 1 }),
    add("a", "x".repeat(LIMITS.name), 0, LIMITS.y),
  );
  for (const odd of [undefined, null, 7, [], { steps: 7, wires: {}, pasts: [[7], null] }])
    assert.equal(look(boardIn(odd)), look(EMPTY));
  const dangling = boardIn({
    steps: [{ id: "a", name: "a", x: 1, y: 1 }],
    wires: [{ from: "a", to: "b" }],
  });
  assert.deepEqual(wires(dangling), []);
  assert.deepEqual(
    names(
      after([
        ["me", add("__proto__")],
        ["me", add("constructor")],
      ]),
    ),
    ["__proto__", "constructor"],
  );
});
