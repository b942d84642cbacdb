// Waiting for something to become true, and saying what was awaited when it does not.

const LOOK_EVERY_MS = 25;

/** Polls `probe` until it gives something truthy, and returns that. */
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

/** Waits until `state` gives something for which `good` holds; on failure the whole state is shown. */
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
