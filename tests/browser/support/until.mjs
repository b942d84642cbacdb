// Polls until a condition holds. If it never holds, the error says what was awaited and what was
// last seen.

const LOOK_EVERY_MS = 25;

/** Polls `probe` until it returns a truthy value, and returns that value. */
export async function until(what, probe, withinMs = 10_000) {
  const end = performance.now() + withinMs;
  let seen;
  for (;;) {
    try {
      seen = await probe();
      if (seen) return seen;
    } catch (error) {
      seen = error;
    }
    if (performance.now() > end)
      throw new Error(`waited ${withinMs} ms in vain for: ${what}\n  last seen: ${show(seen)}`);
    await new Promise((resume) => setTimeout(resume, LOOK_EVERY_MS));
  }
}

/**
 * Polls `state` until `good` accepts it, and returns it. On failure the error shows the last state.
 */
export async function untilState(what, state, good, withinMs = 10_000) {
  let last;
  try {
    return await until(what, async () => good((last = await state())) && last, withinMs);
  } catch (error) {
    throw new Error(`${error.message.split("\n")[0]}\n  last state: ${show(last)}`);
  }
}

export function show(value) {
  if (value instanceof Error) return value.message;
  return JSON.stringify(value, null, 1)?.replaceAll("\n", "\n  ") ?? String(value);
}
