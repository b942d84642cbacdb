// Entries of one history that arrived before those they follow.

import type { Settings } from "./settings.ts";
import type { Entry } from "./types.ts";

export class EarlyEntries {
  readonly #settings: Settings;
  #root = 0;
  readonly #entries = new Map<number, Entry>();
  #bytes = 0;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  /** Root of the history that the entries are of. */
  get root(): number {
    return this.#root;
  }

  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  at(seq: number): Entry | undefined {
    return this.#entries.get(seq);
  }

  /**
   * Keeps the entries after `last`, within the limits. Entries of another history are forgotten.
   */
  keep(root: number, entries: readonly Entry[], last: number): void {
    const { aheadBytes, aheadCount } = this.#settings;
    if (root !== this.#root) {
      this.#entries.clear();
      this.#bytes = 0;
      this.#root = root;
    }
    for (const entry of entries) {
      if (entry.s <= last || this.#entries.has(entry.s)) continue;
      if (this.#entries.size >= aheadCount || this.#bytes + entry.z > aheadBytes) return;
      this.#entries.set(entry.s, entry);
      this.#bytes += entry.z;
    }
  }

  /** Forgets the entries up to `last`, which are in the log now. */
  dropUpTo(last: number): void {
    for (const [seq, entry] of this.#entries) {
      if (seq > last) continue;
      this.#entries.delete(seq);
      this.#bytes -= entry.z;
    }
  }
}
