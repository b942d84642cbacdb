// Chooses the path to each member: its data channel while that is open and not silent, else the
// relay.

import type { Path, PeerId } from "./types.ts";

interface Link {
  /** When something was last heard on the data channel. */
  heardAt: number;
}

/** A data channel, the relay, or the queue of snapshots on the relay. */
export type Route = PeerId | "relay" | "states";

export class Links {
  readonly #links = new Map<PeerId, Link>();
  readonly #congested = new Set<Route>();
  /** Whether the socket is open and the server relays. */
  relay = false;

  constructor(readonly silentMs: number) {}

  opened(id: PeerId, now: number): void {
    this.#links.set(id, { heardAt: now });
  }

  closed(id: PeerId): void {
    this.#links.delete(id);
    this.#congested.delete(id);
  }

  heard(id: PeerId, now: number): void {
    const link = this.#links.get(id);
    if (link) link.heardAt = now;
  }

  up(id: PeerId): boolean {
    return this.#links.has(id);
  }

  /** Returns whether the data channel is open, and was heard on within `silentMs`. */
  good(id: PeerId, now: number): boolean {
    const link = this.#links.get(id);
    return link !== undefined && now - link.heardAt <= this.silentMs;
  }

  lastHeard(id: PeerId): number {
    return this.#links.get(id)?.heardAt ?? -Infinity;
  }

  path(id: PeerId, now: number): Path | "none" {
    if (this.good(id, now)) return "p2p";
    if (this.relay) return "relay";
    return this.up(id) ? "p2p" : "none";
  }

  congested(route: Route): void {
    this.#congested.add(route);
  }

  drained(route: Route): void {
    this.#congested.delete(route);
  }

  isCongested(route: Route): boolean {
    return this.#congested.has(route);
  }

  ids(): PeerId[] {
    return [...this.#links.keys()];
  }
}
