// Types of messages and requests to one member.

export interface DirectOptions {
  /** Gives up when it aborts: the promise rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface RequestOptions extends DirectOptions {
  /** Time for the answer in milliseconds. 10 s if absent. */
  readonly timeoutMs?: number | undefined;
}

/** About a request of another member. */
export interface RequestInfo {
  /** Id of the member that asks. */
  readonly from: string;
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** Answers requests: returns what `send` takes, nothing, or a promise of it. */
export type RequestHandler = (data: unknown, about: RequestInfo) => unknown;
