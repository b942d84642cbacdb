// How long to wait before trying again: longer each time, and never all at the same moment.

const FIRST_MS = 400;
const MOST_MS = 10_000;

/** `attempt` counts from 0; `random` is in [0, 1). Even the first try waits: Chrome punishes dialling again at once. */
export function backoffMs(attempt: number, random: number): number {
  const most = Math.min(MOST_MS, FIRST_MS * 2 ** attempt);
  return Math.round(most * (0.5 + random / 2));
}
