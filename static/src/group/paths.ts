// Sends to members over the path that is open, and tells the page which path that is.

import type { Links } from "./links.ts";
import type { Step } from "./step.ts";
import type { Path, PeerId } from "./types.ts";
import type { Wire } from "./wire.ts";

export class Paths {
  readonly #links: Links;
  readonly #step: Step;
  /** The path of each member that the page was last told. */
  readonly #reported = new Map<PeerId, Path | "none">();

  constructor(links: Links, step: Step) {
    this.#links = links;
    this.#step = step;
  }

  /**
   * Sends a message over `via`, or else over the member's path. Returns false if there is no path.
   */
  transmit(to: PeerId, message: Wire, via?: Path): boolean {
    const path = via ?? this.#links.path(to, this.#step.now);
    if (path === "none") return false;
    this.#step.push({ type: "transmit", to, via: path, message });
    return true;
  }

  /** Tells the page the path to a member, if that has changed. */
  report(id: PeerId): void {
    const path = this.#links.path(id, this.#step.now);
    if (this.#reported.get(id) === path) return;
    this.#reported.set(id, path);
    this.#step.notify({ kind: "link", id, path });
  }

  /** Forgets what the page was told of a member: its path is reported anew when it is back. */
  forget(id: PeerId): void {
    this.#reported.delete(id);
  }

  forgetAllBut(id: PeerId): void {
    for (const known of this.#reported.keys()) if (known !== id) this.#reported.delete(known);
  }
}
