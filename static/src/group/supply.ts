// Answers a host that asks for what it lacks.

import type { Context } from "./context.ts";
import { common } from "./history.ts";
import type { Path, PeerId, Place, Standing } from "./types.ts";

interface Request {
  readonly from: PeerId;
  /** Where the host stands. */
  readonly at: Standing;
  /** The path of the question, which the answer takes as well. */
  readonly via: Path;
}

/**
 * Sends a host the entries where they fit onto its log, else a snapshot of the page, else one
 * without a state.
 */
export function supply(context: Context, { from: host, at, via }: Request): void {
  const { epoch, paths, replica, settings, snapshots } = context;
  const { log } = replica;
  const upTo = common(at, log);
  if (upTo >= at.done && upTo >= log.base) {
    const s = upTo + 1;
    const x = log.run(s, settings.batchBytes);
    paths.transmit(host, { t: "fill", e: epoch, r: log.root, p: log.epochAt(upTo), s, x }, via);
    return;
  }
  const heal: Place = { r: at.r, e: at.e, s: at.s };
  snapshots.ask((snap) => {
    // A page that failed once is asked again when the host asks again.
    if (context.epoch !== epoch || (!snap && snapshots.areGiven)) return;
    const restored = snap ?? replica.bareSnapshot(at, context.now);
    paths.transmit(host, { t: "restore", e: epoch, heal, snap: restored }, via);
  });
}
