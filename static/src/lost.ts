// Unpacks, for the page, the messages that it loses with its history.

import { unpack } from "./codec.ts";
import type { Lost } from "./group/index.ts";
import type { LostMessage } from "./restore-info.ts";

const NONE: readonly LostMessage[] = Object.freeze([]);
const told = new WeakMap<readonly Lost[], readonly LostMessage[]>();

/** Returns what the machine lists, unpacked; the same array for the same list. */
export function lostIn(list: readonly Lost[]): readonly LostMessage[] {
  if (list.length === 0) return NONE;
  let lost = told.get(list);
  if (!lost) told.set(list, (lost = Object.freeze(list.flatMap(messageIn))));
  return lost;
}

/** Gives nothing for data that cannot be read: the page was never handed it. */
function messageIn({ data, from, mine, seq, epoch }: Lost): LostMessage[] {
  try {
    return [{ data: unpack(data), from, mine, seq, epoch }];
  } catch {
    return [];
  }
}
