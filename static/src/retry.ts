// Rules for dialling again after a WebSocket has closed: whether, and how long to wait.

/** Wait before the first retry. It comes soon, since most outages are one lost connection. */
const FIRST_MS = 150;
/** Each wait is this many times longer than the one before. */
const GROWTH = 1.6;
/**
 * Longest wait if the server does not tell `recoveryMs`. A member that returns with a history
 * should be there by the time that a page which was opened anew decides.
 */
export const MAX_WAIT_MS = 5_000;
/**
 * Lower bound of the longest wait: a server that waits less for its members is not dialled more
 * often for that.
 */
export const MIN_MAX_WAIT_MS = 500;

/** Close of an expired ticket. */
export const TICKET_EXPIRED = 4507;
/**
 * Firefox closes with this code when a download begins. The server keeps the seat for a second, at
 * every download.
 */
const GOING_AWAY = 1001;
/**
 * After `GOING_AWAY` the wait grows no further than after this many attempts: to between 0.2 and
 * 0.4 s.
 */
const GOING_AWAY_MAX_ATTEMPT = 2;
/**
 * Closes in the range "come back" after which hurrying can help: `timeout`, `ticket-expired`,
 * `slow`.
 */
const SOON_AGAIN: readonly number[] = [4504, TICKET_EXPIRED, 4508];
/** First of the server's codes that mean "come back later". */
const COME_BACK = 4500;
const COME_BACK_MS = 1000;

/** Returns whether a close code says that dialling again cannot help. */
export function isTerminal(code: number): boolean {
  if (code >= 4400 && code < 4500) return true;
  // 1005 and 1006 stand for a missing code; 1001 is a proxy or server that goes away.
  return code >= 1002 && code <= 1009 && code !== 1005 && code !== 1006;
}

/**
 * Returns the wait before a retry in ms. `attempt` counts from 0; `random` is from 0 to 1 and
 * spreads the retries.
 */
export function backoffMs(attempt: number, random: number, maxMs = MAX_WAIT_MS): number {
  return Math.round(Math.min(maxMs, FIRST_MS * GROWTH ** attempt) * (0.5 + random / 2));
}

export interface ClosedSocket {
  readonly code: number;
  /** Whether the server had let this page in. */
  readonly wasOpen: boolean;
  /** Number of attempts since the last connection that lasted. */
  readonly attempt: number;
  /** Wait that the server asked for with RESTART, in ms. */
  readonly restartMs: number | undefined;
  /** Longest wait, in ms. */
  readonly maxMs: number;
}

/** Returns the wait after a close in ms. */
export function waitAfterClose(
  { code, wasOpen, attempt, restartMs, maxMs }: ClosedSocket,
  random: () => number,
): number {
  const counted =
    wasOpen && code === GOING_AWAY ? Math.min(attempt, GOING_AWAY_MAX_ATTEMPT) : attempt;
  const backoff = backoffMs(counted, random(), maxMs);
  // A restarting server told all its clients at the same time, so they must not return at the same
  // time.
  if (restartMs !== undefined) return restartMs * (1 + random() / 2) + (attempt > 0 ? backoff : 0);
  // The server is full, or the page has no host: hurrying does not help.
  return code >= COME_BACK && !SOON_AGAIN.includes(code)
    ? Math.max(backoff, COME_BACK_MS * (1 + random()))
    : backoff;
}
