// node main.js N [SEED] [--jobs J] [--all] runs N schedules from a seed on, in J processes. Prints what happened
// in them, and the seed of a failure; with --all it goes on after one. Stopped by a signal (with --jobs), it prints
// how far it came.
// node main.js 1 SEED --trace prints one schedule line by line.

import { fork } from "node:child_process";
import { argv, env } from "node:process";
import { parseArgs } from "node:util";
import { add, simulate, trace, type Outcome } from "./run.ts";

/** Number of schedules that a worker is given at a time. */
const PART = 200;

const {
  positionals: [count = "5000", from],
  values,
} = parseArgs({
  allowPositionals: true,
  options: {
    trace: { type: "boolean" },
    jobs: { type: "string" },
    worker: { type: "boolean" },
    all: { type: "boolean", default: false },
  },
});
const brief = env["PEERSTAR_SIM_BRIEF"] !== undefined;
const seed = from === undefined ? Date.now() % 1_000_000_000 : Number(from);
const began = Date.now();

if (values.worker) work();
else if (values.trace) console.log(trace(seed).join("\n"));
else
  report(
    values.jobs === undefined
      ? simulate(Number(count), seed, values.all)
      : await share(Number(values.jobs)),
  );

function report({ schedules, counts, failed }: Outcome): void {
  if (!brief)
    for (const [what, n] of [...counts].sort()) console.log(`${String(n).padStart(10)}  ${what}`);
  console.log(
    `${schedules} schedules from seed ${seed} in ${((Date.now() - began) / 1000).toFixed(1)} s`,
  );
  for (const { seed, error } of failed) {
    console.log(`seed ${seed} failed: ${error}`);
    if (!brief) console.log(`its story: scripts/sim 1 ${seed} --trace`);
  }
  // Not exit(): what was printed may still be on its way through a pipe.
  process.exitCode = failed.length > 0 ? 1 : 0;
}

/** Shares the schedules among `jobs` processes, part by part. The outcome covers them without a hole. */
async function share(jobs: number): Promise<Outcome> {
  const parts: (Outcome | undefined)[] = [];
  const all = Math.ceil(Number(count) / PART);
  let next = 0;
  let stopped = false;
  const workers = Array.from({ length: jobs }, () =>
    fork(argv[1] as string, ["--worker", ...(values.all ? ["--all"] : [])]),
  );
  const stop = (): void => {
    stopped = true;
    for (const worker of workers) worker.kill("SIGKILL");
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stop);
  await Promise.all(
    workers.map(
      (worker) =>
        new Promise<void>((resolve, reject) => {
          const hand = (): void => {
            if (next >= all || stopped) return worker.disconnect();
            const part = next++;
            worker.once("message", (outcome: [Outcome, [string, number][]]) => {
              parts[part] = { ...outcome[0], counts: new Map(outcome[1]) };
              if (outcome[0].failed.length > 0 && !values.all) stopped = true;
              hand();
            });
            worker.send([Math.min(PART, Number(count) - part * PART), seed + part * PART]);
          };
          worker.once("exit", (code) =>
            code === 0 || stopped ? resolve() : reject(new Error(`a worker ended with ${code}`)),
          );
          hand();
        }),
    ),
  );
  let whole: Outcome = { schedules: 0, counts: new Map(), failed: [] };
  for (let i = 0; i < next && parts[i] && (values.all || whole.failed.length === 0); i++)
    whole = add(whole, parts[i] as Outcome);
  return whole;
}

function work(): void {
  process.on("message", ([n, first]: [number, number]) => {
    const outcome = simulate(n, first, values.all);
    process.send?.([{ ...outcome, counts: undefined }, [...outcome.counts]]);
  });
}
