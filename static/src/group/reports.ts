// Reports of a member to its host: which entries it has, and whether it lacks some.

import type { Context } from "./context.ts";
import type { PeerId } from "./types.ts";
import type { Beat } from "./wire.ts";

export class Reports {
  readonly #context: Context;
  readonly #host: PeerId;
  /** Members that acknowledge early, because the host's own page waits for it. */
  #witnesses: readonly PeerId[] = [];
  /** Number of the host's latest heartbeat. */
  #heartbeat = 0;
  /** The last seq that the host was told. */
  #reported = -1;
  #reportedAt = -Infinity;
  #gapAt = -Infinity;

  constructor(context: Context, host: PeerId) {
    this.#context = context;
    this.#host = host;
  }

  /** Number of the host's latest heartbeat, which every report carries. */
  get heartbeat(): number {
    return this.#heartbeat;
  }

  heartbeatHeard({ k, w }: Beat): void {
    this.#heartbeat = Math.max(this.#heartbeat, k);
    this.#witnesses = w;
  }

  /** Answers a heartbeat, if this member is a witness with news or has not reported for long. */
  answerHeartbeat(): void {
    const { now, replica, self, settings } = this.#context;
    const isWitness = this.#witnesses.includes(self.id);
    if (
      (isWitness && this.#reported < replica.log.last) ||
      now - this.#reportedAt >= settings.relayAckMs
    )
      this.report("all is here");
  }

  /** Says what this member has, and whether it lacks entries after that. */
  report(what: "all is here" | "a gap follows"): void {
    const { epoch, paths, replica } = this.#context;
    const gap = what === "a gap follows";
    const ack = { t: "ack", e: epoch, at: replica.log.place, gap, k: this.#heartbeat } as const;
    if (paths.transmit(this.#host, ack)) this.reported();
  }

  /** A message has told the host where the log ends. */
  reported(): void {
    const { now, replica, timers } = this.#context;
    this.#reported = replica.log.last;
    this.#reportedAt = now;
    timers.clear("ack");
  }

  /**
   * New entries are in the log. Their sender reports first, after a moment: its page may send the
   * next message now, which is a report as well. For the host's own entries the first witness
   * reports at once.
   */
  entriesArrived(): void {
    const { now, replica, self, timers } = this.#context;
    const { log } = replica;
    const sender = log.at(log.last)?.f;
    if (sender === self.id) timers.soon("ack", now + 1);
    else if (sender === this.#host && self.id === this.#witnesses[0]) this.report("all is here");
    else this.#soon();
  }

  /** Reports before long, if the host does not know of the last entry. */
  reportNews(): void {
    if (this.#context.replica.log.last > this.#reported) this.#soon();
  }

  #soon(): void {
    const { links, now, self, settings, timers } = this.#context;
    const wait = this.#witnesses.includes(self.id)
      ? settings.witnessAckMs
      : links.good(this.#host, now)
        ? settings.ackMs
        : settings.relayAckMs;
    timers.soon("ack", now + wait);
  }

  /** Entries are missing. Says so, not more often than every `gapMs`. */
  gapFound(): void {
    const { now, settings, timers } = this.#context;
    if (now - this.#gapAt < settings.gapMs) return timers.soon("gap", this.#gapAt + settings.gapMs);
    this.#gapAt = now;
    this.report("a gap follows");
  }
}
