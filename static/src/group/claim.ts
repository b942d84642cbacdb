// Claims the epoch of this member from a server that does not know it, for example because it has
// restarted.
//
// The claim is made by dialling again. A server whose clock is far behind ignores it, so it is
// repeated more and more rarely.

import type { ServerView } from "./server-view.ts";
import type { Settings } from "./settings.ts";
import type { ConnectionStatus } from "./status.ts";
import type { Step } from "./step.ts";
import type { Timers } from "./timers.ts";

/**
 * Denials in a row that prove disbelief. The first dial may have been made before there was a
 * claim.
 */
const DENIALS = 2;

interface ClaimParts {
  readonly server: ServerView;
  readonly status: ConnectionStatus;
  readonly step: Step;
  readonly timers: Timers;
  readonly settings: Settings;
}

export class Claim {
  readonly #parts: ClaimParts;
  /** Number of times in a row that the server answered with an earlier epoch. */
  #denials = 0;

  constructor(parts: ClaimParts) {
    this.#parts = parts;
  }

  /**
   * Whether the server's last answer was an earlier epoch. A host stamps nothing until its claim is
   * believed.
   */
  get isDenied(): boolean {
    return this.#denials > 0;
  }

  /**
   * Whether the server keeps ignoring the claim, because its clock is far behind this member's
   * epoch.
   */
  get isDisbelieved(): boolean {
    return this.#denials >= DENIALS;
  }

  /**
   * The server has announced an epoch. Only OPEN answers the claim; a HOST may have been on its way
   * before.
   */
  announced(epoch: number, by: "OPEN" | "HOST"): void {
    const { server, settings, status, step, timers } = this.#parts;
    server.announced(epoch);
    if (epoch >= server.epoch) {
      if (this.isDisbelieved) status.change("open");
      this.#denials = 0;
      return timers.clear("claim");
    }
    if (by === "HOST") return;
    this.#denials++;
    if (this.#denials === DENIALS)
      step.push({ type: "disbelieved", behindMs: server.epoch - epoch });
    if (this.isDisbelieved) status.change("away");
    const waitMs = Math.min(settings.suspectMs * 2 ** (this.#denials - 1), settings.claimMostMs);
    timers.set("claim", step.now + waitMs);
  }

  /** Dials again with the claim, once for each answer, while the server does not know the epoch. */
  repeat(): void {
    const { server, step } = this.#parts;
    if (!server.online || server.knowsEpoch) return;
    server.claimSent();
    step.push({ type: "redial" });
  }
}
