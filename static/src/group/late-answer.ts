// Judges the log of a member that answers after the takeover: does the group go on with that log
// instead?

import type { Context } from "./context.ts";
import type { Follower } from "./follower.ts";
import { common, givesWay, isEmpty, isProvisional } from "./history.ts";
import { TRIES } from "./takeover.ts";
import type { PeerId, Standing } from "./types.ts";

interface LateAnswer {
  readonly follower: Follower;
  readonly at: Standing;
  readonly followers: ReadonlyMap<PeerId, Follower>;
  /** Whether the host has stamped entries in this epoch. */
  readonly hasStamped: boolean;
}

/**
 * Returns whether a log goes on where the host's ends at `upTo`, and the host has stamped nothing
 * beyond.
 */
export function continuesLog(
  context: Context,
  at: Standing,
  { upTo, hasStamped }: { readonly upTo: number; readonly hasStamped: boolean },
): boolean {
  return upTo >= 0 && upTo === context.replica.log.last && at.s > upTo && !hasStamped;
}

/** Returns whether the host takes over once more, because a member has more or an older history. */
export function outranks(context: Context, answer: LateAnswer): boolean {
  const { links, now, replica, server } = context;
  const { follower, at, followers, hasStamped } = answer;
  const isReached = follower.present || links.good(follower.id, now);
  if (follower.failed >= TRIES || !isReached) return false;
  const upTo = common(at, replica.log);
  // Trimmed entries can only be taken with a snapshot, in a takeover.
  if (continuesLog(context, at, { upTo, hasStamped })) return at.base > upTo;
  if (isEmpty(at) || replica.hasAbandoned(at.r)) return false;
  // A takeover takes a history for provisional if any of its members says so.
  const marked = [...followers.values()].find(
    (other) => other.at?.r === at.r && isProvisional(other.at),
  )?.at;
  return givesWay(
    { r: replica.log.root, ...replica.mark(now) },
    { ...at, ...(marked ? { provisional: marked.provisional ?? 0 } : {}) },
    server.youngAfter(now),
  );
}
