// Where a new box goes: the first free place of what is in view, in reading order; under everything if it is full.
import { MARGIN, PITCH } from "./example.ts";
import { BOX, LIMITS, type Point, type Step } from "./model/types.ts";
import { within } from "./model/read.ts";

export type View = Point & { readonly width: number; readonly height: number };

export function freePlace(steps: Iterable<Step>, view: View): Point {
  const all = [...steps];
  const start = { x: snapped(view.x), y: snapped(view.y) };
  for (let y = start.y; y + BOX.height <= view.y + view.height; y += PITCH.y)
    for (let x = start.x; x + BOX.width <= view.x + view.width; x += PITCH.x) if (!all.some((step) => overlaps(step, { x, y }))) return { x, y };
  const bottom = Math.max(view.y, ...all.map((step) => step.y + PITCH.y));
  return { x: within(start.x, LIMITS.x), y: within(bottom, LIMITS.y) };
}

const snapped = (from: number): number => Math.round(from + MARGIN);

function overlaps(a: Point, b: Point): boolean {
  const gap = 12;
  return Math.abs(a.x - b.x) < BOX.width + gap && Math.abs(a.y - b.y) < BOX.height + gap;
}
