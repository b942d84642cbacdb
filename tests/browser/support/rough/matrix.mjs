// The conditions under which a page is tried on a rough wire: which there are, which pairs of them the short form
// covers, and what each may cost.
import { quantile } from "../tally.mjs";

/** Every value of every condition. The product of all is the matrix. */
export const factors = {
  relay: ["allowed", "forbidden"],
  /** The round trip between two members, in ms. */
  rtt: [20, 100, 300],
  /** Lost in each pass over a wire, in percent. A message from member to member passes two wires. */
  loss: [0, 1, 3],
  event: [
    "killed", // SIGKILL of the host's browser
    "closed", // the host's tab
    "navigated", // the host's tab goes elsewhere
    "frozen", // SIGSTOP of the host's browser, and SIGCONT later
    "gone", // the host's network: nothing passes, and there is no FIN
    "blackout", // nobody's network passes anything for 3 s
    "host blackout", // the same for the host alone
    "narrow", // 1 Mbit/s for each page: a newcomer with a long state, then SIGKILL of the host's browser
  ],
};

/**
 * How often each member says something, in ms, by a wire's conditions: as often as tells a delay from the pause between
 * two messages, and no more than a data channel carries at 3 % loss, or half of 1 Mbit/s at a host with four members.
 */
export function pace({ delayMs, bytesPerS }) {
  if (delayMs > 25) return 250;
  return delayMs > 5 || bytesPerS < Infinity ? 100 : 50;
}

/** The conditions of the tests, which have minutes: the ends of each scale. */
export const ends = { ...factors, rtt: [20, 300], loss: [0, 3] };

export const deaths = ["killed", "closed", "navigated", "frozen", "gone", "narrow"];

/** Every combination of the values, as objects. */
export function product(of = factors) {
  return Object.entries(of).reduce(
    (cells, [name, values]) =>
      cells.flatMap((cell) => values.map((value) => ({ ...cell, [name]: value }))),
    [{}],
  );
}

/** Few combinations in which every two values of different conditions meet, in the order of `product`. */
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

/** The name of a cell, as the table and the tests have it. */
export const nameOf = ({ relay, rtt, loss, event }) =>
  `relay ${relay}, ${rtt} ms, ${loss} %, ${event}`;

/** What a change of host may cost beyond that of a host whose sockets end, in ms. */
const NOTICED_LATER = { frozen: 3_600, gone: 6_000 };

/** The limits of the median and the 95th percentile, in ms, at a measured round trip; none where there is no limit. */
export function limits({ relay, event }, r) {
  if (!deaths.includes(event) || event === "narrow") return undefined;
  const more = (NOTICED_LATER[event] ?? 0) + (relay === "forbidden" ? 100 : 0);
  return { median: 2.5 * r + 150 + more, p95: 4 * r + 400 + more };
}

/** The fewest and the most elections that an event may cost. */
export function elections({ loss, event }) {
  if (!deaths.includes(event)) return [0, 0];
  return [1, loss >= 3 ? 2 : 1];
}

/** What is wrong with one run of a cell, as sentences; the times are judged over all runs of a cell, by `late`. */
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

/** Which limits the runs of one cell exceed, as sentences. */
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
