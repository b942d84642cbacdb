// Compares histories. Two entries with the same root, epoch and seq are the same entry, and
// everything before them is the same too. The reason is that one host writes an epoch, that it only
// appends, and that nobody takes an entry without checking the one before.

import type { Line, Place, Segment, Standing } from "./types.ts";

/** Returns the segment that `seq` is in; undefined if the line does not reach back so far. */
export function segmentAt(line: Line, seq: number): Segment | undefined {
  for (let i = line.length - 1; i >= 0; i--) {
    const segment = line[i] as Segment;
    if (segment[1] <= seq) return segment;
  }
  return undefined;
}

/** Returns the epoch that stamped `seq`; -1 if the line does not reach back so far. */
export function epochAt(line: Line, seq: number): number {
  return segmentAt(line, seq)?.[0] ?? -1;
}

/** A history up to one place: root, last seq and line. */
export interface Track {
  readonly r: number;
  readonly s: number;
  readonly line: Line;
}

/** Returns the last seq up to which both are one history; -1 if none is known. */
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

/** Returns whether a place is in a history. */
export function lies(place: Place, track: Track): boolean {
  return (
    place.r !== 0 &&
    place.r === track.r &&
    place.s <= track.s &&
    epochAt(track.line, place.s) === place.e
  );
}

export function same(a: Place, b: Place): boolean {
  return a.r === b.r && a.e === b.e && a.s === b.s;
}

/** Returns whether a history has no entry yet. Where it was founded it is as good as none. */
export function isEmpty({ r, s, line }: Track): boolean {
  return r === 0 || (line.length === 1 && line[0]?.[1] === s);
}

type Rank = Pick<
  Standing,
  "r" | "e" | "s" | "done" | "base" | "line" | "stale" | "alone" | "provisional"
>;

/** Returns whether a history gives way to every history from before the server began. */
export function isProvisional({
  provisional = 0,
}: {
  readonly provisional?: number | undefined;
}): boolean {
  return provisional > 0;
}

/** Returns whether a history went on without the server's word. */
function isAlone({ alone = false }: Pick<Standing, "alone">): boolean {
  return alone;
}

/**
 * Returns whether the page of a member with the server's word was handed what the log of one without
 * lacks. The log then gives way, and the member is not restored from it.
 */
export function overtakes(other: Standing, own: Track & Pick<Standing, "alone">): boolean {
  return (
    isAlone(own) &&
    !isAlone(other) &&
    !other.stale &&
    other.r === own.r &&
    common(other, own) < other.done
  );
}

/** Returns the place up to which a page was handed its history. */
export function delivered({ r, done, line }: Pick<Standing, "r" | "done" | "line">): Place {
  return { r, e: epochAt(line, done), s: done };
}

/** Returns whether `own` is provisional and `other` is from before the server began. */
function isOlderThanServer(
  other: Pick<Standing, "provisional">,
  own: Pick<Standing, "provisional">,
): boolean {
  return isProvisional(own) && other.provisional === undefined;
}

/**
 * Returns whether a history gives way to another.
 *
 * A provisional history gives way to every history from before the server began. Their roots are
 * not compared, because the server's clock may have been set back. Otherwise a history gives way to
 * an older one that is in use. To a stale one it gives way only while it is young, that is founded
 * after the epoch `young`: its senders then still have what is given up.
 */
export function givesWay(
  own: Pick<Standing, "r" | "provisional">,
  other: Pick<Standing, "r" | "stale" | "provisional">,
  young: number,
): boolean {
  if (own.r === other.r) return false;
  if (isOlderThanServer(other, own)) return true;
  return other.r < own.r && !isOlderThanServer(own, other) && (!other.stale || own.r > young);
}

/**
 * Returns whether the place of a's page goes before that of b's. The history that the other gives
 * way to goes first. Within one history, one in use goes before a stale one, then one that had the
 * server's word before one that went on alone, and then the later place.
 */
function seenLater(a: Rank, b: Rank, young: number): boolean {
  if (isEmpty(a) || isEmpty(b)) return !isEmpty(a) && isEmpty(b);
  if (a.r !== b.r && Math.max(a.r, b.r) > young) return a.r < b.r;
  if (a.stale !== b.stale) return b.stale;
  if (a.r !== b.r) return a.r < b.r;
  if (isAlone(a) !== isAlone(b)) return isAlone(b);
  const x = delivered(a);
  const y = delivered(b);
  return x.e !== y.e ? x.e > y.e : x.s > y.s;
}

/**
 * Leaves out provisional histories if a history from before the server began is among the
 * standings.
 */
function contest<T extends Rank>(all: readonly T[]): readonly T[] {
  // Members of one history may find at different times that it is not provisional any more.
  const provisional = new Set(all.filter(isProvisional).map(({ r }) => r));
  const isOlder = (at: T): boolean =>
    at.provisional === undefined && !provisional.has(at.r) && !isEmpty(at);
  return provisional.size > 0 && all.some(isOlder)
    ? all.filter((at) => !provisional.has(at.r))
    : all;
}

/**
 * Returns the log that a new host takes.
 *
 * The first step finds the place that pages were last handed, which goes before anything that was
 * only stamped. The second step chooses among the logs that contain this place: the one of the
 * latest epoch, then the longest, then the one that reaches back furthest. Stale logs take part,
 * since nothing is given up for them.
 *
 * A comparison of pairs in one step would not be an order. Two logs may each contain what the
 * other's page was handed, and only one of them what a third page was handed.
 */
export function best<T extends Rank>(own: T, others: readonly T[], young: number): T {
  const [first = own, ...rest] = contest([own, ...others]);
  let seen = first;
  for (const at of rest) if (seenLater(at, seen, young)) seen = at;
  const must = delivered(seen);
  let longest = seen;
  for (const at of [own, ...others]) {
    if (!lies(must, at)) continue;
    const further = at.e !== longest.e ? at.e - longest.e : at.s - longest.s;
    if (further > 0 || (further === 0 && longest !== own && (at === own || at.base < longest.base)))
      longest = at;
  }
  return longest;
}
