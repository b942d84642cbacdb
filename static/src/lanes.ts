// What waits to be written, frame by frame. Short messages and pieces of state take turns: a state must not hold up what
// others said, nor they a state.

import { utf8Length } from "./codec.ts";

export type Lane = "small" | "bulk";

interface Waiting {
  readonly frame: string;
  readonly bytes: number;
}

export class Lanes {
  /** Bytes of each that wait, in UTF-8, as sockets and channels count what they hold. */
  readonly waiting = { small: 0, bulk: 0 };
  readonly #hasRoom: (lane: Lane) => boolean;
  readonly #write: (frame: string, bytes: number, lane: Lane) => boolean;
  #small: Waiting[] = [];
  #bulk: Waiting[] = [];
  /** Kept from one time to the next: where there is room for one frame at a time it would be the same one's for ever. */
  #turn = false;

  /** `hasRoom` and `write` return whether more frames of that lane, or of any, may follow. */
  constructor(
    hasRoom: (lane: Lane) => boolean,
    write: (frame: string, bytes: number, lane: Lane) => boolean,
  ) {
    this.#hasRoom = hasRoom;
    this.#write = write;
  }

  /** Returns how many bytes that is. */
  push(frame: string, bulk: boolean): number {
    const bytes = utf8Length(frame);
    (bulk ? this.#bulk : this.#small).push({ frame, bytes });
    this.waiting[bulk ? "bulk" : "small"] += bytes;
    return bytes;
  }

  /** Writes as much as there is room for. */
  pour(): void {
    const [small, bulk] = [this.#small, this.#bulk];
    let [s, b] = [0, 0];
    for (;;) {
      const hasSmall = s < small.length && this.#hasRoom("small");
      const hasBulk = b < bulk.length && this.#hasRoom("bulk");
      if (!hasSmall && !hasBulk) break;
      this.#turn = !this.#turn;
      const lane: Lane = hasSmall && (this.#turn || !hasBulk) ? "small" : "bulk";
      const { frame, bytes } = (lane === "small" ? small[s++] : bulk[b++]) as Waiting;
      this.waiting[lane] -= bytes;
      if (!this.#write(frame, bytes, lane)) break;
    }
    small.splice(0, s);
    bulk.splice(0, b);
  }

  dropBulk(): void {
    this.#bulk = [];
    this.waiting.bulk = 0;
  }

  clear(): void {
    this.dropBulk();
    this.#small = [];
    this.waiting.small = 0;
  }
}
