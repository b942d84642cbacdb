// Tells whether a node stayed in touch with its group: only members that were away too long may lose messages.

import type { Wire } from "../src/group/index.ts";
import { lies } from "../src/group/history.ts";
import type { Tab } from "./tab.ts";

/** A timer that rings so late means a pause: as far as a host can tell it was frozen. */
const PAUSED_MS = 250;
/** Time within which a host hears the server after a freeze, and after it is named; only then it counts as in step. */
const HEARD_MS = 1000;

export interface TouchHooks {
  /** Returns whether the server has let the node in. */
  online(): boolean;
  /** Returns whether the socket is dead without the node knowing. */
  isCut(): boolean;
  /** Returns whether the server says that this node hosts, in the epoch that the node knows. */
  isConfirmed(): boolean;
  /** Returns when the node was last named host. */
  namedAt(): number;
  /** Returns whether the node was named host and has not begun to stamp. */
  isTakingOver(): boolean;
}

export class Touch {
  readonly #tab: Tab;
  readonly #hooks: TouchHooks;
  /** Whether the node was never out of touch for as long as `resumeMs`. */
  stayed = true;
  /** Time until which the node could not be talked to, or not well. */
  troubledUntil = -1;
  /** When the node was last out of touch for long. */
  longAwayAt = -1;
  /** When the node was last in step. */
  #inStepAt: number;
  /** When the node last did something. */
  #ranAt = 0;
  /** Number of the last heartbeat. */
  #beats = 0;
  /** Number of the last heartbeat before a freeze or pause: an answer to it says nothing of now. */
  #beatsAsleep = 0;
  /** Whether the node may have been frozen, as far as it can tell, and the server has not answered since. */
  #paused = false;
  /** Whether the last step took entries. */
  advanced = false;

  constructor(tab: Tab, hooks: TouchHooks) {
    this.#tab = tab;
    this.#hooks = hooks;
    this.#inStepAt = tab.world.now;
  }

  /** Notes a step of the machine, before it. */
  runs(): void {
    const { world, machine } = this.#tab;
    if (world.now - machine.nextDeadline() > PAUSED_MS) {
      this.#beatsAsleep = this.#beats;
      this.#paused = true;
    }
    this.#ranAt = world.now;
  }

  beat(n: number): void {
    this.#beats = n;
  }

  /** Notes that the server answered a HEARTBEAT. */
  proved(): void {
    this.#paused = this.#tab.frozen;
  }

  /** Notes that the node could not be talked to until now. */
  trouble(): void {
    this.troubledUntil = this.#tab.world.now;
  }

  freeze(): void {
    this.judge();
    this.#beatsAsleep = this.#beats;
  }

  /** Notes a message from another member. In step is who follows its host, or hosts and hears that it is followed. */
  heard(from: string, message: Wire): void {
    const { id, world, machine, frozen } = this.#tab;
    if (frozen || message.e !== machine.epoch) return;
    const follows = message.t === "ack" || (message.t === "send" && message.at.r !== 0);
    if (machine.host === id) {
      // A host takes over once more when a member comes back with an older history.
      if (this.#hooks.isTakingOver() || !machine.leads || !follows) return;
      if (message.k <= this.#beatsAsleep) return;
      // A member that stands elsewhere, or lacks trimmed entries, does not follow: it is to be restored.
      if (!lies(message.at, { ...machine.place, line: machine.line })) return;
      if (message.at.s < machine.place.s - machine.load.entries) return;
    } else {
      // A follower is in step that takes what its host says, or has it all.
      const { place } = machine;
      const all =
        message.t === "beat" &&
        message.at.r === place.r &&
        message.at.s === place.s &&
        message.at.e === place.e;
      if (machine.host !== from || !(all || this.advanced)) return;
    }
    this.judge();
    this.#inStepAt = world.now;
  }

  /** Notes whether the node has been out of touch for long, and whether a host is in step by the server's word. */
  judge(): void {
    const { id, world, machine, frozen } = this.#tab;
    const { now, profile } = world;
    if (now - this.#inStepAt >= profile.resumeMs * 0.9) {
      this.stayed = false;
      this.longAwayAt = now;
    }
    if (
      !frozen &&
      !this.#paused &&
      this.#hooks.online() &&
      !this.#hooks.isCut() &&
      now - Math.max(this.troubledUntil, this.#hooks.namedAt()) > HEARD_MS &&
      machine.host === id &&
      this.#hooks.isConfirmed() &&
      machine.leads
    )
      this.#inStepAt = Math.max(this.#inStepAt, this.#ranAt);
  }
}
