// Parses operations and boards of other members. Any client may send to the page, so every field is
// checked.
import {
  EMPTY,
  LIMITS,
  type Board,
  type Change,
  type Operation,
  type Past,
  type Point,
  type Step,
  type Wire,
} from "./types.ts";
import { wireId } from "./types.ts";

type Loose = Readonly<Record<string, unknown>>;

export const record = (value: unknown): Loose =>
  typeof value === "object" && value !== null ? (value as Loose) : {};
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

export function operationIn(data: unknown): Operation | undefined {
  const raw = record(data);
  const id = idIn(raw["id"]);
  const name = nameIn(raw["name"]);
  const at = pointIn(raw);
  switch (raw["do"]) {
    case "add":
      return id && name && at ? { do: "add", id, name, ...at } : undefined;
    case "move":
      return id && at ? { do: "move", id, ...at, gesture: idIn(raw["gesture"]) ?? "" } : undefined;
    case "rename":
      return id && name ? { do: "rename", id, name } : undefined;
    case "remove":
      return id ? { do: "remove", id } : undefined;
    case "connect":
    case "disconnect": {
      const wire = wireIn(raw);
      return wire && { do: raw["do"], from: wire.from, to: wire.to };
    }
    case "load":
      return {
        do: "load",
        steps: list(raw["steps"]).slice(0, LIMITS.steps).flatMap(some(stepIn)),
        wires: list(raw["wires"]).slice(0, LIMITS.wires).flatMap(some(wireIn)),
        kept: raw["kept"] === true,
      };
    case "undo":
    case "redo":
      return { do: raw["do"] };
    default:
      return undefined;
  }
}

/** Returns a board in a form that JSON can carry. */
export function packed(board: Board): unknown {
  return {
    steps: [...board.steps.values()],
    wires: [...board.wires.values()],
    pasts: [...board.pasts],
  };
}

export function boardIn(data: unknown): Board {
  const raw = record(data);
  const steps = list(raw["steps"]).slice(0, LIMITS.steps).flatMap(some(stepIn));
  const known = new Map(steps.map((step) => [step.id, step]));
  const wires = list(raw["wires"]).slice(0, LIMITS.wires).flatMap(some(wireIn));
  const joined = wires.filter(({ from, to }) => known.has(from) && known.has(to));
  const pasts = list(raw["pasts"]).slice(-LIMITS.pasts).flatMap(some(pastIn));
  return {
    ...EMPTY,
    steps: known,
    wires: new Map(joined.map((wire) => [wireId(wire.from, wire.to), wire])),
    pasts: new Map(pasts),
  };
}

const some =
  <T>(read: (value: unknown) => T | undefined) =>
  (value: unknown): T[] => {
    const found = read(value);
    return found === undefined ? [] : [found];
  };

/** Ids are short and contain no blanks. */
function idIn(value: unknown): string | undefined {
  return typeof value === "string" && value.length <= LIMITS.id && /^\S+$/.test(value)
    ? value
    : undefined;
}

/** Returns a text as one line, cut to the length that a step shows. */
export function nameIn(value: unknown, most = LIMITS.name): string | undefined {
  return typeof value === "string"
    ? [...value.replace(/\s+/g, " ").trim()].slice(0, most).join("") || undefined
    : undefined;
}

function pointIn({ x, y }: Loose): Point | undefined {
  if (typeof x !== "number" || typeof y !== "number" || !Number.isFinite(x + y)) return undefined;
  return { x: within(x, LIMITS.x), y: within(y, LIMITS.y) };
}

/** Rounds a coordinate and limits it to the board. */
export const within = (value: number, most: number): number =>
  Math.min(most, Math.max(0, Math.round(value)));

const byIn = (value: unknown): string => (typeof value === "string" ? value.slice(0, 128) : "");

function stepIn(value: unknown): Step | undefined {
  const raw = record(value);
  const [id, name, at] = [idIn(raw["id"]), nameIn(raw["name"]), pointIn(raw)];
  return id && name && at ? { id, name, ...at, by: byIn(raw["by"]) } : undefined;
}

function wireIn(value: unknown): Wire | undefined {
  const raw = record(value);
  const [from, to] = [idIn(raw["from"]), idIn(raw["to"])];
  return from && to ? { from, to, by: byIn(raw["by"]) } : undefined;
}

function pastIn(value: unknown): [string, Past] | undefined {
  const [by, raw] = list(value);
  const { done, undone } = record(raw);
  const changes = (stack: unknown) => list(stack).slice(-LIMITS.past).flatMap(some(changeIn));
  return typeof by === "string"
    ? [byIn(by), { done: changes(done), undone: changes(undone) }]
    : undefined;
}

function changeIn(value: unknown): Change | undefined {
  const raw = record(value);
  const id = idIn(raw["id"]);
  switch (raw["kind"]) {
    case "placed":
    case "taken":
      return {
        kind: raw["kind"],
        steps: list(raw["steps"]).flatMap(some(stepIn)),
        wires: list(raw["wires"]).flatMap(some(wireIn)),
      };
    case "moved": {
      const [from, to] = [pointIn(record(raw["from"])), pointIn(record(raw["to"]))];
      return id && from && to
        ? { kind: "moved", id, from, to, gesture: idIn(raw["gesture"]) ?? "" }
        : undefined;
    }
    case "renamed": {
      const [from, to] = [nameIn(raw["from"]), nameIn(raw["to"])];
      return id && from && to ? { kind: "renamed", id, from, to } : undefined;
    }
    default:
      return undefined;
  }
}
