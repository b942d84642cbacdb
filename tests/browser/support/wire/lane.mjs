// One direction of a page's network in virtual time. A lane decides when a packet arrives or that
// it is lost. It has no clock and no socket, so it can be tested without either.

/** Conditions of a lane without delay, loss or limit. */
export const clear = {
  /** Time from one end of the lane to the other, in ms. */
  delayMs: 0,
  /**
   * Largest deviation from the delay, in ms. Packets may overtake each other, segments of a stream
   * may not.
   */
  jitterMs: 0,
  /** Share of packets that are lost, and of stream segments that are sent again. */
  loss: 0,
  /** Bandwidth, in bytes a second. */
  bytesPerS: Infinity,
  /**
   * Bytes that may wait for the bandwidth. A packet beyond them is lost. A stream waits once half
   * is full.
   */
  queueBytes: 64 << 10,
};

/** Shortest time after which TCP repeats a segment, in ms (Linux: `TCP_RTO_MIN`). */
const REPEAT_MS = 200;

export class Lane {
  #random;
  #conditions;
  /** Time when the last accepted byte leaves the queue. */
  #freeAt = -Infinity;
  #darkUntil = -Infinity;

  /** Number of packets and segments so far. */
  passed = 0;
  lost = 0;
  overflowed = 0;

  constructor(random, conditions = clear) {
    this.#random = random;
    this.set(conditions);
  }

  /** Changes the conditions for what is sent from now on. */
  set(conditions) {
    for (const name of Object.keys(conditions))
      if (!(name in clear))
        throw new Error(`a lane has no "${name}"; it has: ${Object.keys(clear).join(", ")}`);
    this.#conditions = { ...clear, ...conditions };
  }

  get conditions() {
    return this.#conditions;
  }

  /** Lets nothing pass until `until`. Packets under way still arrive. */
  darken(until) {
    this.#darkUntil = until;
  }

  /** Returns the arrival time of a packet that is sent now, or `undefined` if it is lost. */
  packet(bytes, now) {
    // Every packet takes two random numbers, so its fate does not depend on earlier conditions.
    const [luck, jitter] = [this.#random(), this.#random()];
    if (now < this.#darkUntil || luck < this.#conditions.loss) {
      this.lost++;
      return undefined;
    }
    if (this.#backlog(now) + bytes > this.#conditions.queueBytes) {
      this.overflowed++;
      return undefined;
    }
    return this.#take(bytes, now) + this.#delay(jitter);
  }

  /** Returns the time from which a stream may send its next segment. `now` means immediately. */
  readyAt(now) {
    const { bytesPerS, queueBytes } = this.#conditions;
    const excess = this.#backlog(now) - queueBytes / 2;
    return Math.max(now, this.#darkUntil, excess > 0 ? now + (excess / bytesPerS) * 1000 : now);
  }

  /**
   * Returns the arrival time of a stream segment that is sent now. The stream itself keeps the
   * order.
   */
  segment(bytes, now) {
    const [luck, jitter] = [this.#random(), this.#random()];
    const arrives = this.#take(bytes, now) + this.#delay(jitter);
    if (luck >= this.#conditions.loss) return arrives;
    this.lost++;
    return arrives + REPEAT_MS + 2 * this.#conditions.delayMs;
  }

  #backlog(now) {
    const { bytesPerS } = this.#conditions;
    return this.#freeAt <= now || bytesPerS === Infinity
      ? 0
      : ((this.#freeAt - now) * bytesPerS) / 1000;
  }

  /** Adds bytes to the queue. Returns the time when the last of them leaves it. */
  #take(bytes, now) {
    this.passed++;
    const { bytesPerS } = this.#conditions;
    // Without a limit, the queue of an earlier limit no longer counts.
    const from = bytesPerS === Infinity ? now : Math.max(now, this.#freeAt);
    return (this.#freeAt = from + (bytes / bytesPerS) * 1000);
  }

  #delay(jitter) {
    const { delayMs, jitterMs } = this.#conditions;
    return delayMs + jitterMs * (2 * jitter - 1);
  }
}
