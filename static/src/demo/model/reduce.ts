// Applies an operation to the board. Pure: the same operations in the same order give the same
// board everywhere.
import { opposite, perform } from "./change.ts";
import {
  LIMITS,
  wireId,
  type Board,
  type Change,
  type MemberId,
  type Operation,
  type Past,
} from "./types.ts";

/**
 * Result of an operation. `change` is absent if the operation had no effect. `missed` is the change
 * that undo or redo was meant for if others have made it impossible. `how` is "kept" for a board
 * that the browser had stored.
 */
export type Outcome = {
  readonly board: Board;
  readonly change?: Change;
  readonly missed?: Change;
  readonly how: "do" | "undo" | "redo" | "kept";
};

type Revert = Extract<Operation, { do: "undo" | "redo" }>;

const isRevert = (operation: Operation): operation is Revert =>
  operation.do === "undo" || operation.do === "redo";

const NONE: Past = { done: [], undone: [] };

export function reduce(board: Board, by: MemberId, operation: Operation): Outcome {
  if (isRevert(operation)) return revert(board, by, operation.do);
  const wanted = changeOf(board, by, operation);
  const made = wanted && perform(board, by, wanted);
  if (!made) return { board, how: "do" };
  if (operation.do === "load" && operation.kept)
    return { board: made.board, change: made.change, how: "kept" };
  const { done } = board.pasts.get(by) ?? NONE;
  return {
    board: remember(made.board, by, { done: joined(done, made.change), undone: [] }),
    change: made.change,
    how: "do",
  };
}

/** Returns whether there is something to undo or redo. Others may have made it impossible. */
export function canRevert(board: Board, by: MemberId, how: "undo" | "redo"): boolean {
  return stackOf(board.pasts.get(by) ?? NONE, how).length > 0;
}

const stackOf = ({ done, undone }: Past, how: "undo" | "redo"): readonly Change[] =>
  how === "undo" ? done : undone;

/**
 * Undoes or redoes the member's newest change. If others have changed the same since, nothing is
 * done but to forget that change, so that the next undo goes further back. Undoing an older change
 * at once might undo more than was meant.
 */
function revert(board: Board, by: MemberId, how: "undo" | "redo"): Outcome {
  const past = board.pasts.get(by) ?? NONE;
  const stack = stackOf(past, how);
  const last = stack.at(-1);
  if (!last) return { board, how };
  const left = stack.slice(0, -1);
  const made = perform(board, by, opposite(last), true);
  if (!made)
    return {
      board: remember(
        board,
        by,
        how === "undo" ? { ...past, done: left } : { ...past, undone: left },
      ),
      missed: last,
      how,
    };
  const next =
    how === "undo"
      ? { done: left, undone: [...past.undone, made.change] }
      : { done: [...past.done, made.change], undone: left };
  return { board: remember(made.board, by, next), change: made.change, how };
}

function changeOf(
  board: Board,
  by: MemberId,
  operation: Exclude<Operation, Revert>,
): Change | undefined {
  switch (operation.do) {
    case "add": {
      const { id, name, x, y } = operation;
      return { kind: "placed", steps: [{ id, name, x, y, by }], wires: [] };
    }
    case "load":
      if (operation.kept && board.steps.size > 0) return undefined;
      return {
        kind: "placed",
        steps: operation.steps.map((step) => ({ ...step, by })),
        wires: operation.wires.map((wire) => ({ ...wire, by })),
      };
    case "move": {
      const step = board.steps.get(operation.id);
      const { x, y, gesture } = operation;
      return (
        step && {
          kind: "moved",
          id: step.id,
          from: { x: step.x, y: step.y },
          to: { x, y },
          gesture,
        }
      );
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

/**
 * Adds a change. A move of the same gesture extends the last move, and removes it if it ends where
 * that began.
 */
function joined(done: readonly Change[], change: Change): readonly Change[] {
  const last = done.at(-1);
  const goesOn =
    last?.kind === "moved" &&
    change.kind === "moved" &&
    last.id === change.id &&
    last.gesture === change.gesture;
  if (!goesOn) return [...done, change];
  const back = last.from.x === change.to.x && last.from.y === change.to.y;
  return back ? done.slice(0, -1) : [...done.slice(0, -1), { ...change, from: last.from }];
}

/**
 * Stores a member's past. If there are too many members, the one with the oldest change is
 * forgotten.
 */
function remember(board: Board, by: MemberId, past: Past): Board {
  const pasts = new Map(board.pasts);
  pasts.delete(by);
  pasts.set(by, { done: past.done.slice(-LIMITS.past), undone: past.undone.slice(-LIMITS.past) });
  if (pasts.size > LIMITS.pasts) pasts.delete(pasts.keys().next().value!);
  return { ...board, pasts };
}
