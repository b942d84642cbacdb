// The data channels of this page, at most one to each member: those it dials (host and deputy) and
// those it accepts.

import { DataChannel, type ChannelOwner } from "./data-channel.ts";
import type { Connection } from "./connection.ts";
import type { Env } from "./env.ts";
import type { Lane } from "./fair-queue.ts";
import type { Event } from "./group/index.ts";
import { Targets } from "./targets.ts";

/** Functions that the data channels call. */
export interface ChannelsHooks {
  /** Opens a connection to a member. Undefined: PeerJS cannot dial now. May throw. */
  dial(id: string): Connection | undefined;
  /** No signalling for this connection is wanted any more. */
  forget(connectionId: string): void;
  /** Whether the WebSocket is open, so that signalling works. */
  isOnline(): boolean;
  /** Passes events of the channels to the state machine. */
  feed(event: Event): void;
  /** A ping was answered after `ms`. */
  measured(id: string, ms: number): void;
  /** Dialling a target failed `times` times in a row. */
  dialFailed(id: string, times: number): void;
}

/**
 * Minimum timeout of a dial. A dial through a TURN server takes a few seconds. The server's
 * `fairMs` may allow more.
 */
const DIAL_MS = 8_000;
/**
 * While a page changes its host, its data goes over the relay. Dialling waits, so as not to delay
 * that.
 */
const HOST_CHANGE_DELAY_MS = 250;
/** Two channels that opened within this time were dialled from both sides. */
const BOTH_DIALLED_MS = 4_000;

/** Which members this page dials, and whether others dial it. */
export interface DialPlan {
  /** Host to dial. None for the host itself, and for a member that only uses the relay. */
  readonly host: string | undefined;
  /** Deputy to dial. None if the server names none to this member. */
  readonly deputy: string | undefined;
  /** Whether others rely on their channels to this page: it is the host or the deputy. */
  readonly isServing: boolean;
  /** Whether data reaches the host over the relay until the channel is open. */
  readonly isRelayed: boolean;
}

export class DataChannels {
  readonly #env: Env;
  readonly #hooks: ChannelsHooks;
  readonly #open = new Map<string, DataChannel>();
  readonly #opening = new Set<DataChannel>();
  readonly #targets: Targets;
  readonly #owner: ChannelOwner = {
    opened: (channel) => this.#opened(channel),
    ended: (channel) => this.#ended(channel),
    report: (channel, event) => {
      if (this.#open.get(channel.id) === channel) this.#hooks.feed(event);
    },
    measured: (id, ms) => this.#hooks.measured(id, ms),
  };
  #host: string | undefined;
  #deputy: string | undefined;
  #isServing = false;
  /** Timeout of a dial, in ms. */
  #dialMs = DIAL_MS;

  constructor(env: Env, hooks: ChannelsHooks) {
    this.#env = env;
    this.#hooks = hooks;
    this.#targets = new Targets(env, {
      dial: (id) => this.#dial(id),
      release: (id) => this.#release(id),
      failed: (id, times) => hooks.dialFailed(id, times),
    });
  }

  /**
   * Follows a plan and returns whether its targets are new. The channels and dials to former
   * targets are kept for 30 s.
   */
  follow({ host, deputy, isServing, isRelayed }: DialPlan): boolean {
    this.#isServing = isServing;
    if (host === this.#host && deputy === this.#deputy) return false;
    const delays = isRelayed && this.#host !== undefined && host !== this.#host;
    this.#host = host;
    this.#deputy = deputy;
    const ids = new Set([host, deputy].filter((id) => id !== undefined));
    this.#targets.set(ids, () =>
      delays ? HOST_CHANGE_DELAY_MS * (1 + this.#env.random()) : this.#env.random() * 60,
    );
    return true;
  }

  /** Sets the timeout of dials to the server's `fairMs`, but not below 8 s. */
  setDialTimeout(fairMs: number): void {
    this.#dialMs = Math.max(DIAL_MS, fairMs);
  }

  /** Called when the WebSocket is open again. Dials all targets without a channel. */
  online(): void {
    this.#targets.retryAll(() => this.#env.random() * 100);
  }

  /** Returns the targets that have an open channel, each with the time its dial took in ms. */
  openTargets(): Record<string, number> {
    const open: Record<string, number> = {};
    for (const id of this.#targets.ids()) {
      const channel = this.#open.get(id);
      if (channel) open[id] = Math.round(channel.dialMs);
    }
    return open;
  }

  /** Takes a connection that another member dialled. */
  accept(connection: Connection): void {
    this.#add(connection, false);
  }

  /** Sends a message over the channel to a member. Without a channel it is dropped. */
  send(id: string, text: string, lane: Lane): void {
    this.#open.get(id)?.send(text, lane);
  }

  /** Returns whether a snapshot waits to be sent to a member. */
  hasSnapshot(id: string): boolean {
    return this.#open.get(id)?.hasSnapshot ?? false;
  }

  /** Called when the host changes: nobody waits for the snapshots of before. */
  dropSnapshots(): void {
    for (const channel of this.#open.values()) channel.dropSnapshots();
  }

  isDialling(id: string): boolean {
    return [...this.#opening].some((channel) => channel.id === id && channel.dialled);
  }

  /** Ends the dials of a member that the server does not find. */
  endDials(id: string): void {
    for (const channel of [...this.#opening])
      if (channel.id === id && channel.dialled) channel.end();
  }

  close(id: string): void {
    this.#open.get(id)?.end();
  }

  /** Closes everything. `follow` may be called again if the page comes back. */
  closeAll(): void {
    this.#host = undefined;
    this.#deputy = undefined;
    this.#targets.clear();
    for (const channel of [...this.#opening, ...this.#open.values()]) channel.end();
  }

  #dial(id: string): void {
    if (this.#open.has(id) || this.isDialling(id) || !this.#hooks.isOnline()) return;
    let connection: Connection | undefined;
    try {
      connection = this.#hooks.dial(id);
    } catch (error) {
      // The browser has too many RTCPeerConnections, or has no WebRTC.
      console.warn("peerstar: no data channel:", error);
    }
    if (connection) this.#add(connection, true);
    else this.#targets.retry(id);
  }

  /**
   * Ends what this page dialled to a former target, unless others rely on their channels to this
   * page.
   */
  #release(id: string): boolean {
    if (this.#isServing) return false;
    for (const channel of [...this.#opening, this.#open.get(id)])
      if (channel?.id === id && channel.dialled) channel.end();
    return true;
  }

  #add(connection: Connection, dialled: boolean): void {
    this.#opening.add(new DataChannel(this.#env, connection, dialled, this.#dialMs, this.#owner));
  }

  #opened(channel: DataChannel): void {
    const { id } = channel;
    this.#opening.delete(channel);
    const old = this.#open.get(id);
    if (old) {
      const bothDialled =
        channel.openedAt - old.openedAt < BOTH_DIALLED_MS && channel.dialled !== old.dialled;
      // Both sides must keep the same channel: the one with the greater key.
      if (bothDialled && old.key > channel.key) return channel.end();
      this.#open.delete(id);
      old.end();
      this.#hooks.feed({ type: "link", id, up: false });
    }
    this.#open.set(id, channel);
    this.#targets.reached(id);
    this.#hooks.feed({ type: "link", id, up: true });
  }

  #ended(channel: DataChannel): void {
    const { id } = channel;
    this.#opening.delete(channel);
    this.#hooks.forget(channel.key);
    const wasOpen = this.#open.get(id) === channel;
    if (wasOpen) {
      this.#open.delete(id);
      this.#hooks.feed({ type: "link", id, up: false });
    }
    if ((wasOpen || channel.dialled) && !this.#open.has(id)) this.#targets.retry(id);
  }
}
