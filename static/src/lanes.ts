// What waits to be written, frame by frame. Short messages and pieces of state take turns: a state must not hold up what
// others said, nor they a state.

export class Lanes {
  /** How much of each waits, in characters. */
  readonly waiting = { small: 0, bulk: 0 };
  readonly #hasRoom: () => boolean;
  readonly #write: (frame: string) => boolean;
  #small: string[] = [];
  #bulk: string[] = [];
  /** Kept from one time to the next: where there is room for one frame at a time it would be the same one's for ever. */
  #turn = false;

  /** `write` says whether more may follow. */
  constructor(hasRoom: () => boolean, write: (frame: string) => boolean) {
    this.#hasRoom = hasRoom;
    this.#write = write;
  }

  push(frame: string, bulk: boolean): void {
    (bulk ? this.#bulk : this.#small).push(frame);
    this.waiting[bulk ? "bulk" : "small"] += frame.length;
  }

  /** Writes as much as there is room for. */
  pour(): void {
    const [small, bulk] = [this.#small, this.#bulk];
    let [s, b] = [0, 0];
    while ((s < small.length || b < bulk.length) && this.#hasRoom()) {
      this.#turn = !this.#turn;
      const lane = s < small.length && (this.#turn || b >= bulk.length) ? "small" : "bulk";
      const frame = (lane === "small" ? small[s++] : bulk[b++]) as string;
      this.waiting[lane] -= frame.length;
      if (!this.#write(frame)) break;
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
