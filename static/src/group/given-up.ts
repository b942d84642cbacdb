// Finds what a page loses when its history is given up for another. Each lost message is listed, or the page is told that
// there are more than can be listed.

import { common, lies } from "./history.ts";
import type { Ledger } from "./ledger.ts";
import type { Log } from "./log.ts";
import type { Kept, Outbox } from "./outbox.ts";
import type { Lost, PeerId, Snapshot } from "./types.ts";

export interface GivenUp {
  /** In order of seq. */
  readonly lost: readonly Lost[];
  /** There is more than `lost` lists: trimmed, or inside a state that the page was given. */
  readonly lostMore: boolean;
}

/** What is left behind: a log, as far as the page was handed it, and what this member sent. */
export interface Left {
  readonly id: PeerId;
  readonly log: Log;
  readonly delivered: number;
  readonly outbox: Outbox;
  /** What the page was handed, in this history or before. */
  readonly handed: Ledger;
}

/**
 * Returns what the page was handed and neither `snap`, whose table is `ledger`, holds nor the outbox sends again. Moves
 * own messages that are to be sent again back into the outbox.
 */
export function giveUp(
  { id, log, delivered, outbox, handed }: Left,
  snap: Snapshot,
  ledger: Ledger,
): GivenUp {
  const has = ({ n, place }: Kept): boolean => lies(place, snap) || ledger.holds(id, n) === "yes";
  const own = new Map(outbox.again(ledger.count(id), has).map((item) => [item.n, item]));
  const shared =
    log.root === 0 ? delivered : common({ r: log.root, s: log.last, line: log.line }, snap);
  const lost: Lost[] = [];
  let lostMore = outbox.missed();
  if (shared < Math.min(log.base, delivered) && !holdsBase(id, log, outbox, ledger))
    lostMore = true;
  for (let seq = Math.max(shared, log.base) + 1; seq <= delivered; seq++) {
    const entry = log.at(seq);
    if (entry?.k !== "d") continue;
    const { f: from, n, e: epoch, d: data } = entry;
    const mine = from === id;
    if (mine) own.delete(n);
    const held = ledger.holds(from, n);
    // A sender's message that comes after a later one of it, in another history, is not handed to the page.
    const given = handed.holds(from, n);
    if (given === "no" || held === "yes" || (mine && outbox.sends(n))) continue;
    if (held === "no" && given === "yes") lost.push({ from, mine, seq, epoch, data });
    else lostMore = true;
  }
  for (const item of own.values()) {
    if (ledger.holds(id, item.n) === "no") lost.push(lostOwn(id, item));
    else lostMore = true;
  }
  return { lost: lost.sort((a, b) => a.seq - b.seq), lostMore };
}

/** Returns how the page is told of a message of its own that it was handed and that is not sent again. */
export function lostOwn(id: PeerId, { d, place }: Kept): Lost {
  return { from: id, mine: true, seq: place.s, epoch: place.e, data: d };
}

/** Returns whether the other history holds everything before our log begins, but for what the outbox still has. */
function holdsBase(id: PeerId, { floor }: Log, outbox: Outbox, ledger: Ledger): boolean {
  return (
    ledger.includes(floor, id) && Math.min(outbox.trimmed, floor.count(id)) <= ledger.count(id)
  );
}
