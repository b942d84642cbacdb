// The matrix of conditions for pages on rough wires: their values, the cells that cover all pairs,
// and the limits of each cell.
import { quantile } from "../tally.mjs";

/** Values of every condition. The matrix is their product. */
export const factors = {
  relay: ["allowed", "forbidden"],
  /** Round trip between two members, in ms. */
  rtt: [20, 100, 300],
  /**
   * Packets lost in each pass over a wire, in percent. A message between members passes two wires.
   */
  loss: [0, 1, 3],
  event: [
    "killed", // SIGKILL of the host's browser
    "closed", // the host's tab
    "navigated", // the host's tab navigates to another address
    "frozen", // SIGSTOP of the host's browser, and SIGCONT later
    "gone", // the host's network passes nothing more, without a FIN
    "blackout", // no network passes anything for 3 s
    "host blackout", // the host's network passes nothing for 3 s
    // 1 Mbit/s for each page: a newcomer gets a long snapshot, then the host's browser gets SIGKILL
    "narrow",
  ],
};

/**
 * Returns the interval between the messages of one member, in ms, for a wire's conditions. The
 * interval is short enough to show delays, and long enough for a data channel at 3 % loss and for
 * half of 1 Mbit/s at a host with four members.
 */
export function pace({ delayMs, bytesPerS }) {
  if (delayMs > 25) return 250;
  return delayMs > 5 || bytesPerS < Infinity ? 100 : 50;
}

/** Values for the test run, which has minutes: the ends of each scale. */
export const ends = { ...factors, rtt: [20, 300], loss: [0, 3] };

export const deaths = ["killed", "closed", "navigated", "frozen", "gone", "narrow"];

/** Returns every combination of the values as an object. */
export function product(of = factors) {
  return Object.entries(of).reduce(
    (cells, [name, values]) =>
      cells.flatMap((cell) => values.map((value) => ({ ...cell, [name]: value }))),
    [{}],
  );
}

/**
 * Returns a few combinations in which every two values of different conditions meet, in the order
 * of `product`.
 */
export function pairs(of = factors) {
  const all = product(of);
  const names = Object.keys(of);
  const meets = (cell) =>
    names.flatMap((a, i) => names.slice(i + 1).map((b) => `${a}=${cell[a]} ${b}=${cell[b]}`));
  const open = new Set(all.flatMap(meets));
  const chosen = new Set();
  while (open.size > 0) {
    const news = (cell) => meets(cell).filter((pair) => open.has(pair)).length;
    const best = all.reduce((best, cell) => (news(cell) > news(best) ? cell : best));
    chosen.add(best);
    for (const pair of meets(best)) open.delete(pair);
  }
  return all.filter((cell) => chosen.has(cell));
}

/** Returns the name of a cell in the table and the tests. */
export const nameOf = ({ relay, rtt, loss, event }) =>
  `relay ${relay}, ${rtt} ms, ${loss} %, ${event}`;

/** Extra time for a change of host whose sockets do not end with it, in ms. */
const NOTICED_LATER = { frozen: 3_600, gone: 6_000 };

/**
 * Returns the limits of the median and the 95th percentile for a measured round trip `r`, all in
 * ms, if the cell has any.
 */
export function limits({ relay, event }, r) {
  if (!deaths.includes(event) || event === "narrow") return undefined;
  const more = (NOTICED_LATER[event] ?? 0) + (relay === "forbidden" ? 100 : 0);
  return { median: 2.5 * r + 150 + more, p95: 4 * r + 400 + more };
}

/** Returns the smallest and largest number of elections that an event may cause. */
export function elections({ loss, event }) {
  if (!deaths.includes(event)) return [0, 0];
  return [1, loss >= 3 ? 2 : 1];
}

/** Returns the faults of one run in words. Times are judged over all runs of a cell by `late`. */
export function faults(run) {
  const [least, most] = elections(run);
  const found = run.error ? [run.error] : [];
  for (const what of ["lost", "repeated", "reordered", "rejected", "incomplete"])
    if (run[what] > 0) found.push(`${run[what]} ${what}`);
  const counted = Object.values(run.elections).reduce((sum, n) => sum + n, 0);
  const causes = Object.entries(run.elections)
    .map(([cause, n]) => `${n} ${cause}`)
    .join(", ");
  if (counted < least || counted > most)
    found.push(
      `${counted} elections (${causes || "none"}), not ${least === most ? least : `${least} to ${most}`}`,
    );
  if (run.hosts > most) found.push(`${run.hosts} changes of host were told to the pages`);
  return found;
}

/** Returns the limits that the runs of one cell exceed, in words. */
export function late(runs) {
  const took = runs.flatMap((run) => run.took ?? []);
  const limit = limits(
    runs[0],
    quantile(
      runs.map(({ r }) => r),
      0.5,
    ),
  );
  if (!limit || took.length === 0) return [];
  const shares = { median: 0.5, p95: 0.95 };
  return Object.keys(shares)
    .filter((name) => quantile(took, shares[name]) > limit[name])
    .map(
      (name) =>
        `${name} ${Math.round(quantile(took, shares[name]))} ms, limit ${Math.round(limit[name])} ms`,
    );
}
