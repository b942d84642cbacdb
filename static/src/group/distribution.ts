// Brings every member onto the host's log and keeps it there: by the feed, by entries of another
// member, or by a snapshot.

import { Backfill } from "./backfill.ts";
import type { Context } from "./context.ts";
import { Feed } from "./feed.ts";
import type { Follower } from "./follower.ts";
import { common, lies, overtakes } from "./history.ts";
import { continuesLog } from "./late-answer.ts";
import { Restorer } from "./restorer.ts";
import type { PeerId, Place, Standing } from "./types.ts";
import type { Fill, Restore, Snap } from "./wire.ts";

const ASK_MS = 150;

interface DistributionOptions {
  readonly followers: ReadonlyMap<PeerId, Follower>;
  /** Why the server named this host. */
  readonly cause: string;
  /** Returns whether the host has stamped entries in this epoch. */
  readonly hasStamped: () => boolean;
  /** Called when a member is on the host's log that was not before. */
  readonly memberPlaced: () => void;
  /**
   * Called when a member has the host's log up to `seq`, and has heard the heartbeat with this
   * number.
   */
  readonly memberFollows: (seq: number, heartbeat: number) => void;
  /** Called when a member has the group's history, and this host went on without the server's word. */
  readonly overtaken: (follower: Follower) => void;
}

/** What a member acknowledges, with the number of the last heartbeat that it heard. */
interface Acknowledgement {
  readonly at: Place;
  readonly heartbeat: number;
  /** Whether the member lacks entries after `at`. */
  readonly gap: boolean;
}

export class Distribution {
  readonly #context: Context;
  readonly #options: DistributionOptions;
  readonly #backfill: Backfill;
  #restorer: Restorer;
  #feed: Feed;

  constructor(context: Context, options: DistributionOptions) {
    this.#context = context;
    this.#options = options;
    const { followers } = options;
    this.#restorer = new Restorer(context, { followers });
    this.#feed = this.#newFeed();
    this.#backfill = new Backfill(context, {
      followers,
      failed: (follower, at) => this.#restorer.request(follower, at),
    });
  }

  #newFeed(): Feed {
    return new Feed(this.#context, {
      followers: this.#options.followers,
      fellBehind: (follower) => {
        follower.live = false;
        this.ask(follower);
      },
    });
  }

  /** The host takes over once more: nobody is known to be on its log. */
  restart(): void {
    const { followers } = this.#options;
    this.#restorer = new Restorer(this.#context, { followers });
    for (const follower of followers.values()) follower.live = false;
  }

  /** The host's takeover is done: the feed begins at the end of the log. */
  begin(): void {
    this.#feed = this.#newFeed();
  }

  /** Places the members that have said where they stand. */
  placeAll(): void {
    const { log } = this.#context.replica;
    const answered = [...this.#options.followers.values()].filter((follower) => follower.at);
    this.#feed.begin(answered.map((follower) => common(follower.at as Standing, log)));
    for (const follower of answered) this.place(follower, follower.at as Standing);
  }

  // --- where members stand ---

  /** Asks a member where it stands. */
  ask(follower: Follower): void {
    const { epoch, now, paths } = this.#context;
    if (now - follower.asked < ASK_MS) return;
    follower.asked = now;
    paths.transmit(follower.id, { t: "ask", e: epoch, cause: this.#options.cause });
  }

  /** Fills a member, restores it, or gets from it what it has beyond the host's log. */
  place(follower: Follower, at: Standing): void {
    const context = this.#context;
    const { epoch, freshness, paths, replica } = context;
    const { hasStamped, memberFollows, memberPlaced } = this.#options;
    const { log } = replica;
    const upTo = common(at, log);
    const continues = continuesLog(context, at, { upTo, hasStamped: hasStamped() });
    if (continues && at.base <= upTo) {
      paths.transmit(follower.id, { t: "pull", e: epoch, at: context.standing() });
    } else if (upTo < at.done || upTo < log.base) {
      follower.live = false;
      if (overtakes(at, { r: log.root, s: log.last, line: log.line, alone: freshness.isApart }))
        return this.#options.overtaken(follower);
      if (upTo >= at.done && this.#backfill.request(follower, at, upTo)) return;
      return this.#restorer.request(follower, at);
    }
    follower.older = undefined;
    this.#restorer.done(follower.id);
    const isNew = !follower.live;
    follower.live = true;
    if (isNew) memberPlaced();
    this.#feed.place(follower, upTo);
    memberFollows(upTo, 0);
  }

  acknowledged(follower: Follower, { at, heartbeat, gap }: Acknowledgement): void {
    const { log } = this.#context.replica;
    const { memberFollows, memberPlaced } = this.#options;
    if (!lies(at, log)) return this.ask(follower);
    if (!follower.live) {
      if (at.s < log.base) return this.ask(follower);
      follower.live = true;
      this.#restorer.done(follower.id);
      this.#feed.place(follower, at.s);
      memberPlaced();
    } else this.#feed.acknowledged(follower, { seq: at.s, gap });
    memberFollows(at.s, heartbeat);
  }

  // --- messages of members ---

  /** A member hands over entries that others lack. */
  filled(from: PeerId, fill: Fill): void {
    this.#backfill.filled(from, fill);
  }

  /** A member hands over a snapshot instead of the entries that it was asked for. */
  refused(from: PeerId, restore: Restore): void {
    this.#backfill.refused(from, restore);
  }

  gaveSnapshot(from: PeerId, { k, snap }: Snap): void {
    this.#restorer.gave(from, k, snap);
  }

  /** Pieces of a long message arrive from a member. */
  heard(from: PeerId): void {
    this.#restorer.heard(from);
  }

  /** The member that was asked for a snapshot is too slow. */
  giverFailed(): void {
    this.#restorer.giverFailed();
  }

  left(id: PeerId): void {
    this.#restorer.left(id);
  }

  // --- sending ---

  /** The entries after this seq are needed: they follow a snapshot that is on its way. */
  get neededAfter(): number {
    return this.#restorer.neededAfter;
  }

  /**
   * Returns the last seq that was sent to a follower; without one, to the followers on the relay.
   */
  sentTo(follower: Follower | undefined): number {
    return this.#feed.sentTo(follower);
  }

  /** A congested path accepts data again. */
  drained(): void {
    this.#restorer.drained();
    this.#feed.wake();
  }

  /**
   * The data channel of a member has opened or closed: what was on its way is sent again, on the
   * path that is open now.
   */
  pathChanged(follower: Follower): void {
    this.#feed.place(follower, follower.have);
  }

  /** Makes the next flush look at every follower again. */
  wake(): void {
    this.#feed.wake();
  }

  /** Sends again what was not acknowledged in time. */
  retry(): void {
    this.#feed.retry();
    this.#feed.wake();
  }

  /** Sends new entries to everyone. */
  flush(): void {
    this.#feed.flush();
  }
}
