// Queues frames for a socket or a data channel. Frames of messages and of snapshots alternate, so
// that neither waits for all of the other.

import { utf8Length } from "./codec.ts";

/**
 * `messages`: short messages and the pieces of long ones. `snapshots`: messages that carry a
 * snapshot.
 */
export type Lane = "messages" | "snapshots";

interface QueuedFrame {
  readonly frame: string;
  readonly bytes: number;
}

export class FairQueue {
  /** Queued bytes of each lane in UTF-8, as sockets and data channels count them. */
  readonly waiting: Record<Lane, number> = { messages: 0, snapshots: 0 };
  readonly #hasRoom: (lane: Lane) => boolean;
  readonly #write: (frame: string, bytes: number, lane: Lane) => boolean;
  #messages: QueuedFrame[] = [];
  #snapshots: QueuedFrame[] = [];
  /**
   * Kept between calls: with room for one frame at a time, the same lane would go first each time.
   */
  #messagesNext = false;

  /**
   * `hasRoom` returns whether a frame of that lane may be written, `write` whether any frame may
   * follow.
   */
  constructor(
    hasRoom: (lane: Lane) => boolean,
    write: (frame: string, bytes: number, lane: Lane) => boolean,
  ) {
    this.#hasRoom = hasRoom;
    this.#write = write;
  }

  /** Appends a frame and returns its size in bytes. */
  push(frame: string, lane: Lane): number {
    const bytes = utf8Length(frame);
    (lane === "messages" ? this.#messages : this.#snapshots).push({ frame, bytes });
    this.waiting[lane] += bytes;
    return bytes;
  }

  /** Writes as many frames as there is room for. */
  drain(): void {
    const [messages, snapshots] = [this.#messages, this.#snapshots];
    let [m, s] = [0, 0];
    for (;;) {
      const hasMessage = m < messages.length && this.#hasRoom("messages");
      const hasSnapshot = s < snapshots.length && this.#hasRoom("snapshots");
      if (!hasMessage && !hasSnapshot) break;
      this.#messagesNext = !this.#messagesNext;
      const lane: Lane =
        hasMessage && (this.#messagesNext || !hasSnapshot) ? "messages" : "snapshots";
      const { frame, bytes } = (
        lane === "messages" ? messages[m++] : snapshots[s++]
      ) as QueuedFrame;
      this.waiting[lane] -= bytes;
      if (!this.#write(frame, bytes, lane)) break;
    }
    messages.splice(0, m);
    snapshots.splice(0, s);
  }

  dropSnapshots(): void {
    this.#snapshots = [];
    this.waiting.snapshots = 0;
  }

  clear(): void {
    this.dropSnapshots();
    this.#messages = [];
    this.waiting.messages = 0;
  }
}
