// How long a member keeps entries, its own messages and the counts of senders that left.

import type { Freshness } from "./freshness.ts";
import type { Outbox } from "./outbox.ts";
import type { Replica } from "./replica.ts";
import type { ServerView } from "./server-view.ts";
import type { Settings } from "./settings.ts";

interface Kept {
  readonly freshness: Freshness;
  readonly outbox: Outbox;
  readonly replica: Replica;
  readonly server: ServerView;
  readonly settings: Settings;
}

/** Trims what is too old or beyond the limits. */
export function trim({ freshness, outbox, replica, server, settings }: Kept, now: number): void {
  const { log } = replica;
  const { resumeMs } = server;
  // Out of touch, and while the history may have to give way, nothing is too old: only the limits
  // count.
  const since = replica.mark(now).provisional ? 0 : now;
  // Longer than resumeMs, because a member that returned in time is still to be filled.
  const before = Math.min(since, freshness.assuredAt) - 1.5 * resumeMs;
  log.trim({
    before,
    neededAfter: replica.neededAfter,
    bytes: settings.logBytes,
    count: settings.logCount,
    delivered: replica.delivered,
    now,
  });
  // A member that learns late that its history was given up needs its own messages, however old, and
  // the sum of what its page was handed.
  outbox.trim(settings.outboxBytes, settings.logCount);
  const confirmed = Math.min(since, freshness.confirmedAt);
  replica.forgetSenders(confirmed - 2 * resumeMs, settings.goneCount);
  log.floor.prune(before - 0.5 * resumeMs, settings.goneCount);
}
