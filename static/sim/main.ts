// node main.js N [seed]: N schedules from a seed on; prints what happened in them, and on a failure the seed that
// reproduces it. node main.js 1 seed --trace tells one schedule line by line.

import { simulate, trace } from "./run.ts";

const [count = "5000", from, flag] = process.argv.slice(2);
const brief = process.env["PEERSTAR_SIM_BRIEF"] !== undefined;
const seed = from === undefined ? Date.now() % 1_000_000_000 : Number(from);

if (flag === "--trace") console.log(trace(seed).join("\n"));
else run();

function run(): void {
  const began = Date.now();
  const { schedules, counts, failed } = simulate(Number(count), seed);
  if (!brief) for (const [what, n] of [...counts].sort()) console.log(`${String(n).padStart(10)}  ${what}`);
  console.log(`${schedules} schedules from seed ${seed} in ${((Date.now() - began) / 1000).toFixed(1)} s`);
  if (!failed) return;
  console.log(`seed ${failed.seed} failed: ${failed.error.message}`);
  if (!brief) console.log(`its story: scripts/sim 1 ${failed.seed} --trace`);
  // Not exit(): what was printed may still be on its way through a pipe.
  process.exitCode = 1;
}
