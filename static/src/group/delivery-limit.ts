// How far a host's own page may be handed the log: as far as another member has it, or as far as
// the server has proved that this member is still the host.

import type { Context } from "./context.ts";
import type { Follower } from "./follower.ts";
import { Proof, type Proved } from "./proof.ts";
import type { PeerId } from "./types.ts";

interface DeliveryLimitOptions {
  readonly followers: ReadonlyMap<PeerId, Follower>;
  /** Returns whether the host's takeover is done. */
  readonly leads: () => boolean;
}

export class DeliveryLimit {
  readonly #context: Context;
  readonly #options: DeliveryLimitOptions;
  /** Another member has said in this epoch that it has everything up to here. */
  #acknowledged = 0;
  readonly #proof: Proof;

  constructor(context: Context, options: DeliveryLimitOptions) {
    this.#context = context;
    this.#options = options;
    this.#proof = new Proof(context, () => (options.leads() ? context.replica.log.last : 0));
  }

  /** The host takes over once more: all that was said of its log is void. */
  restart(): void {
    this.#acknowledged = 0;
    this.#proof.void();
  }

  /** A follower has everything up to `seq`. */
  acknowledged(seq: number): void {
    if (seq > this.#acknowledged) this.#acknowledged = seq;
  }

  /**
   * Returns the seq up to which the page may be handed the log. Asks the server for a proof if that
   * is what is missing.
   */
  current(): number {
    const { links, now, replica, server, settings } = this.#context;
    const { delivered, log } = replica;
    if (this.#acknowledged >= log.last) return log.last;
    for (const follower of this.#options.followers.values()) {
      const { gone, heard, id, info, present, since } = follower;
      if (!info.group || gone || !(present || links.good(id, now))) continue;
      if (now - Math.max(heard, since) > settings.memberSilentMs) continue;
      // An answer of the server now must not count when the others fall silent later.
      this.#proof.void();
      return this.#acknowledged;
    }
    if (!server.isSeated) return this.#acknowledged;
    const limit = Math.max(this.#acknowledged, this.#proof.seq);
    // The host is alone, or everybody else is silent.
    if (limit < log.last && limit <= delivered) this.#proof.ask();
    return limit;
  }

  // --- proofs of the server ---

  /** The server has answered. Returns what that proves. */
  proved(epoch: number): Proved {
    return this.#proof.answered(epoch);
  }

  /** Asks the server whether this member is still the host, unless an answer is on its way. */
  askServer(): void {
    this.#proof.ask();
  }

  /** The server will not answer what it was asked. */
  answerLost(): void {
    this.#proof.forget();
  }

  /** The page has made a snapshot meanwhile: what the server said before may be old. */
  voidProof(): void {
    this.#proof.void();
  }
}
