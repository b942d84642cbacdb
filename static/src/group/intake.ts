// Takes the messages of all members, the host's own page included, and has them stamped in their
// turn.

import type { Context } from "./context.ts";
import type { Follower } from "./follower.ts";
import { lies } from "./history.ts";
import type { Stamper } from "./stamper.ts";
import type { PeerId } from "./types.ts";
import type { StampRequest } from "./wire.ts";

const NEED_MS = 60;

interface IntakeOptions {
  readonly followers: ReadonlyMap<PeerId, Follower>;
  readonly stamper: Stamper;
  /** Returns whether the host stamps now: it neither takes over nor hands over. */
  readonly isStamping: () => boolean;
  /** Asks a member where it stands. */
  readonly ask: (follower: Follower) => void;
}

export class Intake {
  readonly #context: Context;
  readonly #options: IntakeOptions;

  constructor(context: Context, options: IntakeOptions) {
    this.#context = context;
    this.#options = options;
  }

  /** A member asks to stamp messages. They wait while the host does not stamp. */
  submitted(follower: Follower, request: StampRequest): void {
    const { claim, epoch, now, paths, replica } = this.#context;
    const { ask, isStamping, stamper } = this.#options;
    const { at, low, x: items } = request;
    const share = this.#share();
    if (!isStamping()) return follower.hold(request, share);
    // The server names no host of this epoch: messages wait.
    if (claim.isDenied) return;
    // A sender that stands elsewhere may count on entries that this log lacks: its messages wait
    // until it is on this log.
    if (at.r !== 0 && !lies(at, replica.log)) return ask(follower);
    const missing = stamper.take(follower, { low, items, share });
    if (missing !== undefined && now - follower.needed >= NEED_MS) {
      follower.needed = now;
      paths.transmit(follower.id, { t: "need", e: epoch, n: missing });
    }
  }

  /** Stamps the messages that waited while the host did not stamp. */
  takeHeld(): void {
    for (const follower of this.#options.followers.values())
      for (const request of follower.takeHeld()) this.submitted(follower, request);
  }

  /** Stamps the messages of the host's own page. */
  takeOwn(): void {
    const { claim, outbox, replica, self } = this.#context;
    const { isStamping, stamper } = this.#options;
    if (!isStamping() || claim.isDenied) return;
    let n = stamper.count(self.id);
    for (let item = outbox.after(n); item && !replica.isFull; item = outbox.after(n)) {
      n = item.n;
      stamper.stampMessage(self.id, n, item);
      outbox.mark(n);
    }
  }

  /**
   * Returns the bytes that may be kept of one member's messages before their turn: of all members
   * no more than a log.
   */
  #share(): number {
    const { settings } = this.#context;
    const { followers } = this.#options;
    return Math.min(2 * settings.windowBytes, settings.logBytes / (followers.size + 1));
  }
}
