// The host's heartbeat, and the witnesses that it names.
//
// Witnesses acknowledge entries early, because the host's own page is handed an entry only once
// another member has it.

import type { Context } from "./context.ts";
import type { Follower } from "./follower.ts";
import type { PeerId } from "./types.ts";
import type { Beat } from "./wire.ts";

const WITNESSES = 2;
/** Time that the host's page waits for a witness before others are named. */
const LAG_MS = 300;

interface HeartbeatOptions {
  readonly followers: ReadonlyMap<PeerId, Follower>;
  readonly cause: string;
  /**
   * Returns the last seq that a follower should have by now; without one, the followers on the
   * relay.
   */
  readonly sentTo: (follower: Follower | undefined) => number;
  /** Returns whether the host's takeover is done. */
  readonly leads: () => boolean;
}

export class Heartbeat {
  readonly #context: Context;
  readonly #options: HeartbeatOptions;
  #witnesses: PeerId[] = [];
  /** Since when the host's page waits for a witness; 0 while it does not. */
  #waitsSince = 0;
  /** Number of times that other witnesses were named because the page waited. */
  #turn = 0;

  constructor(context: Context, options: HeartbeatOptions) {
    this.#context = context;
    this.#options = options;
  }

  beat(): void {
    const { epoch, freshness, links, now, replica, step } = this.#context;
    const { followers, cause, sentTo, leads } = this.#options;
    if (!leads()) return;
    const base = {
      t: "beat",
      e: epoch,
      at: replica.log.place,
      w: this.#witnesses,
      k: freshness.heartbeatSent(),
      cause,
      ...(freshness.hostsWithWord ? {} : { alone: true }),
    } as const;
    let isRelayed = false;
    for (const follower of followers.values()) {
      if (!follower.info.group) continue;
      if (links.up(follower.id)) {
        const message: Beat = { ...base, sent: follower.live ? sentTo(follower) : 0 };
        step.push({ type: "transmit", to: follower.id, via: "p2p", message });
      }
      if (follower.present && !links.good(follower.id, now)) isRelayed = true;
    }
    if (isRelayed && links.relay)
      step.push({ type: "fanout", message: { ...base, sent: sentTo(undefined) } });
  }

  /** Chooses witnesses, members with a data channel first. New ones are told at once. */
  chooseWitnesses(): void {
    const { links, now } = this.#context;
    const live = [...this.#options.followers.values()].filter(
      (follower) => follower.live && follower.present,
    );
    const near = live.filter((follower) => links.good(follower.id, now));
    const among = near.length > 0 ? near : live;
    const chosen = among
      .map((_, i) => among[(i + this.#turn) % among.length] as Follower)
      .slice(0, WITNESSES)
      .map((follower) => follower.id);
    if (
      chosen.length === this.#witnesses.length &&
      chosen.every((id, i) => id === this.#witnesses[i])
    )
      return;
    this.#witnesses = chosen;
    this.beat();
  }

  pageWaits(): void {
    if (this.#waitsSince === 0) this.#waitsSince = this.#context.now;
  }

  pageHasAll(): void {
    this.#waitsSince = 0;
  }

  /** Lets others be witnesses next time, if the page has waited for too long. */
  replaceSlowWitnesses(): void {
    if (this.#waitsSince !== 0 && this.#context.now - this.#waitsSince > LAG_MS) this.#turn++;
  }
}
