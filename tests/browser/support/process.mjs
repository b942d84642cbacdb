// The processes that a test starts. Each leads its own process group, so one signal ends it and its
// children. All carry a mark in their environment, so a child that left its group is found, too.
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { until } from "./until.mjs";

const groups = new Set();
const mark = `PEERSTAR_TEST=${process.pid}`;

/** Returns the environment for a process that a test starts. */
export const marked = (env = {}) => ({
  ...process.env,
  ...env,
  PEERSTAR_TEST: String(process.pid),
});

/** Remembers a process group that a driver such as Playwright started. */
export const adopt = (pid) => groups.add(pid);

export function start(command, args, env) {
  const child = spawn(command, args, { detached: true, stdio: ["ignore", "pipe", "pipe"], env });
  if (child.pid) adopt(child.pid);
  return child;
}

/** Sends a signal to a whole process group. */
export const kill = (pid, how = "SIGKILL") => signal(-pid, how);

function signal(target, how) {
  try {
    process.kill(target, how);
  } catch (error) {
    if (error.code !== "ESRCH") throw error; // the group has ended already
  }
}

/** Returns every live process that carries our mark, as "pid name". Zombies are left out. */
export function alive() {
  const found = [];
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    let stat, environment;
    try {
      stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      environment = readFileSync(`/proc/${pid}/environ`, "latin1");
    } catch {
      continue; // the process has ended meanwhile
    }
    // The name may hold spaces and brackets, so the fields are counted from its last bracket.
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

/** Fails if a process that a test started still runs, and ends that process. */
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
