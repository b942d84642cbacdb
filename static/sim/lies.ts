// Messages of a page that keeps to no protocol: about epochs that the server never named, and their entries.

import type { Wire } from "../src/group/index.ts";
import type { Place } from "../src/group/types.ts";
import type { Prng } from "./prng.ts";

/** An epoch above all that a schedule can have, however long it is. */
const SOON = 1_500_000;

/** Returns one lie of a member that stands at `at`, about itself or another. */
export function lie(random: Prng, at: Place, ids: readonly string[]): Wire {
  const e = random.chance(0.5)
    ? SOON + random.int(0, 100_000)
    : Number.MAX_SAFE_INTEGER - random.int(0, 1000);
  const entry = {
    s: at.s + 1,
    e,
    f: random.pick(ids),
    n: 1 + random.int(0, 50),
    k: "d",
    d: "?#1",
    z: 3,
  } as const;
  const lies: readonly Wire[] = [
    { t: "ask", e, cause: "left" },
    { t: "fence", e, host: random.chance(0.5) ? random.pick(ids) : "nobody" },
    {
      t: "beat",
      e,
      at: { ...at, s: at.s + random.int(0, 3) },
      sent: at.s,
      w: [],
      k: 1,
      cause: "left",
    },
    { t: "data", e, r: at.r, p: at.e, s: entry.s, x: [entry] },
    {
      t: "restore",
      e,
      heal: at,
      snap: { ...at, line: [[at.r, 0]], counts: [], members: [], has: false, z: 0 },
    },
    { t: "pull", e, at: { ...at, done: 0, base: 0, line: [], snap: false, stale: false, age: 0 } },
    { t: "need", e, n: 1 },
    { t: "want", e, k: 1 },
  ];
  return random.pick(lies);
}
