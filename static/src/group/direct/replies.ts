// The answers of this page to the requests of others. Each is sent until the other has it. A
// request has one number for the life of a page, so an answer that comes twice does no harm.

import type { PeerId } from "../types.ts";

/** Number of requests that the page may be at work on. The oldest is given up for another. */
const OPEN = 1024;

export interface Asked {
  readonly token: number;
  readonly from: PeerId;
  readonly life: number;
  readonly q: number;
}

export interface Answer extends Asked {
  readonly data: unknown;
  readonly size: number;
  /** When the answer is given up, since nobody takes it. */
  readonly until: number;
  dueAt: number;
  waitMs: number;
}

export class Replies {
  /** Requests that the page has been handed and has not answered. */
  readonly #open = new Map<number, Asked>();
  readonly #answers = new Set<Answer>();
  /** Bytes of the answers. */
  bytes = 0;

  /** Whether no answer is under way. */
  get isEmpty(): boolean {
    return this.#answers.size === 0;
  }

  get answers(): readonly Answer[] {
    return [...this.#answers];
  }

  get dueAt(): number {
    let due = Infinity;
    for (const { dueAt } of this.#answers) due = Math.min(due, dueAt);
    return due;
  }

  /** The page is handed a request. Returns one that is given up for it. */
  asked(asked: Asked): Asked | undefined {
    this.#open.set(asked.token, asked);
    if (this.#open.size <= OPEN) return undefined;
    const [oldest] = this.#open.values();
    if (oldest) this.#open.delete(oldest.token);
    return oldest;
  }

  /** The page has answered. Returns the request, unless nobody waits for it any more. */
  answered(token: number): Asked | undefined {
    const asked = this.#open.get(token);
    this.#open.delete(token);
    return asked;
  }

  add(answer: Answer): void {
    this.#answers.add(answer);
    this.bytes += answer.size;
  }

  /** Drops an answer that the other has, or that nobody takes. */
  drop(answer: Answer): void {
    if (this.#answers.delete(answer)) this.bytes -= answer.size;
  }

  /** Nobody waits for these. Returns those that the page is still at work on. */
  end(fits: (asked: Asked) => boolean): Asked[] {
    for (const answer of this.answers) if (fits(answer)) this.drop(answer);
    const ended = [...this.#open.values()].filter(fits);
    for (const { token } of ended) this.#open.delete(token);
    return ended;
  }
}
