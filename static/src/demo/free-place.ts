// Finds the place of a new step: the first free one in view, in reading order. If the view is full,
// it is below all steps.
import { MARGIN, PITCH } from "./example.ts";
import { BOX, LIMITS, type Point, type Step } from "./model/types.ts";
import { within } from "./model/read.ts";

export type View = Point & { readonly width: number; readonly height: number };

export function freePlace(steps: Iterable<Step>, view: View): Point {
  const all = [...steps];
  const start = {
    x: firstIn(view.x, view.width, PITCH.x, BOX.width),
    y: firstIn(view.y, view.height, PITCH.y, BOX.height),
  };
  for (let y = start.y; y + BOX.height <= view.y + view.height; y += PITCH.y)
    for (let x = start.x; x + BOX.width <= view.x + view.width; x += PITCH.x)
      if (!all.some((step) => overlaps(step, { x, y }))) return { x, y };
  const bottom = Math.max(view.y, ...all.map((step) => step.y + PITCH.y));
  return { x: within(start.x, LIMITS.x), y: within(rowFrom(bottom, PITCH.y), LIMITS.y) };
}

/**
 * Returns the first row or column at or after a place. Rows and columns do not depend on how far
 * the view has scrolled.
 */
const rowFrom = (from: number, pitch: number): number =>
  MARGIN + Math.ceil((from - MARGIN) / pitch) * pitch;

/** Returns the first row or column that shows a whole step, or else the one that is cut. */
function firstIn(from: number, length: number, pitch: number, box: number): number {
  const first = rowFrom(from, pitch);
  return first + box <= from + length ? first : Math.max(MARGIN, first - pitch);
}

function overlaps(a: Point, b: Point): boolean {
  const gap = 12;
  return Math.abs(a.x - b.x) < BOX.width + gap && Math.abs(a.y - b.y) < BOX.height + gap;
}
