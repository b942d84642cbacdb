// Runs cells of the matrix (matrix.mjs) on crowds and prints the results as a table.
import { setTimeout as sleep } from "node:timers/promises";
import { World } from "../scenario.mjs";
import { quantile, table } from "../tally.mjs";
import { seeded } from "../wire/random.mjs";
import { RoughCrowd } from "./crowd.mjs";
import { faults, late, limits } from "./matrix.mjs";

/** Conditions while a crowd is gathered whose conditions change later. */
const calm = { rtt: 20, loss: 0 };

/**
 * Runs each cell `times` times and yields the result of each run with the cell's conditions.
 *
 * Consecutive cells share a crowd. With `fresh`, cells share it if relay, round trip and loss are
 * equal. Otherwise they share it if relay is equal, and the conditions of its network change
 * between cells. Gathering a crowd is a run of its own, with the event "gathered". A crowd that
 * fails is replaced.
 */
export async function* runs(
  cells,
  { times = 1, fresh = false, seed = "1", log = () => {}, Crowd = RoughCrowd, ...options } = {},
) {
  const random = seeded(`moments ${seed}`);
  let crowd, world, shared;
  /** Key of the cells whose crowd cannot be gathered. */
  let hopeless;
  const end = async () => {
    await world?.end();
    crowd = world = undefined;
  };
  try {
    for (const { event, ...conditions } of cells) {
      const key = fresh ? JSON.stringify(conditions) : conditions.relay;
      if (key !== shared) await end();
      shared = key;
      for (let time = 1; time <= times; time++) {
        if (hopeless === key) break;
        if (!crowd) {
          world = new World({ diagnostic: log });
          const at = fresh ? conditions : { ...conditions, ...calm };
          crowd = await Crowd.start(world, { ...at, seed: `${seed} ${time}`, ...options });
          const gathered = { ...at, event: "gathered", ...(await crowd.gather()) };
          yield gathered;
          if (gathered.error) {
            await world.printLogs();
            await end();
            hopeless = fresh && key;
            break;
          }
        }
        await crowd.set(conditions);
        // The event happens at a random moment between two messages and heartbeats.
        await sleep(500 + 500 * random());
        const from = performance.now();
        const run = { ...conditions, event, ...(await crowd.run(event)) };
        run.lastedMs = Math.round(performance.now() - from);
        yield run;
        if (!run.error) continue;
        await world.printLogs();
        await end();
      }
      if (!crowd && hopeless === key)
        yield { ...conditions, event, error: "the page could not be gathered", elections: {} };
    }
  } finally {
    await end();
  }
}

/** Groups runs by cell. */
export function byCell(all) {
  const cells = new Map();
  for (const run of all) {
    const key = [run.crowd, run.relay, run.rtt, run.loss, run.event].join();
    cells.set(key, [...(cells.get(key) ?? []), run]);
  }
  return [...cells.values()];
}

const head = [
  "page",
  "relay",
  "R",
  "loss",
  "event",
  "runs",
  "R measured",
  "least",
  "median",
  "p95",
  "max",
  "limits",
  "elections",
  "newcomer",
  "messages",
  "lost",
  "repeated",
  "reordered",
  "wrong",
];

/** Returns a table in Markdown with a line for each cell. */
export function report(all) {
  const ms = (value) => (value === undefined || Number.isNaN(value) ? "" : Math.round(value));
  const rows = byCell(all).map((runs) => {
    const [{ crowd, relay, rtt, loss, event }] = runs;
    const all = (name) => runs.flatMap((run) => run[name] ?? []);
    const took = [...all("took"), ...all("silent").filter(Boolean)];
    const sum = (name) => all(name).reduce((sum, n) => sum + n, 0);
    const r = quantile(all("r"), 0.5);
    const limit = r && limits(runs[0], r);
    const wrong = [
      ...runs.flatMap((run) => wrongWith(run)),
      ...(crowd === "peerstar" ? late(runs) : []),
    ];
    return [
      crowd,
      relay,
      rtt,
      `${loss} %`,
      event,
      runs.length,
      ms(r),
      all("leastMs").length > 0 ? ms(Math.min(...all("leastMs"))) : "",
      ...[0.5, 0.95, 1].map((share) => (took.length > 0 ? ms(quantile(took, share)) : "")),
      limit ? `${ms(limit.median)}, ${ms(limit.p95)}` : "",
      all("elections")
        .flatMap(Object.values)
        .reduce((sum, n) => sum + n, 0),
      all("opensMs").length > 0 ? ms(Math.max(...all("opensMs"))) : "",
      sum("messages"),
      sum("lost"),
      sum("repeated"),
      sum("reordered"),
      [...new Set(wrong)].join("; "),
    ];
  });
  return table(head, rows, 5);
}

/** Returns the faults of a run. Plain PeerJS only has to go on. */
const wrongWith = (run) => (run.crowd === "peerstar" ? faults(run) : run.error ? [run.error] : []);
