// Tells the page that it is up to date again after it was out of step, and what it has lost.

import type { Freshness } from "./freshness.ts";
import { lostOwn, type GivenUp } from "./given-up.ts";
import { lies } from "./history.ts";
import type { Reason, Via } from "./io.ts";
import type { Outbox } from "./outbox.ts";
import type { Replica } from "./replica.ts";
import type { Self } from "./self.ts";
import type { Step } from "./step.ts";

/**
 * Why the page is given another state, or goes on in another history, and what it loses by that.
 */
export type Loss = GivenUp & { readonly reason: Reason };

interface RecoveryParts {
  readonly freshness: Freshness;
  readonly outbox: Outbox;
  readonly replica: Replica;
  readonly self: Self;
  readonly step: Step;
}

interface RecoveryReport extends Loss {
  /** Whether the page has everything, apart from what `lost` and `lostMore` say. */
  readonly complete: boolean;
  readonly via: Via;
  readonly awayMs: number;
}

export class Recovery {
  readonly #parts: RecoveryParts;

  constructor(parts: RecoveryParts) {
    this.#parts = parts;
  }

  /** Tells the page that it is up to date again. */
  report({ complete, via, awayMs, reason, lost, lostMore }: RecoveryReport): void {
    const { freshness, step } = this.#parts;
    step.notify({
      kind: "recovered",
      complete: complete && lost.length === 0 && !lostMore,
      via,
      awayMs,
      reason,
      lost,
      lostMore,
    });
    freshness.backInStep();
  }

  /** Tells the page that the member has caught up entry by entry, if it was out of step. */
  caughtUp(): void {
    const { freshness, step } = this.#parts;
    const since = freshness.outOfStepSince;
    if (since === undefined) return;
    const awayMs = step.now - since;
    this.report({ complete: true, via: "log", awayMs, reason: "behind", ...this.takeOrphans() });
  }

  /** Tells the page what it has lost, if it was out of step and the member leads the group now. */
  leads(): void {
    const { freshness, step } = this.#parts;
    const since = freshness.outOfStepSince;
    if (since === undefined) return;
    const orphans = this.takeOrphans();
    const awayMs = step.now - since;
    if (orphans.lost.length > 0 || orphans.lostMore)
      this.report({ complete: false, via: "log", awayMs, reason: "behind", ...orphans });
    freshness.backInStep();
  }

  /**
   * Returns, once, the own messages that are not sent again because this member was away for too
   * long, and that its history lacks.
   */
  takeOrphans(): GivenUp {
    const { outbox, replica, self, step } = this.#parts;
    if (!outbox.hasOrphans) return { lost: [], lostMore: false };
    const { log } = replica;
    // Entries that are yet to be handed to the page count as well.
    const table = log.tableAt(log.last, step.now);
    const lost = outbox
      .orphans(({ n, place }) => lies(place, log) || table.holds(self.id, n) === "yes")
      .map((item) => lostOwn(self.id, item));
    return { lost, lostMore: outbox.missed() };
  }
}
