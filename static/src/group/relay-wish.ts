// The wish of a member that the server relays to it, unless the host reaches it by a data channel.

import type { Context } from "./context.ts";
import type { Path, PeerId } from "./types.ts";

export class RelayWish {
  readonly #context: Context;
  readonly #host: PeerId;
  /** The wish that the server was last told on this socket. */
  #isWanted: boolean | undefined;

  constructor(context: Context, host: PeerId) {
    this.#context = context;
    this.#host = host;
  }

  /** The socket is a new one, on which the server was told nothing. */
  socketOpened(): void {
    this.#isWanted = undefined;
  }

  /**
   * Tells the server whether the relay is wanted, if that has changed. `via` is the path of a
   * message that has arrived.
   */
  update(via?: Path): void {
    const { links, now, paths, step } = this.#context;
    paths.report(this.#host);
    const isGood = links.good(this.#host, now);
    if (isGood && via !== "p2p" && this.#isWanted !== false) return;
    if (this.#isWanted === !isGood) return;
    this.#isWanted = !isGood;
    step.push({ type: "relayWanted", wanted: !isGood });
  }
}
