// The requests of this page, from the call to the answer.

import type { PeerId } from "../types.ts";

export interface Request {
  readonly token: number;
  readonly to: PeerId;
  readonly q: number;
  /** When to give up. */
  readonly until: number;
}

export class Requests {
  readonly #byNumber = new Map<number, Request>();
  #last = 0;

  get isEmpty(): boolean {
    return this.#byNumber.size === 0;
  }

  /** Returns when the first request is to be given up. */
  get dueAt(): number {
    let due = Infinity;
    for (const { until } of this.#byNumber.values()) due = Math.min(due, until);
    return due;
  }

  add(token: number, to: PeerId, until: number): Request {
    const request = { token, to, q: ++this.#last, until };
    this.#byNumber.set(request.q, request);
    return request;
  }

  /** Removes and returns a request. */
  end(q: number | undefined): Request | undefined {
    if (q === undefined) return undefined;
    const request = this.#byNumber.get(q);
    this.#byNumber.delete(q);
    return request;
  }

  /** Returns whether request `q` waits for the answer of this member. */
  isTo(q: number, to: PeerId): boolean {
    return this.#byNumber.get(q)?.to === to;
  }

  dueBy(now: number): Request[] {
    return this.where(({ until }) => until <= now);
  }

  /** Returns the requests that fit. */
  where(fits: (request: Request) => boolean): Request[] {
    return [...this.#byNumber.values()].filter(fits);
  }
}
