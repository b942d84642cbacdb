// The suspicion of a member that its host does not run. The server is told when the host is silent,
// and told again when the host is heard.

import type { Context } from "./context.ts";
import type { PeerId } from "./types.ts";

export class Suspicion {
  readonly #context: Context;
  readonly #host: PeerId;
  /** Whether the server was told on this socket that the host is silent. */
  #isSaid = false;

  constructor(context: Context, host: PeerId) {
    this.#context = context;
    this.#host = host;
  }

  /** Counts the silence of the host from now on. */
  postpone(): void {
    const { now, settings, timers } = this.#context;
    timers.set("suspect", now + settings.suspectMs);
  }

  /** The host was heard: the suspicion ends. */
  hostHeard(): void {
    const { epoch, server, step } = this.#context;
    this.postpone();
    if (this.#isSaid && server.online) step.push({ type: "trust", host: this.#host, epoch });
    this.#isSaid = false;
  }

  /** The host was silent for too long. The suspicion is repeated while the silence lasts. */
  hostSilent(): void {
    const { epoch, server, step } = this.#context;
    this.postpone();
    // A server that has not heard of this epoch learns of it by the claim.
    if (!server.online || !server.knowsEpoch) return;
    this.#isSaid = true;
    step.push({ type: "suspect", host: this.#host, epoch });
  }

  /** The suspicion ends with the socket on which it was said. */
  socketOpened(): void {
    this.#isSaid = false;
  }
}
