// Restores members that cannot be filled from the log. One snapshot serves all who wait. The host
// asks another member for it where there is one, because its own page has enough to do.

import type { Context } from "./context.ts";
import type { Follower } from "./follower.ts";
import { lies, same } from "./history.ts";
import type { PeerId, Snapshot, Standing } from "./types.ts";
import type { Restore } from "./wire.ts";

/** Number of times that everyone is asked in vain before members start without a state. */
const ROUNDS = 3;
/** About the size of one member in the table of members. */
const MEMBER_BYTES = 64;
const SLOWEST_MS = 16_000;

/** A member that waits for a snapshot. */
interface Waiting {
  readonly at: Standing;
  /**
   * The first snapshot that went to the member and may still be on its way: its seq, and when it
   * was sent.
   */
  first: { readonly s: number; readonly at: number } | undefined;
  /** Number of snapshots that were sent to the member. */
  times: number;
  sentAt: number;
  everyMs: number;
}

/** A question for a snapshot that was put to another member. */
interface Question {
  readonly k: number;
  readonly giver: PeerId;
  readonly at: number;
}

interface RestorerOptions {
  readonly followers: ReadonlyMap<PeerId, Follower>;
}

export class Restorer {
  readonly #context: Context;
  readonly #followers: ReadonlyMap<PeerId, Follower>;
  readonly #waiting = new Map<PeerId, Waiting>();
  #snap: Snapshot | undefined;
  #snapAt = 0;
  /**
   * Time in ms that the giver of the snapshot took; 0 for the host's own page. The way to those who
   * wait is about as slow.
   */
  #tookMs = 0;
  /** One message for all who stand at the same place, which the shell then serialises once. */
  readonly #messages = new Map<string, Restore>();
  /** Bytes that went to the relay in this step, before it can say that it is congested. */
  #burst = { at: 0, bytes: 0 };
  #question: Question | undefined;
  #isAskingOwnPage = false;
  /**
   * Members that gave no snapshot, or took too long. They are not asked again before all others
   * are.
   */
  readonly #failed = new Map<PeerId, "gave none" | "too slow">();
  /** Number of times that everyone was asked in vain. */
  #rounds = 0;

  constructor(context: Context, { followers }: RestorerOptions) {
    this.#context = context;
    this.#followers = followers;
  }

  /** A member at `at` cannot be filled. */
  request(follower: Follower, at: Standing): void {
    const old = this.#waiting.get(follower.id);
    if (!old || !same(old.at, at)) {
      this.#waiting.set(follower.id, {
        at,
        first: undefined,
        times: 0,
        sentAt: -Infinity,
        everyMs: this.#context.settings.restoreRepeatMs,
      });
    }
    this.#serve();
  }

  /**
   * The entries after this seq are needed: they follow a snapshot that is on its way here, or from
   * here.
   */
  get neededAfter(): number {
    const { now, settings } = this.#context;
    if (this.#question) return 0;
    const onTheirWay = [...this.#waiting.values()].flatMap(({ first }) =>
      first && now - first.at <= settings.stateMs ? first.s : [],
    );
    return Math.min(Infinity, ...onTheirWay);
  }

  done(id: PeerId): void {
    this.#waiting.delete(id);
  }

  /** A member has answered the question with this number. */
  gave(from: PeerId, k: number, snap: Snapshot | null): void {
    if (this.#question?.k !== k || this.#question.giver !== from) return;
    const { now, replica, timers } = this.#context;
    const tookMs = now - this.#question.at;
    this.#question = undefined;
    timers.clear("giver");
    if (snap && snap.s >= replica.log.base && lies(snap, replica.log)) this.#have(snap, tookMs);
    else {
      this.#failed.set(from, "gave none");
      this.#serve();
    }
  }

  /** The socket takes data again. */
  drained(): void {
    this.#serve();
  }

  /** Pieces of a snapshot arrive from the member that was asked. */
  heard(from: PeerId): void {
    if (this.#question?.giver !== from) return;
    const { now, settings, timers } = this.#context;
    timers.set(
      "giver",
      Math.min(now + settings.snapshotMs, Math.max(now, this.#question.at + settings.stateMs)),
    );
  }

  /** The member that was asked is too slow, or gone. */
  giverFailed(): void {
    if (!this.#question) return;
    const { now, settings, timers } = this.#context;
    const { giver, at } = this.#question;
    this.#failed.set(giver, now >= at + settings.stateMs ? "too slow" : "gave none");
    this.#question = undefined;
    timers.clear("giver");
    this.#serve();
  }

  left(id: PeerId): void {
    this.#waiting.delete(id);
    if (this.#question?.giver === id) this.giverFailed();
  }

  #have(snap: Snapshot, tookMs: number): void {
    this.#snap = snap;
    this.#tookMs = tookMs;
    this.#snapAt = this.#context.now;
    this.#messages.clear();
    this.#rounds = 0;
    this.#serve();
  }

  #serve(): void {
    const { now, replica, settings } = this.#context;
    const { log } = replica;
    for (const list of [this.#waiting, this.#failed])
      for (const id of list.keys()) if (!this.#followers.has(id)) list.delete(id);
    const due = [...this.#waiting].filter(([, waiting]) => now >= waiting.sentAt + waiting.everyMs);
    if (due.length === 0 || this.#question || this.#isAskingOwnPage) return;
    const snap = this.#snap;
    if (
      snap &&
      snap.s >= log.base &&
      lies(snap, log) &&
      now - this.#snapAt <= settings.snapshotAgeMs
    ) {
      this.#sendAll(due, snap);
      return;
    }
    const giver = this.#pickGiver();
    if (giver !== undefined) this.#askMember(giver);
    else this.#askOwnPage(due);
  }

  #askMember(giver: PeerId): void {
    const { epoch, now, paths, settings, step, timers } = this.#context;
    const k = step.nextToken();
    this.#question = { k, giver, at: now };
    paths.transmit(giver, { t: "want", e: epoch, k });
    timers.set("giver", now + settings.snapshotMs);
  }

  #askOwnPage(due: readonly [PeerId, Waiting][]): void {
    const context = this.#context;
    const { epoch, replica, snapshots } = context;
    this.#isAskingOwnPage = true;
    snapshots.ask((own) => {
      this.#isAskingOwnPage = false;
      if (context.epoch !== epoch) return;
      if (own) {
        // The host's page is disturbed only while nobody else gives a snapshot: one lost message is
        // forgiven.
        for (const [id, why] of this.#failed) if (why === "gave none") this.#failed.delete(id);
        return this.#have(own, 0);
      }
      const again = snapshots.areGiven || (this.#failed.size > 0 && ++this.#rounds < ROUNDS);
      this.#failed.clear();
      // Pages that can give a snapshot and failed are asked again when those who wait ask again.
      if (again) return;
      this.#rounds = 0;
      for (const [id, waiting] of due)
        this.#send(id, waiting, replica.bareSnapshot(waiting.at, context.now));
    });
  }

  /**
   * Sends a snapshot to those whose turn it is. Members on the relay queue up, those that were
   * never served first. No more of them are served at once than the socket takes; the others follow
   * when it has room again, or when they say once more where they stand.
   */
  #sendAll(due: [PeerId, Waiting][], snap: Snapshot): void {
    const { links, now, settings } = this.#context;
    if (now !== this.#burst.at) this.#burst = { at: now, bytes: 0 };
    const size = snap.z + snap.members.length * MEMBER_BYTES;
    for (const [id, waiting] of due.sort(([, a], [, b]) => a.times - b.times)) {
      if (links.path(id, now) === "relay") {
        if (links.isCongested("states") || this.#burst.bytes > settings.windowBytes) continue;
        this.#burst.bytes += size;
      }
      this.#send(id, waiting, snap);
    }
  }

  #send(id: PeerId, waiting: Waiting, snap: Snapshot): void {
    const { epoch, now, paths, settings } = this.#context;
    // A snapshot may be long on its way: not every report of the same place asks for another.
    const everyMs = waiting.times++ > 0 ? waiting.everyMs * 2 : waiting.everyMs;
    waiting.everyMs = Math.min(Math.max(everyMs, 2 * this.#tookMs), SLOWEST_MS);
    waiting.sentAt = now;
    const { r, e, s } = waiting.at;
    const heal = { r, e, s };
    if (snap !== this.#snap) return void paths.transmit(id, { t: "restore", e: epoch, heal, snap });
    if (!waiting.first || now - waiting.first.at > settings.stateMs)
      waiting.first = { s: snap.s, at: now };
    const place = `${r} ${e} ${s}`;
    const message = this.#messages.get(place) ?? { t: "restore", e: epoch, heal, snap };
    this.#messages.set(place, message);
    paths.transmit(id, message);
  }

  /**
   * Picks a member that gives snapshots, with a good data channel if there is one. A member whose
   * library can less than this one's gives less, and is picked only where the host's own page gives
   * none. Undefined: ask the host's own page.
   */
  #pickGiver(): PeerId | undefined {
    const { links, now, self, settings, snapshots } = this.#context;
    const isAble = ({ can }: Follower): boolean => self.can.every((name) => can.includes(name));
    let best: Follower | undefined;
    for (const follower of this.#followers.values()) {
      if (
        !follower.live ||
        !follower.at?.snap ||
        this.#failed.has(follower.id) ||
        now - follower.heard > settings.memberSilentMs
      )
        continue;
      const rank = (one: Follower): number =>
        (isAble(one) ? 2 : 0) + (links.good(one.id, now) ? 1 : 0);
      if (!best || rank(follower) > rank(best)) best = follower;
    }
    return best && (isAble(best) || !snapshots.areGiven) ? best.id : undefined;
  }
}
