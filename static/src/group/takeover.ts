// Takes over as host: finds out where everyone stands, gets the best log, and only then lets the
// host stamp.

import type { Context } from "./context.ts";
import type { Follower } from "./follower.ts";
import { best, common, delivered, isEmpty, lies, same } from "./history.ts";
import type { PeerId, Standing } from "./types.ts";
import type { Fill, Restore } from "./wire.ts";

/** Number of members on the relay beyond which one broadcast of the server carries the question. */
const CROWD = 16;
/**
 * Failures of one member to hand over what it has, in one epoch, after which it has left the view.
 */
export const TRIES = 3;
/** Time since a member was heard for which its answer counts on, although it handed over no log. */
const HEARD_MS = 1500;
/** Time without an answer after which a data channel may be dead. */
const DEAD_MS = 600;
/** Time without a piece of a snapshot after which it is asked for again. */
const STATE_AGAIN_MS = 600;
/**
 * Causes of a replacement after which the old host hardly answers. It is asked, but the takeover
 * does not wait for it.
 */
const SILENT: ReadonlySet<string> = new Set(["stalled", "unreachable"]);

/**
 * Why this takeover takes place.
 * - `first`: nobody was here, so no history can be missing.
 * - `named`: the server has named this member host.
 * - `repeated`: this member has stamped in this epoch already. It never goes back to a history that
 *   it left. Otherwise two entries could have the same root, epoch and seq.
 */
export type Occasion = "first" | "named" | "repeated";

interface TakeoverOptions {
  readonly followers: ReadonlyMap<PeerId, Follower>;
  /** Why the server replaced the previous host. */
  readonly cause: string;
  /** The host before this one, if there was one. */
  readonly deposed: PeerId | undefined;
  readonly occasion: Occasion;
  /** Called when this member has the best log. */
  readonly done: () => void;
}

/** A member that was asked for its log. */
interface Source {
  readonly id: PeerId;
  /** Root of the history that it was asked for. */
  readonly root: number;
  /** Whether its page is asked for its state, because it cannot send the entries that come next. */
  readonly bySnapshot: boolean;
  readonly since: number;
  /** It is not waited for longer than this, however much of its state arrives. */
  readonly latest: number;
  /** When it is asked again. */
  againAt: number;
}

export class Takeover {
  readonly #context: Context;
  readonly #options: TakeoverOptions;
  #beganAt: number;
  /** Asks where members stand, pulls a log, or waits for a member that has a history. */
  #phase: "ask" | "pull" | "wait" = "ask";
  /** When the phases `pull` and `wait` end. */
  #deadline = 0;
  /** The last member that was asked for its log. */
  #source: Source | undefined;
  #hasAsked = false;

  constructor(context: Context, options: TakeoverOptions) {
    this.#context = context;
    this.#options = options;
    this.#beganAt = context.now;
  }

  get #isRepeated(): boolean {
    return this.#options.occasion === "repeated";
  }

  start(): void {
    this.#ask();
    this.#setAlarm();
    this.answered();
  }

  // --- events ---

  /** A member has said where it stands. */
  answered(): void {
    if (this.#phase === "ask" && this.#waiting().length > 0) return;
    if (this.#phase !== "pull") this.#decide();
  }

  /**
   * Waits anew: this member was frozen or cut off, so answers are on their way or must be repeated.
   */
  restartWaiting(): void {
    const { now, server, settings } = this.#context;
    this.#beganAt = now;
    if (this.#phase !== "ask")
      this.#deadline = now + (this.#phase === "pull" ? settings.pullMs : server.returnMs);
    this.#setAlarm();
  }

  left(id: PeerId): void {
    if (this.#phase !== "pull") return this.answered();
    const { links, now } = this.#context;
    if (this.#pulledFrom(id) && !links.good(id, now)) this.#decide();
  }

  filled(from: PeerId, fill: Fill): void {
    const source = this.#pulledFrom(from);
    if (!source || fill.r !== source.root) return;
    const { now, replica } = this.#context;
    const before = replica.log.place;
    if (replica.absorb(fill, now) === "ok" && !same(before, replica.log.place)) this.#decide();
  }

  restored(from: PeerId, { heal, snap }: Restore): void {
    const { freshness, now, page, replica } = this.#context;
    const source = this.#pulledFrom(from);
    if (!source || !same(heal, replica.log.place)) return;
    const follower = this.#options.followers.get(from);
    if (snap.r !== source.root) {
      // The member has changed its history since it answered. It may even have gone to this host's
      // own, before the place where this host stamped. Its answer does not count any more.
      if (follower) {
        follower.failed++;
        follower.at = undefined;
      }
      return this.#decide();
    }
    page.restore(snap);
    if (follower?.at?.alone) freshness.setApart(now);
    // A history is no fresher for having been handed on.
    if (follower?.at) freshness.inherited(follower.saidAt - follower.at.age);
    this.#decide();
  }

  /** Pieces of a long message arrive from a member: if that is the snapshot, it may take longer. */
  heard(from: PeerId): void {
    const source = this.#pulledFrom(from);
    if (!source?.bySnapshot) return;
    const { now, settings } = this.#context;
    this.#deadline = Math.max(this.#deadline, Math.min(now + settings.snapshotMs, source.latest));
    source.againAt = now + settings.snapshotMs;
  }

  timer(): void {
    const { now, server } = this.#context;
    const isOver = this.#phase === "ask" ? this.#waiting().length === 0 : now >= this.#deadline;
    // While this member is offline, it cannot hear the others: their silence means nothing.
    if (isOver && !server.online) return this.restartWaiting();
    if (isOver) {
      if (this.#phase === "pull" && this.#source) this.#fail(this.#source.id);
      return this.#decide();
    }
    if (this.#phase === "pull" && this.#source && now >= this.#source.againAt)
      this.#pull(this.#source);
    this.#ask();
    this.#setAlarm();
  }

  /** Returns the source if that is `id` and its log is being pulled. */
  #pulledFrom(id: PeerId): Source | undefined {
    return this.#phase === "pull" && this.#source?.id === id ? this.#source : undefined;
  }

  /**
   * A member has not handed over its log in time. Unless it was just heard, it must say again where
   * it stands.
   */
  #fail(id: PeerId): void {
    const follower = this.#options.followers.get(id);
    if (!follower) return;
    follower.failed++;
    if (this.#context.now - follower.heard > HEARD_MS) follower.at = undefined;
  }

  // --- asking ---

  /** Returns the members that have not answered yet, and still may. */
  #waiting(): Follower[] {
    const { links, now } = this.#context;
    const { cause, deposed, followers } = this.#options;
    return [...followers.values()].filter(
      (follower) =>
        follower.info.group &&
        !follower.at &&
        (follower.present || links.good(follower.id, now)) &&
        now < this.#beganAt + this.#askMs(follower) &&
        !(follower.id === deposed && SILENT.has(cause)),
    );
  }

  #askMs(follower: Follower): number {
    const { server, settings } = this.#context;
    return this.#isRelayed(follower) ? settings.askMs : server.fairDialMs;
  }

  /** Returns whether the relay reaches a member. Else a data channel must be dialled first. */
  #isRelayed({ relayed }: Follower): boolean {
    return this.#context.server.relayAllowed && relayed;
  }

  #ask(): void {
    const { epoch, links, now, paths, step } = this.#context;
    const ask = { t: "ask", e: epoch, cause: this.#options.cause } as const;
    // A member that the relay does not reach is asked all the while. Otherwise it would tell the
    // server that it hears nothing of its host, and the server might replace this host.
    const asked = [...this.#options.followers.values()].filter(
      (follower) =>
        follower.info.group &&
        (!this.#isRelayed(follower) || (!follower.at && this.#phase !== "pull")),
    );
    const far = asked.filter(
      (follower) => this.#isRelayed(follower) && links.path(follower.id, now) === "relay",
    );
    const isCrowd = far.length > CROWD;
    if (isCrowd) step.push({ type: "fanout", message: ask });
    for (const follower of asked) {
      const path = links.path(follower.id, now);
      if (path === "relay" && (isCrowd || !this.#isRelayed(follower))) continue;
      paths.transmit(follower.id, ask);
      // A data channel may be dead before that is known: a repeated question takes both paths.
      if (this.#hasAsked && path === "p2p" && links.relay && this.#isRelayed(follower))
        paths.transmit(follower.id, ask, "relay");
    }
    this.#hasAsked = true;
  }

  /** Sets the alarm for when there is something to do next, if nothing arrives. */
  #setAlarm(): void {
    const { now, server, settings, timers } = this.#context;
    const { askMs, askRepeatMs } = settings;
    const deadline =
      this.#phase === "ask"
        ? this.#beganAt + (now < this.#beganAt + askMs ? askMs : server.fairDialMs)
        : this.#deadline;
    timers.set("takeover", Math.min(deadline, now + askRepeatMs));
  }

  // --- deciding ---

  /** Takes the next step towards the best log of the view. */
  #decide(): void {
    const { freshness, now, replica, server } = this.#context;
    const own: Standing = this.#context.standing();
    const mine: Standing = this.#isRepeated ? { ...own, stale: false, alone: false } : own;
    const givers = this.#givers();
    const chosen = best(mine, [...givers.keys()], server.youngAfter(now));
    const source = givers.get(chosen);
    // A member that has not answered may have the history that goes before this one.
    if (chosen.alone && !server.isAlone && this.#isUnheard() && this.#mayWait()) return;
    if (source !== undefined && common(own, chosen) < chosen.s) {
      const giver = detour(own, chosen, [...givers.keys()]);
      return this.#pullFrom(givers.get(giver) as PeerId, giver.r, !fills(giver, own));
    }
    if (source !== undefined) freshness.foundComplete();
    if (!isEmpty(chosen) || this.#isRepeated) return this.#finish();
    if (this.#options.occasion === "first") {
      replica.found(this.#context.epoch, now);
      freshness.founded();
      return this.#finish();
    }
    if (!this.#mayWait()) this.#foundIncomplete();
  }

  /** Waits for a member with a better history, unless that has taken too long. Returns whether. */
  #mayWait(): boolean {
    const { now, server } = this.#context;
    if (now >= this.#beganAt + server.returnMs) return false;
    this.#phase = "wait";
    this.#deadline = this.#beganAt + server.returnMs;
    this.#setAlarm();
    return true;
  }

  /** Returns whether a member is here that has not said where it stands. */
  #isUnheard(): boolean {
    const { cause, deposed, followers } = this.#options;
    for (const { at, id, info, present } of followers.values())
      if (info.group && present && !at && !(id === deposed && SILENT.has(cause))) return true;
    return false;
  }

  /** Returns the standings that count, and whose they are. */
  #givers(): Map<Standing, PeerId> {
    const { links, now, replica } = this.#context;
    const givers = new Map<Standing, PeerId>();
    for (const { at, failed, id, present } of this.#options.followers.values()) {
      if (!at || failed >= TRIES || !(present || links.good(id, now))) continue;
      if (this.#isRepeated && replica.hasAbandoned(at.r)) continue;
      givers.set(at, id);
    }
    return givers;
  }

  #pullFrom(id: PeerId, root: number, bySnapshot: boolean): void {
    const { now, settings } = this.#context;
    const asked = this.#source?.id === id ? this.#source : undefined;
    this.#phase = "pull";
    this.#source = {
      id,
      root,
      bySnapshot,
      since: asked?.since ?? now,
      latest: asked?.latest ?? now + settings.stateMs,
      againAt: now,
    };
    // A page may take its time to make a snapshot, or need to be asked twice.
    this.#deadline = now + settings.pullMs + (bySnapshot ? settings.snapshotMs * 1.5 : 0);
    this.#pull(this.#source);
  }

  #pull(source: Source): void {
    const context = this.#context;
    const { epoch, links, now, paths } = context;
    const silentMs = now - Math.max(links.lastHeard(source.id), source.since);
    // The answer takes the path of the question. A snapshot takes long to make: it is asked for on
    // one path only.
    const isDead = !source.bySnapshot && links.relay && silentMs > DEAD_MS;
    const via = isDead ? "relay" : undefined;
    paths.transmit(source.id, { t: "pull", e: epoch, at: context.standing() }, via);
    source.againAt = now + (source.bySnapshot ? STATE_AGAIN_MS : 0);
    this.#setAlarm();
  }

  /** Founds a history although there may be another, which nobody here has. */
  #foundIncomplete(): void {
    const { epoch, freshness, now, recovery, replica } = this.#context;
    const reason = replica.log.root === 0 ? "join" : "replaced";
    replica.found(epoch, now);
    freshness.founded();
    const orphans = recovery.takeOrphans();
    recovery.report({ complete: false, via: "none", awayMs: 0, reason, ...orphans });
    this.#finish();
  }

  #finish(): void {
    this.#context.timers.clear("takeover");
    this.#options.done();
  }
}

/** Returns whether the holder of a log can send the entries that come next for us. */
function fills(at: Standing, own: Standing): boolean {
  return common(own, at) >= Math.max(own.done, at.base);
}

/**
 * Returns the log that is taken next. That is the chosen one, or one that leads to it if the chosen
 * one begins too late for us and its page gives no state.
 */
function detour(own: Standing, chosen: Standing, others: readonly Standing[]): Standing {
  if (chosen.snap || fills(chosen, own)) return chosen;
  const from = common(own, chosen);
  const leads = (at: Standing): boolean =>
    fills(at, own)
      ? common(at, chosen) > from
      : at.snap && at.done > from && lies(delivered(at), chosen);
  return others.find(leads) ?? chosen;
}
