// The server's proof that this member is still the host: a HEARTBEAT with the epoch, sent after
// something was stamped. The page answers it while this member hosts in that epoch, behind all that
// it said before. A HEARTBEAT without an epoch is answered at the socket and proves nothing.
//
// One question is on its way at a time. A page that has just begun anew does not answer, so the
// question is repeated in the end.

import type { Context } from "./context.ts";

/** Age up to which an answer counts. Doubled while the server takes longer to answer. */
const PATIENCE_MS = 1000;
const PATIENCE_MAX_MS = 16_000;
/** Time without an answer after which there will be none. */
const UNANSWERED_MS = 5000;

interface Question {
  readonly seq: number;
  readonly at: number;
  /** When the question was last sent. */
  readonly sentAt: number;
  /** Pauses of this member before the question. */
  readonly pauses: number;
  /** `ServerView.aloneChanges` at the question. */
  readonly aloneChanges: number;
}

/**
 * What an answer proves. `seat`: this member is the host. `word`: and the server was not alone, from
 * the question on.
 */
export type Proved = "nothing" | "seat" | "word";

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

  /** Asks the server, unless an answer is on its way. */
  ask(): void {
    const { epoch, freshness, now, server, step } = this.#context;
    if (this.#asked && now - this.#asked.sentAt < UNANSWERED_MS) return;
    // An answer may still wait while this tab was frozen. It is one to the first question, and late.
    this.#asked = this.#asked
      ? { ...this.#asked, sentAt: now }
      : {
          seq: this.#upTo(),
          at: now,
          sentAt: now,
          pauses: freshness.pauses,
          aloneChanges: server.aloneChanges,
        };
    step.push({ type: "prove", epoch });
  }

  /** The server has answered. Returns what that proves. A late answer is asked for again. */
  answered(epoch: number): Proved {
    const { freshness, now, server } = this.#context;
    if (!this.#asked || epoch !== server.epoch) return "nothing";
    const { seq, at, pauses, aloneChanges } = this.#asked;
    this.#asked = undefined;
    const isLate = now - at > this.#patienceMs;
    // The answer may have waited while this tab was frozen. Not twice in a row, since some tabs are
    // always late.
    const isDiscarded = freshness.pauses > pauses && !this.#wasDiscarded;
    this.#wasDiscarded = isDiscarded;
    if (isLate || isDiscarded) {
      if (!isDiscarded) this.#patienceMs = Math.min(this.#patienceMs * 2, PATIENCE_MAX_MS);
      this.ask();
      return "nothing";
    }
    this.#seq = Math.max(this.#seq, seq);
    return server.isAlone || aloneChanges !== server.aloneChanges ? "seat" : "word";
  }

  /** The answer will not come: its socket is gone, or another page has taken over. */
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
