// Unpacks the messages that a page loses when its history is given up.

import { unpack } from "./codec.ts";
import type { Lost } from "./group/index.ts";
import type { LostMessage } from "./restore-info.ts";

const NONE: readonly LostMessage[] = Object.freeze([]);
const unpacked = new WeakMap<readonly Lost[], readonly LostMessage[]>();

/**
 * Returns the messages that the state machine lists, unpacked. The same list gives the same array.
 */
export function unpackLost(list: readonly Lost[]): readonly LostMessage[] {
  if (list.length === 0) return NONE;
  let lost = unpacked.get(list);
  if (!lost) unpacked.set(list, (lost = Object.freeze(list.flatMap(unpackOne))));
  return lost;
}

/** Returns no message for data that cannot be unpacked: the page was never handed it. */
function unpackOne({ data, from, mine, seq, epoch }: Lost): LostMessage[] {
  try {
    return [{ data: unpack(data), from, mine, seq, epoch }];
  } catch {
    return [];
  }
}
