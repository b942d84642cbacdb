// Unpacks the messages that a page loses when its history is given up.

import { PURPOSE, unwrap } from "./channels/envelope.ts";
import { unpack } from "./codec.ts";
import type { Lost } from "./group/index.ts";
import type { LostMessage } from "./restore-info.ts";

const NONE: readonly LostMessage[] = Object.freeze([]);
const sorted = new WeakMap<readonly Lost[], ReadonlyMap<string, readonly LostMessage[]>>();

/**
 * Returns the messages of a channel that the state machine lists, unpacked. The same list and
 * channel give the same array.
 */
export function lostOn(channel: string, list: readonly Lost[]): readonly LostMessage[] {
  if (list.length === 0) return NONE;
  let channels = sorted.get(list);
  if (!channels) sorted.set(list, (channels = sort(list)));
  return channels.get(channel) ?? NONE;
}

/** Leaves out data that cannot be unpacked: the page was never handed it. */
function sort(list: readonly Lost[]): ReadonlyMap<string, readonly LostMessage[]> {
  const channels = new Map<string, LostMessage[]>();
  for (const { data, from, mine, seq, epoch } of list) {
    const envelope = unwrap(data);
    if (envelope?.purpose !== PURPOSE.message) continue;
    try {
      const message = { data: unpack(envelope.payload), from, mine, seq, epoch };
      const others = channels.get(envelope.channel);
      if (others) others.push(message);
      else channels.set(envelope.channel, [message]);
    } catch {}
  }
  for (const lost of channels.values()) Object.freeze(lost);
  return channels;
}
