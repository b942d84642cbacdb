// The server's proof that this member is still the host: a HEARTBEAT that was sent after something
// was stamped, and that the server answered on a socket on which it had named this member.

import type { Context } from "./context.ts";

/** Age up to which an answer counts. Doubled while the server takes longer to answer. */
const PATIENCE_MS = 1000;
const PATIENCE_MAX_MS = 16_000;

interface Question {
  readonly token: number;
  readonly seq: number;
  readonly at: number;
  /** Pauses of this member before the question. */
  readonly pauses: number;
}

export class Proof {
  readonly #context: Context;
  /** Returns the last seq that an answer would prove if it were asked for now. */
  readonly #upTo: () => number;
  /** The last seq for which it is proved that this member was the host when it was stamped. */
  #seq = 0;
  #asked: Question | undefined;
  /** Age from which on an answer is asked for again. */
  #patienceMs = PATIENCE_MS;
  /** Whether the previous answer was discarded because of a pause. */
  #wasDiscarded = false;

  constructor(context: Context, upTo: () => number) {
    this.#context = context;
    this.#upTo = upTo;
  }

  get seq(): number {
    return this.#seq;
  }

  get isAsking(): boolean {
    return this.#asked !== undefined;
  }

  /** Whether an answer is awaited that would prove something. */
  get isAwaited(): boolean {
    return (this.#asked?.seq ?? 0) > 0;
  }

  ask(): void {
    const { freshness, step } = this.#context;
    this.#asked = {
      token: step.nextToken(),
      seq: this.#upTo(),
      at: step.now,
      pauses: freshness.pauses,
    };
    step.push({ type: "prove", token: this.#asked.token });
  }

  /** The server has answered. Returns true if the answer counts; a late one is asked for again. */
  answered(token: number): boolean {
    if (this.#asked?.token !== token) return false;
    const { freshness, now } = this.#context;
    const { seq, at, pauses } = this.#asked;
    this.#asked = undefined;
    const isLate = now - at > this.#patienceMs;
    // The answer may have waited while this tab was frozen. Not twice in a row, since some tabs are
    // always late.
    const isDiscarded = freshness.pauses > pauses && !this.#wasDiscarded;
    this.#wasDiscarded = isDiscarded;
    if (isLate || isDiscarded) {
      if (!isDiscarded) this.#patienceMs = Math.min(this.#patienceMs * 2, PATIENCE_MAX_MS);
      this.ask();
      return false;
    }
    this.#seq = Math.max(this.#seq, seq);
    return true;
  }

  /** The socket is gone on which the answer would come. */
  forget(): void {
    this.#asked = undefined;
  }

  /**
   * Makes answers worthless for the entries stamped so far, those that are on their way included.
   */
  void(): void {
    this.#seq = 0;
    if (this.#asked) this.#asked = { ...this.#asked, seq: 0 };
  }
}
