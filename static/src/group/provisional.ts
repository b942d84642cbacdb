// How long a history that was founded soon after the server began is provisional.
//
// A server that begins has no memory. The first member to arrive finds nobody and founds a history,
// while those who have the page's history may still be on their way: a browser may hold back their
// dials for a minute.

import type { Settings } from "./settings.ts";

export class ProvisionalMark {
  readonly #settings: Settings;
  /** When the server began, by this member's clock. */
  #began = -Infinity;
  /** When the server was last heard. A server that began later is another one. */
  #heardAt = -Infinity;
  /** When the mark of the history ends. */
  #until = -Infinity;
  /** Whether the history gives way until then. */
  #yields = false;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  /**
   * The server has said how long it has been up. For a server that began since, the history is from
   * before.
   */
  serverUp(upMs: number | undefined, now: number): void {
    if (upMs === undefined) return;
    const began = now - upMs;
    if (began < this.#heardAt) {
      // It is the same server. The message that took the least time on its way is the most exact.
      this.#began = Math.min(began, this.#began);
    } else {
      this.#began = began;
      this.#until = -Infinity;
    }
    this.serverHeard(now);
  }

  /** A message of the server has arrived, which had begun by then. */
  serverHeard(now: number): void {
    this.#heardAt = now;
  }

  /** Marks the history that is founded now. */
  found(now: number): void {
    const { freshMs, provisionalMs } = this.#settings;
    this.#until = this.#began + provisionalMs;
    this.#yields = now - this.#began < freshMs;
  }

  /** Takes over the mark of a history that another member has. */
  take(leftMs: number | undefined, now: number): void {
    const { provisionalMs } = this.#settings;
    this.#until = -Infinity;
    if (leftMs === undefined) return;
    this.#yields = leftMs > 0;
    this.#until = this.#yields
      ? now + Math.min(leftMs, provisionalMs)
      : this.#began + provisionalMs;
  }

  /** Returns the mark as it travels with the history (see `Provisional`). */
  left(now: number): number | undefined {
    if (now >= this.#until) return undefined;
    return this.#yields ? Math.max(1, Math.round(this.#until - now)) : 0;
  }
}
