// Taking over: learn where everyone stands, get hold of the highest log, and only then stamp.

import type { Core } from "./core.ts";
import { best, common, delivered, isEmpty, lies, same } from "./history.ts";
import type { Peer } from "./peer.ts";
import type { PeerId, Standing } from "./types.ts";
import type { Fill, Restore } from "./wire.ts";

/** From so many on, the server's fan-out asks. */
const CROWD = 16;
/** So often may one fail to hand over what it has, in one epoch: then it has left the view. */
export const TRIES = 3;
const HEARD_MS = 1500;
/** A data channel on which no answer came for so long may be dead. */
const DEAD_MS = 600;
/** A state of which no piece came for so long is asked for again; all else as often as everything. */
const STATE_AGAIN_MS = 600;
/** Why a host that is still there was replaced, if it will hardly answer: it is asked, and not waited for. */
const SILENT: ReadonlySet<string> = new Set(["stalled", "unreachable"]);

type Step = "ask" | "pull" | "wait";

export class Takeover {
  readonly #core: Core;
  readonly #peers: ReadonlyMap<PeerId, Peer>;
  #began: number;
  #step: Step = "ask";
  /** Of the other steps. */
  #deadline = 0;
  #source: PeerId | undefined;
  /** Since then it is asked. */
  #asked = 0;
  /** It is not waited for longer than this, however much of its state comes. */
  #patience = 0;
  /** When it is asked again. */
  #pullAt = 0;
  /** Of the history that it was asked for. */
  #root = 0;
  /** It cannot send what comes next, and its page is asked for its state. */
  #snapshot = false;
  #repeated = false;

  constructor(
    core: Core,
    peers: ReadonlyMap<PeerId, Peer>,
    readonly cause: string,
    /** The host before us. */
    readonly deposed: PeerId | undefined,
    /** Nobody was here: no history can be missing. */
    readonly first: boolean,
    /** We have stamped in this epoch: we never go back to a history that we left, or one name would be given twice. */
    readonly stamped: boolean,
    readonly done: () => void,
  ) {
    this.#core = core;
    this.#peers = peers;
    this.#began = core.now;
  }

  start(): void {
    this.#ask();
    this.#alarm();
    this.answered();
  }

  /** Somebody said where it stands. */
  answered(): void {
    if (this.#step === "ask" && this.#waiting().length > 0) return;
    if (this.#step !== "pull") this.#decide();
  }

  /** We were frozen, or cut off: what was said meanwhile is still on its way, or to be said again. */
  again(): void {
    const { now, settings } = this.#core;
    this.#began = now;
    if (this.#step !== "ask")
      this.#deadline = now + (this.#step === "pull" ? settings.pullMs : settings.foundMs);
    this.#alarm();
  }

  left(id: PeerId): void {
    if (this.#step === "ask") return this.answered();
    if (this.#step === "pull" && id === this.#source && !this.#core.links.good(id, this.#core.now))
      this.#decide();
  }

  filled(from: PeerId, { r, p, s, x }: Fill): void {
    if (this.#step !== "pull" || from !== this.#source || r !== this.#root) return;
    const { log } = this.#core;
    const before = log.place;
    if (this.#core.absorb(r, p, s, x) === "ok" && !same(before, log.place)) this.#decide();
  }

  restored(from: PeerId, { heal, snap }: Restore): void {
    if (this.#step !== "pull" || from !== this.#source || !same(heal, this.#core.log.place)) return;
    const peer = this.#peers.get(from);
    if (snap.r !== this.#root) {
      // It has moved on, perhaps to the history we stamped in, and behind what we did; what it said before counts no more.
      if (peer) {
        peer.failed++;
        peer.at = undefined;
      }
      return this.#decide();
    }
    this.#core.install(snap);
    // It is no fresher for having been handed on.
    if (peer?.at) this.#core.inherit(peer.saidAt - peer.at.age);
    this.#decide();
  }

  /** In the middle of handing over its state, which takes as long as it takes. */
  heard(from: PeerId): void {
    if (this.#step !== "pull" || from !== this.#source || !this.#snapshot) return;
    const { now, settings } = this.#core;
    this.#deadline = Math.max(this.#deadline, Math.min(now + settings.snapshotMs, this.#patience));
    this.#pullAt = now + settings.snapshotMs;
  }

  timer(): void {
    const { now, online } = this.#core;
    const over = this.#step === "ask" ? this.#waiting().length === 0 : now >= this.#deadline;
    // Who cannot be heard has not been silent.
    if (over && !online) return this.again();
    if (over) {
      if (this.#step === "pull" && this.#source) this.#fail(this.#source);
      return this.#decide();
    }
    if (this.#step === "pull" && now >= this.#pullAt) this.#pull();
    this.#ask();
    this.#alarm();
  }

  /** Unless it was just heard, and only the link is bad, what it said counts no more until it says it again. */
  #fail(id: PeerId): void {
    const peer = this.#peers.get(id);
    if (!peer) return;
    peer.failed++;
    if (this.#core.now - peer.heard > HEARD_MS) peer.at = undefined;
  }

  /** Who has not answered yet, and still may. */
  #waiting(): Peer[] {
    const { links, now } = this.#core;
    return [...this.#peers.values()].filter(
      (peer) =>
        peer.info.group &&
        !peer.at &&
        (peer.present || links.good(peer.id, now)) &&
        now < this.#began + this.#askMs(peer) &&
        !(peer.id === this.deposed && SILENT.has(this.cause)),
    );
  }

  #askMs(peer: Peer): number {
    const { settings, dialMs } = this.#core;
    return this.#relays(peer) ? settings.askMs : dialMs;
  }

  /** What the server relays reaches it; else channels must be dialled first. */
  #relays({ relayed }: Peer): boolean {
    return this.#core.relayAllowed && relayed;
  }

  #ask(): void {
    const { epoch, links, now, out } = this.#core;
    const ask = { t: "ask", e: epoch, cause: this.cause } as const;
    // To whom nothing is relayed the server believes that it hears nothing of its host: it hears that this lives.
    const silent = [...this.#peers.values()].filter(
      (peer) => peer.info.group && (!this.#relays(peer) || (!peer.at && this.#step !== "pull")),
    );
    const far = silent.filter((peer) => this.#relays(peer) && links.path(peer.id, now) === "relay");
    const crowd = far.length > CROWD;
    if (crowd) out.push({ type: "fanout", message: ask });
    for (const peer of silent) {
      const path = links.path(peer.id, now);
      if (path === "relay" && (crowd || !this.#relays(peer))) continue;
      this.#core.transmit(peer.id, ask);
      // A data channel may be dead and not known to be yet; the server knows another way.
      if (this.#repeated && path === "p2p" && links.relay && this.#relays(peer))
        this.#core.transmit(peer.id, ask, "relay");
    }
    this.#repeated = true;
  }

  /** When there is something to do next, if nothing comes. */
  #alarm(): void {
    const { now, settings, timers, dialMs } = this.#core;
    const { askMs, askRepeatMs } = settings;
    const deadline =
      this.#step === "ask"
        ? this.#began + (now < this.#began + askMs ? askMs : dialMs)
        : this.#deadline;
    timers.set("take", Math.min(deadline, now + askRepeatMs));
  }

  #decide(): void {
    const core = this.#core;
    const own: Standing = core.standing();
    const mine: Standing = this.stamped ? { ...own, stale: false } : own;
    const givers = new Map<Standing, PeerId>();
    for (const peer of this.#peers.values()) {
      if (!peer.at || peer.failed >= TRIES || !(peer.present || core.links.good(peer.id, core.now)))
        continue;
      if (this.stamped && core.abandoned.has(peer.at.r)) continue;
      givers.set(peer.at, peer.id);
    }
    const chosen = best(mine, [...givers.keys()], core.young);
    const source = givers.get(chosen);
    if (source !== undefined && common(own, chosen) < chosen.s) {
      const giver = detour(own, chosen, [...givers.keys()]);
      return this.#pullFrom(givers.get(giver) as PeerId, giver.r, !fills(giver, own));
    }
    // Another that was not away has no more than we do.
    if (source !== undefined) core.stale = false;
    if (!isEmpty(chosen) || this.stamped) return this.#finish();
    if (this.first) return this.#found(true);
    if (core.now >= this.#began + core.settings.foundMs) return this.#found(false);
    this.#step = "wait";
    this.#deadline = this.#began + core.settings.foundMs;
    this.#alarm();
  }

  #pullFrom(source: PeerId, root: number, snapshot: boolean): void {
    const { now, settings } = this.#core;
    this.#step = "pull";
    if (source !== this.#source) {
      this.#asked = now;
      this.#patience = now + settings.stateMs;
    }
    this.#source = source;
    this.#root = root;
    this.#snapshot = snapshot;
    // A page may take its time to make a snapshot, or need to be asked twice.
    this.#deadline = now + settings.pullMs + (snapshot ? settings.snapshotMs * 1.5 : 0);
    this.#pull();
  }

  #pull(): void {
    const core = this.#core;
    const { links, now } = core;
    const source = this.#source as PeerId;
    // It answers the way it was asked. A state is long in the making: it is not asked for both ways.
    const dead =
      !this.#snapshot &&
      links.relay &&
      now - Math.max(links.lastHeard(source), this.#asked) > DEAD_MS;
    core.transmit(
      source,
      { t: "pull", e: core.epoch, at: core.standing() },
      dead ? "relay" : undefined,
    );
    this.#pullAt = now + (this.#snapshot ? STATE_AGAIN_MS : 0);
    this.#alarm();
  }

  #found(complete: boolean): void {
    const core = this.#core;
    const reason = core.log.root === 0 ? "join" : "replaced";
    core.found(core.epoch);
    if (!complete) core.recovered(false, "none", 0, { reason, ...core.orphans() });
    this.#finish();
  }

  #finish(): void {
    this.#core.timers.clear("take");
    this.done();
  }
}

/** Can its holder send us what comes next? */
function fills(at: Standing, own: Standing): boolean {
  return common(own, at) >= Math.max(own.done, at.base);
}

/** Whose log is taken next: the chosen one; or, where that begins too late for us and its page gives no state, one that leads to it. */
function detour(own: Standing, chosen: Standing, others: readonly Standing[]): Standing {
  if (chosen.snap || fills(chosen, own)) return chosen;
  const from = common(own, chosen);
  const leads = (at: Standing): boolean =>
    fills(at, own)
      ? common(at, chosen) > from
      : at.snap && at.done > from && lies(delivered(at), chosen);
  return others.find(leads) ?? chosen;
}
