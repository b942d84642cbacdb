// Comparing histories. Two entries with the same root, epoch and seq are the same entry, and everything before them is
// the same too: one host writes an epoch, it only appends, and nobody takes an entry without checking the one before.

import type { Line, Place, Segment, Standing } from "./types.ts";

export function segmentAt(line: Line, seq: number): Segment | undefined {
  for (let i = line.length - 1; i >= 0; i--) {
    const segment = line[i] as Segment;
    if (segment[1] <= seq) return segment;
  }
  return undefined;
}

/** -1 when the line does not reach back so far. */
export function epochAt(line: Line, seq: number): number {
  return segmentAt(line, seq)?.[0] ?? -1;
}

export interface Track {
  readonly r: number;
  readonly s: number;
  readonly line: Line;
}

/** The last seq up to which both are one history; -1 if none is known. */
export function common(a: Track, b: Track): number {
  if (a.r === 0 || a.r !== b.r) return -1;
  let seq = Math.min(a.s, b.s);
  while (seq >= 0) {
    const x = segmentAt(a.line, seq);
    const y = segmentAt(b.line, seq);
    if (!x || !y) return -1;
    if (x[0] === y[0]) return seq;
    seq = (x[0] > y[0] ? x[1] : y[1]) - 1;
  }
  return -1;
}

/** Is this place a place of that history? */
export function lies(place: Place, track: Track): boolean {
  return place.r !== 0 && place.r === track.r && place.s <= track.s && epochAt(track.line, place.s) === place.e;
}

export function same(a: Place, b: Place): boolean {
  return a.r === b.r && a.e === b.e && a.s === b.s;
}

type Rank = Pick<Standing, "r" | "e" | "s" | "done" | "line" | "stale">;

/** Where its page stands. */
function delivered({ r, done, line }: Rank): Place {
  return { r, e: epochAt(line, done), s: done };
}

/**
 * Which log a new host takes: one in use before one long away, the older history before one founded beside it, then the
 * one that has what pages were last handed: what a page has seen goes before what was only stamped. Then the later
 * epoch, then the longer log.
 */
export function outranks(a: Rank, b: Rank): boolean {
  if (a.r === 0 || b.r === 0) return a.r !== 0 && b.r === 0;
  if (a.stale !== b.stale) return b.stale;
  if (a.r !== b.r) return a.r < b.r;
  const x = delivered(a);
  const y = delivered(b);
  if (x.e !== y.e) return x.e > y.e;
  const aHas = lies(y, a);
  const bHas = lies(x, b);
  if (aHas !== bHas) return aHas;
  if (a.e !== b.e) return a.e > b.e;
  return a.s > b.s;
}
