// The line of a wire: it leaves and enters where that looks shortest, and bends softly.
import { BOX, type Point } from "./model/types.ts";

const { width: W, height: H } = BOX;
const DOT = 9;
type End = Point & { readonly dx: number; readonly dy: number };

export function wirePath(a: Point, b: Point): string {
  const [from, to] = ends(a, b);
  return curve(from, to);
}

/** From a box to wherever the pointer is. */
export function rubberPath(a: Point, to: Point): string {
  return curve({ x: a.x + W, y: a.y + H / 2, dx: 1, dy: 0 }, { ...to, dx: 0, dy: 0 });
}

function ends(a: Point, b: Point): [End, End] {
  const right = b.x - (a.x + W);
  const left = a.x - (b.x + W);
  const below = b.y - (a.y + H);
  const above = a.y - (b.y + H);
  const side = (point: Point, dx: number, dy: number): End => ({ x: point.x + W / 2 + (dx * W) / 2, y: point.y + H / 2 + (dy * H) / 2, dx, dy });
  const most = Math.max(right, left, below, above);
  if (most === right) return [side(a, 1, 0), side(b, -1, 0)];
  if (most === below) return [side(a, 0, 1), side(b, 0, -1)];
  // The dot is on that side: the tip stays clear of it.
  if (most === left) return [side(a, -1, 0), side({ x: b.x + DOT, y: b.y }, 1, 0)];
  return [side(a, 0, -1), side(b, 0, 1)];
}

function curve(a: End, b: End): string {
  const bend = Math.max(18, Math.hypot(b.x - a.x, b.y - a.y) * 0.42);
  const point = (end: End) => `${round(end.x + end.dx * bend)} ${round(end.y + end.dy * bend)}`;
  return `M${round(a.x)} ${round(a.y)}C${point(a)} ${point(b)} ${round(b.x)} ${round(b.y)}`;
}

const round = (value: number): number => Math.round(value * 10) / 10;
