// node sim/mutants.mjs [NAME…] breaks the protocol in ways that a reader of docs/delivery would think of. It shows
// that the simulation finds each mutant, or that a case of test/ does; the output says which.
// A mutant is a change of the text of the sources. A text that is no longer there is an error.

import { execFileSync, spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { change, mutants } from "./mutant-list.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const SCHEDULES = process.env.PEERSTAR_MUTANT_SCHEDULES ?? "3000";
const SEED = process.env.PEERSTAR_SIM_SEED ?? "1";
const LIMIT_S = 300;

/** Test files with cases laid by hand, in the order in which they are tried. */
const CASES = [
  "group.takeover",
  "group.halves",
  "group.histories",
  "group.older-history",
  "group.deposed-host",
  "group.lone-host",
  "group.ordering",
  "group.acknowledging",
  "group.restore",
  "group.slow-snapshots",
  "group.backfill",
  "group.backpressure",
  "group.absence",
  "group.claim",
  "group.lies",
  "group.profiles",
  "group.lost",
  "group.provisional",
  "group.dedupe-table",
  "group.outbox",
  "group.given-up",
  "group.reach",
  "group.head",
  "group.freshness",
  "group.replica",
  "group.snapshots",
  "channel-table",
  "shell.channels",
  "data-channels",
  "socket",
  "shell.end",
  "shell.identity",
  "shell.page",
  "shell.server",
  "shell.snapshots",
  "direct",
  "direct.requests",
  "group.calm",
];

async function run({ edits }, dir) {
  for (const folder of ["src", "sim", "test"])
    cpSync(join(root, folder), join(dir, folder), { recursive: true });
  for (const [file, from, to] of edits) {
    const path = join(dir, "src", "group", file);
    writeFileSync(path, change(readFileSync(path, "utf8"), from, to));
  }
  const simulated = await execute(await bundle(dir, join("sim", "main.ts")), [SCHEDULES, SEED]);
  const after = /^(\d+) schedules/m.exec(simulated.output)?.[1] ?? "?";
  const why = /^seed \d+ failed: (.*)$/m.exec(simulated.output)?.[1];
  if (why) return { by: "schedules", how: `after ${after} schedules: ${why}` };
  if (simulated.code !== 0)
    return {
      by: "nothing",
      how: `the simulation ended with ${simulated.code} and found nothing: ${simulated.output.slice(-200)}`,
    };
  // A fault that takes too many coincidences for chance is found by a case laid by hand.
  for (const cases of CASES) {
    const laid = await execute(await bundle(dir, join("test", `${cases}.test.ts`)), []);
    const test =
      /^not ok \d+ - (.*)$/m.exec(laid.output)?.[1] ?? /^\S* ?✖ (.*) \(/m.exec(laid.output)?.[1];
    if (test) return { by: "cases", how: test };
    if (laid.code !== 0) return { by: "nothing", how: `${cases} ended with ${laid.code}` };
  }
  return { by: "nothing", how: `not in ${SCHEDULES} schedules and not by a case` };
}

async function bundle(dir, entry) {
  const outfile = join(dir, `${entry.replaceAll(/[^a-z]/g, "-")}.mjs`);
  await build({
    entryPoints: [join(dir, entry)],
    bundle: true,
    platform: "node",
    format: "esm",
    outfile,
    logLevel: "error",
  });
  return outfile;
}

/** Runs a bundle for at most `LIMIT_S` of processor time, however busy the machine is. */
async function execute(file, args) {
  const limited = ["-c", `ulimit -t ${LIMIT_S}; exec "$@"`, "sh", process.execPath, file, ...args];
  const child = spawn("sh", limited, { env: { ...process.env, PEERSTAR_SIM_BRIEF: "1" } });
  let output = "";
  child.stdout.on("data", (data) => (output += data));
  child.stderr.on("data", (data) => (output += data));
  const code = await new Promise((resolve) =>
    child.on("close", (status, signal) => resolve(signal ?? status)),
  );
  return { code, output };
}

execFileSync("cargo", ["build", "--quiet", "-p", "peerstar-page-addon"], { stdio: "inherit" });
const wanted = process.argv.slice(2);
const todo = mutants.filter(
  ({ name }) => wanted.length === 0 || wanted.some((word) => name.includes(word)),
);
const found = { schedules: 0, cases: 0, nothing: 0 };

async function judge(mutant) {
  const dir = mkdtempSync(join(tmpdir(), "peerstar-mutant-"));
  try {
    return await run(mutant, dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const base = await judge({ name: "unchanged", edits: [] });
if (base.by !== "nothing" || !base.how.startsWith("not in")) {
  console.log(`unchanged, the protocol itself fails: ${base.how}`);
  process.exit(1);
}
const said = { schedules: "found", cases: "found by a case laid by hand", nothing: "MISSED" };
const queue = todo.slice();
async function worker() {
  for (let mutant = queue.shift(); mutant; mutant = queue.shift()) {
    const { by, how } = await judge(mutant);
    found[by]++;
    console.log(`${said[by]}: ${mutant.name}: ${how.slice(0, 200)}`);
  }
}
await Promise.all(Array.from({ length: availableParallelism() }, worker));
console.log(
  `${todo.length} mutants: ${found.schedules} found by ${SCHEDULES} schedules from seed ${SEED}, ` +
    `${found.cases} more by cases laid by hand, ${found.nothing} missed`,
);
process.exit(found.nothing > 0 ? 1 : 0);
