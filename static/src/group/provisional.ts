// How long a history founded soon after the server began is provisional.
//
// A server that begins has no memory. The first who comes finds nobody and founds a history, while those who have the
// page's history may still be on their way: a browser may hold back their dials for a minute.

import type { Settings } from "./settings.ts";

export class ProvisionalMark {
  readonly #settings: Settings;
  /** When the server began, by our clock. */
  #began = -Infinity;
  /** When the server was last heard: one that began since is another. */
  #heardAt = -Infinity;
  /** When the mark of our history ends. */
  #until = -Infinity;
  /** Whether our history gives way until then. */
  #yields = false;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  /** Takes the server's word of how long it has been up. To a server that began since, our history is from before. */
  told(upMs: number | undefined, now: number): void {
    if (upMs === undefined) return;
    const began = now - upMs;
    if (began < this.#heardAt) {
      // The same server; the word that took the least time on its way is the truest.
      this.#began = Math.min(began, this.#began);
    } else {
      this.#began = began;
      this.#until = -Infinity;
    }
    this.heard(now);
  }

  /** Notes a word of the server, which had begun by then. */
  heard(now: number): void {
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

  /** Returns the mark as members say it to each other (`Provisional`). */
  left(now: number): number | undefined {
    if (now >= this.#until) return undefined;
    return this.#yields ? Math.max(1, Math.round(this.#until - now)) : 0;
  }
}
