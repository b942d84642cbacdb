// Computes the line of a wire. It leaves and enters on the sides that face each other, and bends
// softly.
import { BOX, type Point } from "./model/types.ts";

const { width: W, height: H } = BOX;
/**
 * Distance from the middle of a side for wires against the direction of reading, to tell them from
 * the others.
 */
const LANE = 14;
type End = Point & { readonly dx: number; readonly dy: number };

export function wirePath(a: Point, b: Point): string {
  const [from, to] = ends(a, b);
  return curve(from, to);
}

/** Returns the line from a step to the pointer. */
export function rubberPath(a: Point, to: Point): string {
  return curve({ x: a.x + W, y: a.y + H / 2, dx: 1, dy: 0 }, { ...to, dx: 0, dy: 0 });
}

function ends(a: Point, b: Point): [End, End] {
  const right = b.x - (a.x + W);
  const left = a.x - (b.x + W);
  const below = b.y - (a.y + H);
  const above = a.y - (b.y + H);
  const side = ({ x, y }: Point, dx: number, dy: number, lane = 0): End => ({
    x: x + ((1 + dx) * W) / 2 + Math.abs(dy) * lane,
    y: y + ((1 + dy) * H) / 2 + Math.abs(dx) * lane,
    dx,
    dy,
  });
  const most = Math.max(right, left, below, above);
  if (most === right) return [side(a, 1, 0), side(b, -1, 0)];
  if (most === below) return [side(a, 0, 1), side(b, 0, -1)];
  if (most === left) return [side(a, -1, 0, LANE), side(b, 1, 0, LANE)];
  return [side(a, 0, -1, LANE), side(b, 0, 1, LANE)];
}

function curve(a: End, b: End): string {
  const bend = Math.max(18, Math.hypot(b.x - a.x, b.y - a.y) * 0.42);
  const point = (end: End) => `${round(end.x + end.dx * bend)} ${round(end.y + end.dy * bend)}`;
  return `M${round(a.x)} ${round(a.y)}C${point(a)} ${point(b)} ${round(b.x)} ${round(b.y)}`;
}

const round = (value: number): number => Math.round(value * 10) / 10;
