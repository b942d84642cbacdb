// Sends the log to the followers of a host.
//
// A follower with a data channel has its own cursor and window, so a slow one delays nobody. All
// others are served by one broadcast of the server, and ask for what they miss.

import type { Context } from "./context.ts";
import type { Follower } from "./follower.ts";
import type { PeerId } from "./types.ts";
import type { Data } from "./wire.ts";

/** Number of members from which on a new host sends what all of them lack once to all. */
const CROWD = 16;
/** Number of entries up to which that is done. */
const FEW = 256;
const RETRY_MS = 600;
const RETRY_MAX_MS = 10_000;
/**
 * Time in which a second report of the same gap is ignored: the answer to the first is on its way.
 */
const FILL_MS = 150;

interface FeedOptions {
  readonly followers: ReadonlyMap<PeerId, Follower>;
  /** Called when the next entry of a follower is already trimmed. */
  readonly fellBehind: (follower: Follower) => void;
}

export class Feed {
  readonly #context: Context;
  readonly #followers: ReadonlyMap<PeerId, Follower>;
  readonly #fellBehind: (follower: Follower) => void;
  /** Seq of the next entry to fan out over the relay. */
  #relayNext: number;
  /**
   * The last entry that everyone was offered, so that a large page is not looked through at each
   * report.
   */
  #offered = -1;
  /** The last message. Equal messages are one object, which the shell may serialise once. */
  #last: Data | undefined;

  constructor(context: Context, { followers, fellBehind }: FeedOptions) {
    this.#context = context;
    this.#followers = followers;
    this.#fellBehind = fellBehind;
    this.#relayNext = context.replica.log.last + 1;
  }

  /**
   * On a large page all members lack the same few entries after a change of host: these go out
   * once, to all.
   */
  begin(places: readonly number[]): void {
    const { log } = this.#context.replica;
    if (places.length < CROWD) return;
    const near = places.filter((seq) => seq >= log.base && seq > log.last - FEW);
    this.#relayNext = Math.min(this.#relayNext, ...near.map((seq) => seq + 1));
  }

  /** Makes the next flush look at every follower again, new entries or not. */
  wake(): void {
    this.#offered = -1;
  }

  /** Sends new entries to everyone. */
  flush(): void {
    const { links, now, replica, settings, step } = this.#context;
    const { log } = replica;
    if (this.#offered === log.last) return;
    this.#offered = log.last;
    // The sender of the last entry waits for it, and each send takes its time: it is served first.
    const sender = this.#followers.get(log.at(log.last)?.f ?? "");
    if (sender?.live && links.good(sender.id, now)) this.pump(sender);
    let isRelayed = false;
    for (const follower of this.#followers.values()) {
      if (links.good(follower.id, now)) {
        if (follower.live) this.pump(follower);
      } else if (follower.present && follower.info.group) isRelayed = true;
    }
    if (!isRelayed) this.#relayNext = log.last + 1;
    this.#relayNext = Math.max(this.#relayNext, log.base + 1);
    while (this.#relayNext <= log.last && links.relay && !links.isCongested("relay")) {
      const data = this.#data(this.#relayNext, settings.batchBytes, log.last);
      step.push({ type: "fanout", message: data });
      this.#relayNext += data.x.length;
    }
  }

  /**
   * Sends a follower what it lacks, within its window. Over the relay that is only what was fanned
   * out before.
   */
  pump(follower: Follower): void {
    const { links, now, paths, replica, settings } = this.#context;
    const { log } = replica;
    const path = links.path(follower.id, now);
    if (path === "none" || !follower.live) return;
    const end = path === "p2p" ? log.last : this.#relayNext - 1;
    const route = path === "p2p" ? follower.id : "relay";
    if (follower.have >= follower.next - 1) follower.progress = now;
    while (follower.next <= end && !links.isCongested(route)) {
      if (follower.next <= log.base) return this.#fellBehind(follower);
      const room =
        settings.windowBytes -
        (log.bytesAt(follower.next - 1) - log.bytesAt(Math.max(follower.have, log.base)));
      if (room <= 0) return;
      const data = this.#data(follower.next, Math.min(settings.batchBytes, room), end);
      paths.transmit(follower.id, data);
      follower.next += data.x.length;
    }
  }

  /** A follower has acknowledged all up to `seq`. `gap` says that it misses what follows. */
  acknowledged(
    follower: Follower,
    { seq, gap }: { readonly seq: number; readonly gap: boolean },
  ): void {
    const { now } = this.#context;
    if (seq > follower.have) {
      follower.have = seq;
      follower.progress = now;
      follower.retryMs = RETRY_MS;
    }
    if (follower.next <= follower.have) follower.next = follower.have + 1;
    if (gap && now - follower.filledAt >= FILL_MS) {
      follower.filledAt = now;
      follower.next = seq + 1;
    }
    this.pump(follower);
  }

  /** Begins after `seq`, whatever was sent before on whatever path. */
  place(follower: Follower, seq: number): void {
    follower.have = seq;
    follower.next = seq + 1;
    follower.progress = this.#context.now;
    follower.retryMs = RETRY_MS;
    this.pump(follower);
  }

  /** Sends again over data channels what was not acknowledged in time. */
  retry(): void {
    const { links, now } = this.#context;
    for (const follower of this.#followers.values()) {
      if (
        !follower.live ||
        follower.have >= follower.next - 1 ||
        now - follower.progress < follower.retryMs ||
        !links.good(follower.id, now)
      )
        continue;
      follower.retryMs = Math.min(follower.retryMs * 2, RETRY_MAX_MS);
      follower.progress = now;
      follower.next = follower.have + 1;
      this.pump(follower);
    }
  }

  /**
   * Returns the last seq that was sent to a follower; without one, to the followers on the relay.
   */
  sentTo(follower: Follower | undefined): number {
    return (follower ? follower.next : this.#relayNext) - 1;
  }

  #data(seq: number, bytes: number, end: number): Data {
    const { epoch, replica } = this.#context;
    const { log } = replica;
    const last = this.#last;
    if (
      last &&
      last.s === seq &&
      last.e === epoch &&
      last.r === log.root &&
      seq + last.x.length - 1 === end
    )
      return last;
    const x = log.run(seq, bytes, end);
    this.#last = { t: "data", e: epoch, r: log.root, p: log.epochAt(seq - 1), s: seq, x };
    return this.#last;
  }
}
