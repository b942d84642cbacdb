// What an operation does to the board. Pure: the same operations in the same order give the same board everywhere.
import { opposite, perform } from "./change.ts";
import { LIMITS, wireId, type Board, type Change, type MemberId, type Operation, type Past } from "./types.ts";

/** `change` is absent when the operation had no effect. */
export type Outcome = { readonly board: Board; readonly change?: Change; readonly how: "do" | "undo" | "redo" };

type Revert = Extract<Operation, { do: "undo" | "redo" }>;

const isRevert = (operation: Operation): operation is Revert => operation.do === "undo" || operation.do === "redo";

const NONE: Past = { done: [], undone: [] };

export function reduce(board: Board, by: MemberId, operation: Operation): Outcome {
  if (isRevert(operation)) return revert(board, by, operation.do);
  const wanted = changeOf(board, by, operation);
  const made = wanted && perform(board, by, wanted);
  if (!made) return { board, how: "do" };
  if (operation.do === "load" && operation.kept) return { board: made.board, change: made.change, how: "do" };
  const { done } = board.pasts.get(by) ?? NONE;
  return { board: remember(made.board, by, { done: joined(done, made.change), undone: [] }), change: made.change, how: "do" };
}

/** Whether undo or redo would do something. */
export function canRevert(board: Board, by: MemberId, how: "undo" | "redo"): boolean {
  return board.pasts.has(by) && revert(board, by, how).change !== undefined;
}

/** Mine, the newest that still makes sense: what others have changed since is theirs, and passed over. */
function revert(board: Board, by: MemberId, how: "undo" | "redo"): Outcome {
  const past = board.pasts.get(by);
  if (!past) return { board, how };
  const stack = [...(how === "undo" ? past.done : past.undone)];
  for (let last = stack.pop(); last; last = stack.pop()) {
    const made = perform(board, by, opposite(last), true);
    if (!made) continue;
    const next = how === "undo" ? { done: stack, undone: [...past.undone, made.change] } : { done: [...past.done, made.change], undone: stack };
    return { board: remember(made.board, by, next), change: made.change, how };
  }
  return { board, how };
}

function changeOf(board: Board, by: MemberId, operation: Exclude<Operation, Revert>): Change | undefined {
  switch (operation.do) {
    case "add": {
      const { id, name, x, y } = operation;
      return { kind: "placed", steps: [{ id, name, x, y, by }], wires: [] };
    }
    case "load":
      if (operation.kept && board.steps.size > 0) return undefined;
      return { kind: "placed", steps: operation.steps.map((step) => ({ ...step, by })), wires: operation.wires.map((wire) => ({ ...wire, by })) };
    case "move": {
      const step = board.steps.get(operation.id);
      const { x, y, gesture } = operation;
      return step && { kind: "moved", id: step.id, from: { x: step.x, y: step.y }, to: { x, y }, gesture };
    }
    case "rename": {
      const step = board.steps.get(operation.id);
      return step && { kind: "renamed", id: step.id, from: step.name, to: operation.name };
    }
    case "remove": {
      const step = board.steps.get(operation.id);
      return step && { kind: "taken", steps: [step], wires: [] };
    }
    case "connect":
      return { kind: "placed", steps: [], wires: [{ from: operation.from, to: operation.to, by }] };
    case "disconnect": {
      const wire = board.wires.get(wireId(operation.from, operation.to));
      return wire && { kind: "taken", steps: [], wires: [wire] };
    }
  }
}

/** Adds to what was done; a move goes on where the last one of the same gesture ended. */
function joined(done: readonly Change[], change: Change): readonly Change[] {
  const last = done.at(-1);
  const goesOn = last?.kind === "moved" && change.kind === "moved" && last.id === change.id && last.gesture === change.gesture;
  return goesOn ? [...done.slice(0, -1), { ...change, from: last.from }] : [...done, change];
}

/** Bounded: whoever did something longest ago is forgotten first. */
function remember(board: Board, by: MemberId, past: Past): Board {
  const pasts = new Map(board.pasts);
  pasts.delete(by);
  pasts.set(by, { done: past.done.slice(-LIMITS.past), undone: past.undone.slice(-LIMITS.past) });
  if (pasts.size > LIMITS.pasts) pasts.delete(pasts.keys().next().value!);
  return { ...board, pasts };
}
