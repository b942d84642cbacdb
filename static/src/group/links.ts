// Which way to whom: the data channel while it is open and something was heard on it lately, else the relay.

import type { Path, PeerId } from "./types.ts";

interface Link {
  up: boolean;
  heard: number;
}

export class Links {
  readonly #links = new Map<PeerId, Link>();
  readonly #high = new Set<PeerId | "relay" | "states">();
  /** The server relays, and its socket is open. */
  relay = false;

  constructor(readonly silentMs: number) {}

  set(id: PeerId, up: boolean, now: number): void {
    if (up) this.#links.set(id, { up, heard: now });
    else {
      this.#links.delete(id);
      this.#high.delete(id);
    }
  }

  heard(id: PeerId, now: number): void {
    const link = this.#links.get(id);
    if (link) link.heard = now;
  }

  up(id: PeerId): boolean {
    return this.#links.has(id);
  }

  /** Open, and not silent. */
  good(id: PeerId, now: number): boolean {
    const link = this.#links.get(id);
    return link !== undefined && now - link.heard <= this.silentMs;
  }

  lastHeard(id: PeerId): number {
    return this.#links.get(id)?.heard ?? -Infinity;
  }

  path(id: PeerId, now: number): Path | "none" {
    if (this.good(id, now)) return "p2p";
    if (this.relay) return "relay";
    return this.up(id) ? "p2p" : "none";
  }

  press(link: PeerId | "relay" | "states", high: boolean): void {
    if (high) this.#high.add(link);
    else this.#high.delete(link);
  }

  pressed(link: PeerId | "relay" | "states"): boolean {
    return this.#high.has(link);
  }

  ids(): PeerId[] {
    return [...this.#links.keys()];
  }
}
