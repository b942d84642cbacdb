// Runs many schedules, or one with its trace.

import { Schedule } from "./schedule.ts";
import { Abandoned, Failure } from "./world.ts";

export interface Outcome {
  readonly schedules: number;
  readonly counts: Map<string, number>;
  /** The failed schedules, each with its reason in words. */
  readonly failed: readonly { readonly seed: number; readonly error: string }[];
}

/** Runs `schedules` schedules from `seed` on; with `all` it goes on after a failure. */
export function simulate(schedules: number, seed: number, all = false): Outcome {
  const counts = new Map<string, number>();
  const failed = [];
  for (let i = 0; i < schedules; i++) {
    const error = once(seed + i, counts);
    if (!error) continue;
    failed.push({ seed: seed + i, error });
    if (!all) return { schedules: i + 1, counts, failed };
  }
  return { schedules, counts, failed };
}

export function add(a: Outcome, b: Outcome): Outcome {
  const counts = new Map(a.counts);
  for (const [what, n] of b.counts) counts.set(what, (counts.get(what) ?? 0) + n);
  return { schedules: a.schedules + b.schedules, counts, failed: [...a.failed, ...b.failed] };
}

function once(seed: number, counts: Map<string, number>): string | undefined {
  try {
    new Schedule(seed, counts, false).run();
    return undefined;
  } catch (error) {
    if (error instanceof Abandoned) {
      counts.set(error.message, (counts.get(error.message) ?? 0) + 1);
      return undefined;
    }
    return error instanceof Failure
      ? error.message
      : `the machine itself: ${(error as Error).stack}`;
  }
}

/** Runs the schedule of `seed` and returns its trace, line by line. */
export function trace(seed: number): string[] {
  const schedule = new Schedule(seed, new Map(), true);
  try {
    schedule.run();
    schedule.world.say("", () => "all guarantees held");
  } catch (error) {
    schedule.world.say(
      "",
      () =>
        `failed: ${(error as Error).message}${error instanceof Failure ? "" : `\n${(error as Error).stack}`}`,
    );
  }
  return schedule.world.trace as string[];
}
