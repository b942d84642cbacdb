// Finds what a page loses when its history is given up for another. The page is told each lost
// message, or that there are more than can be listed.

import { common, lies } from "./history.ts";
import type { DedupeTable } from "./dedupe-table.ts";
import type { Log } from "./log.ts";
import type { Kept, Outbox } from "./outbox.ts";
import type { Lost, PeerId, Snapshot } from "./types.ts";

export interface GivenUp {
  /** Lost messages, in order of seq. */
  readonly lost: readonly Lost[];
  /**
   * Whether more is lost than `lost` lists, because it was trimmed or inside a state that the page
   * was given.
   */
  readonly lostMore: boolean;
}

/** History that is given up, and the messages of this member in it. */
export interface Left {
  readonly id: PeerId;
  readonly log: Log;
  readonly delivered: number;
  readonly outbox: Outbox;
  /** Messages that the page was handed, in this history or an earlier one. */
  readonly handed: DedupeTable;
}

/**
 * Returns the messages that the page was handed, that `snap` with its table does not hold, and that
 * the outbox does not send again. Moves own messages that are to be sent again back into the
 * outbox.
 */
export function giveUp(
  { id, log, delivered, outbox, handed }: Left,
  snap: Snapshot,
  table: DedupeTable,
): GivenUp {
  const has = ({ n, place }: Kept): boolean => lies(place, snap) || table.holds(id, n) === "yes";
  const own = new Map(outbox.again(table.count(id), has).map((item) => [item.n, item]));
  const shared = log.root === 0 ? delivered : common(log, snap);
  const lost: Lost[] = [];
  let lostMore = outbox.missed();
  if (shared < Math.min(log.base, delivered) && !holdsBase(id, log, outbox, table)) lostMore = true;
  for (let seq = Math.max(shared, log.base) + 1; seq <= delivered; seq++) {
    const entry = log.at(seq);
    if (entry?.k !== "d") continue;
    const { f: from, n, e: epoch, d: data } = entry;
    const mine = from === id;
    if (mine) own.delete(n);
    const held = table.holds(from, n);
    // The page is not handed a message if it was handed a later one of the same sender, in another
    // history.
    const given = handed.holds(from, n);
    if (given === "no" || held === "yes" || (mine && outbox.sends(n))) continue;
    if (held === "no" && given === "yes") lost.push({ from, mine, seq, epoch, data });
    else lostMore = true;
  }
  for (const item of own.values()) {
    if (table.holds(id, item.n) === "no") lost.push(lostOwn(id, item));
    else lostMore = true;
  }
  return { lost: lost.sort((a, b) => a.seq - b.seq), lostMore };
}

/**
 * Returns what the page is told of an own message that it was handed and that is not sent again.
 */
export function lostOwn(id: PeerId, { d, place }: Kept): Lost {
  return { from: id, mine: true, seq: place.s, epoch: place.e, data: d };
}

/**
 * Returns whether the new history holds everything before the log begins, apart from what the
 * outbox still has.
 */
function holdsBase(id: PeerId, { floor }: Log, outbox: Outbox, table: DedupeTable): boolean {
  return table.includes(floor, id) && Math.min(outbox.trimmed, floor.count(id)) <= table.count(id);
}
