// One direction of a page's network, in virtual time: it says when what is sent now arrives, or that it is lost. A lane
// has no clock and no socket, so that it can be tested without either.

/** The conditions of a lane that delays, loses and limits nothing. */
export const clear = {
  /** From one end of the lane to the other, in ms. */
  delayMs: 0,
  /** Each packet takes up to this much less or more. Packets overtake each other, segments of a stream do not. */
  jitterMs: 0,
  /** Share of packets that are lost. Of a stream, share of segments that are sent again. */
  loss: 0,
  /** Bandwidth. */
  bytesPerS: Infinity,
  /** What may wait for the bandwidth: a packet beyond that is lost, a stream waits once half of it is full. */
  queueBytes: 64 << 10,
};

/** The least time in which a sender's TCP repeats a segment, in ms (Linux: `TCP_RTO_MIN`). */
const REPEAT_MS = 200;

export class Lane {
  #random;
  #conditions;
  /** When the last byte that was taken leaves the queue. */
  #freeAt = -Infinity;
  #darkUntil = -Infinity;

  /** Packets and segments so far. */
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

  /** Lets nothing through until then. What is under way arrives. */
  darken(until) {
    this.#darkUntil = until;
  }

  /** Returns when a packet that is sent now arrives, or `undefined` if it is lost. */
  packet(bytes, now) {
    // Always two numbers for a packet, so that its fate does not hang on the conditions before it.
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

  /** Returns from when on a stream may send its next segment; `now` if it may already. */
  readyAt(now) {
    const { bytesPerS, queueBytes } = this.#conditions;
    const excess = this.#backlog(now) - queueBytes / 2;
    return Math.max(now, this.#darkUntil, excess > 0 ? now + (excess / bytesPerS) * 1000 : now);
  }

  /** Returns when a segment of a stream arrives that is sent now. Its stream keeps the order. */
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

  /** Returns when the last of these bytes has left the queue. */
  #take(bytes, now) {
    this.passed++;
    const { bytesPerS } = this.#conditions;
    // A queue from narrower times is forgotten where there is no limit any more.
    const from = bytesPerS === Infinity ? now : Math.max(now, this.#freeAt);
    return (this.#freeAt = from + (bytes / bytesPerS) * 1000);
  }

  #delay(jitter) {
    const { delayMs, jitterMs } = this.#conditions;
    return delayMs + jitterMs * (2 * jitter - 1);
  }
}
