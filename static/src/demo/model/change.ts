// Applies a change to the board, as far as the board's present state allows.
import { closesCircle } from "./circle.ts";
import {
  LIMITS,
  wireId,
  type Board,
  type Change,
  type MemberId,
  type Step,
  type Wire,
} from "./types.ts";

type Made = { readonly board: Board; readonly change: Change };

/** Returns the change that undoes a change. */
export function opposite(change: Change): Change {
  switch (change.kind) {
    case "placed":
      return { ...change, kind: "taken" };
    case "taken":
      return { ...change, kind: "placed" };
    case "moved":
    case "renamed":
      return { ...change, from: change.to, to: change.from } as Change;
  }
}

/**
 * Returns the new board and what was really changed. Undefined if nothing was. `own`: steps and
 * wires that others have changed since stay.
 */
export function perform(board: Board, by: MemberId, change: Change, own = false): Made | undefined {
  switch (change.kind) {
    case "placed":
      return place(board, by, change);
    case "taken":
      return take(board, own ? by : undefined, change);
    case "moved": {
      const { from, to } = change;
      const step = board.steps.get(change.id);
      if (!step || step.x !== from.x || step.y !== from.y || (from.x === to.x && from.y === to.y))
        return undefined;
      return {
        board: { ...board, steps: withStep(board, { ...step, x: to.x, y: to.y, by }) },
        change,
      };
    }
    case "renamed": {
      const step = board.steps.get(change.id);
      if (!step || step.name !== change.from || change.from === change.to) return undefined;
      return {
        board: { ...board, steps: withStep(board, { ...step, name: change.to, by }) },
        change,
      };
    }
  }
}

type Things = { readonly steps: readonly Step[]; readonly wires: readonly Wire[] };

function place(board: Board, by: MemberId, wanted: Things): Made | undefined {
  const [steps, wires] = [new Map(board.steps), new Map(board.wires)];
  const placed: { steps: Step[]; wires: Wire[] } = { steps: [], wires: [] };
  for (const step of wanted.steps) {
    if (steps.has(step.id) || steps.size >= LIMITS.steps) continue;
    steps.set(step.id, { ...step, by });
    placed.steps.push({ ...step, by });
  }
  for (const { from, to } of wanted.wires) {
    const id = wireId(from, to);
    if (
      wires.has(id) ||
      wires.size >= LIMITS.wires ||
      !steps.has(from) ||
      !steps.has(to) ||
      closesCircle(wires, from, to)
    )
      continue;
    wires.set(id, { from, to, by });
    placed.wires.push({ from, to, by });
  }
  return done("placed", { ...board, steps, wires }, placed);
}

/**
 * Removes steps with all their wires. With `only`, steps that another member has changed or wired
 * stay.
 */
function take(board: Board, only: MemberId | undefined, wanted: Things): Made | undefined {
  const [steps, wires] = [new Map(board.steps), new Map(board.wires)];
  const taken: { steps: Step[]; wires: Wire[] } = { steps: [], wires: [] };
  const may = (thing: { by: MemberId }) => only === undefined || thing.by === only;
  const cut = (wire: Wire) => {
    wires.delete(wireId(wire.from, wire.to));
    taken.wires.push(wire);
  };
  for (const { id } of wanted.steps) {
    const step = steps.get(id);
    const attached = [...wires.values()].filter(({ from, to }) => from === id || to === id);
    if (!step || !may(step) || !attached.every(may)) continue;
    steps.delete(id);
    taken.steps.push(step);
    attached.forEach(cut);
  }
  for (const { from, to } of wanted.wires) {
    const wire = wires.get(wireId(from, to));
    if (wire && may(wire)) cut(wire);
  }
  return done("taken", { ...board, steps, wires }, taken);
}

function done(kind: "placed" | "taken", board: Board, things: Things): Made | undefined {
  return things.steps.length + things.wires.length === 0
    ? undefined
    : { board, change: { kind, ...things } };
}

const withStep = (board: Board, step: Step) => new Map(board.steps).set(step.id, step);
