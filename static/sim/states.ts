// States (snapshots) on their way to other members. They go one after another, and other messages pass between
// their pieces.

import type { Effect } from "../src/group/index.ts";
import type { Channels } from "./channels.ts";
import type { Connection } from "./connection.ts";
import type { Tab } from "./tab.ts";

export type Transmit = Extract<Effect, { type: "transmit" }>;

/** Interval at which the receiver is told that pieces come. */
const PIECES_MS = 500;

export interface StateHooks {
  peerOf(id: string): Tab | undefined;
  send(effect: Transmit): void;
}

export class States {
  readonly #tab: Tab;
  readonly #connection: Connection;
  readonly #channels: Channels;
  readonly #hooks: StateHooks;
  /** States that are to go out; the first is on its way. */
  #queue: (() => void)[] = [];
  readonly #receivers = new Set<string>();

  constructor(tab: Tab, connection: Connection, channels: Channels, hooks: StateHooks) {
    this.#tab = tab;
    this.#connection = connection;
    this.#channels = channels;
    this.#hooks = hooks;
  }

  /** Sends a state, unless one is on its way to the receiver already. */
  send(effect: Transmit): void {
    const { to } = effect;
    const { clock, profile } = this.#tab.world;
    if (this.#receivers.has(to)) return;
    this.#receivers.add(to);
    const queue = this.#queue;
    const isOpen = this.#watch(effect);
    const go = (): void => {
      for (let ms = 100; ms < profile.stateMs; ms += PIECES_MS) {
        clock.after(ms, () => {
          if (isOpen())
            this.#hooks.peerOf(to)?.feed({ type: "heard", from: this.#tab.id, via: effect.via });
        });
      }
      clock.after(isOpen() ? profile.stateMs : 0, () => {
        if (isOpen()) this.#hooks.send(effect);
        if (queue !== this.#queue) return;
        this.#receivers.delete(to);
        queue.shift();
        queue[0]?.();
      });
    };
    if (queue.push(go) === 1) go();
  }

  /** Forgets all states: there is another host. */
  clear(): void {
    this.#queue = [];
    this.#receivers.clear();
  }

  /** Returns a function that says whether the way that the effect takes now is still the same and open. */
  #watch({ to, via }: Transmit): () => boolean {
    const queue = this.#queue;
    const link = this.#channels.link(to);
    const { socket } = this.#connection;
    return () => {
      if (!this.#tab.alive || queue !== this.#queue) return false;
      if (via === "p2p")
        return (
          link !== undefined && this.#channels.link(to) === link && !link.dead && !link.blocked
        );
      return socket === this.#connection.socket && socket?.clientOpen === true && !socket.cut;
    };
  }
}
