// The processes a test starts: each leads a group of its own, so that it can be ended with its children, by number; and
// all carry a mark in their environment, so that a child that left its group is seen, too.
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { until } from "./until.mjs";

const groups = new Set();
const mark = `PEERSTAR_TEST=${process.pid}`;

/** The environment for whatever is started. */
export const marked = (env = {}) => ({
  ...process.env,
  ...env,
  PEERSTAR_TEST: String(process.pid),
});

/** Remembers a group that was started elsewhere (Playwright starts browsers that way). */
export const adopt = (pid) => groups.add(pid);

export function start(command, args, env) {
  const child = spawn(command, args, { detached: true, stdio: ["ignore", "pipe", "pipe"], env });
  if (child.pid) adopt(child.pid);
  return child;
}

/** Ends a whole group. */
export const kill = (pid, how = "SIGKILL") => signal(-pid, how);

function signal(target, how) {
  try {
    process.kill(target, how);
  } catch (error) {
    if (error.code !== "ESRCH") throw error; // gone already
  }
}

/** Everything of ours that is alive, as "pid name". Zombies hold nothing and are left out. */
export function alive() {
  const found = [];
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    let stat, environment;
    try {
      stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      environment = readFileSync(`/proc/${pid}/environ`, "latin1");
    } catch {
      continue; // gone meanwhile
    }
    // The name may hold spaces and brackets: count from its last bracket.
    const [name, rest] = [
      stat.slice(stat.indexOf("(") + 1, stat.lastIndexOf(")")),
      stat.slice(stat.lastIndexOf(")") + 2),
    ];
    const [state, , group] = rest.split(" ");
    const ours = groups.has(Number(group)) || environment.split("\0").includes(mark);
    if (ours && state !== "Z") found.push(`${pid} ${name}`);
  }
  return found;
}

/** Fails, and cleans up, if anything of ours outlives its test. */
export async function nothingLeft() {
  try {
    await until("every process of this test to be gone", () => alive().length === 0, 5_000);
  } catch {
    const left = alive();
    for (const pid of groups) kill(pid);
    for (const entry of alive()) signal(parseInt(entry, 10), "SIGKILL");
    throw new Error(`processes were left behind: ${left.join(", ")}`);
  } finally {
    groups.clear();
  }
}
