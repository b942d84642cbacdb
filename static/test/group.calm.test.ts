// Elections on slow networks without a relay: none without a death, one for each death.

import assert from "node:assert/strict";
import { test } from "node:test";
import { calm } from "../sim/calm.ts";

const SEEDS = 12;

for (const deputies of [true, false]) {
  const how = deputies ? "with a deputy" : "without deputies";

  test(`ten minutes without a death, with slow joins and silences of 2 s, change no host, ${how}`, () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { elections, counts } = calm(seed, { minutes: 10, deputies, deathMs: 0 });
      assert.equal(
        elections,
        0,
        `seed ${seed}: ${[...counts].filter(([what]) => what.startsWith("server")).join("; ")}`,
      );
    }
  });

  test(`each death of a host costs one election, ${how}`, () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { deaths, elections, counts } = calm(seed, { minutes: 10, deputies, deathMs: 60_000 });
      assert.ok(deaths >= 7, `${deaths}`);
      assert.equal(
        elections,
        deaths,
        `seed ${seed}: ${[...counts].filter(([what]) => what.startsWith("server")).join("; ")}`,
      );
    }
  });
}

test("dials take seconds, and members suspect the host and trust it again, in the minutes without a death", () => {
  const { counts } = calm(1, { minutes: 10, deputies: true, deathMs: 60_000 });
  for (const what of ["suspect", "trust: a suspicion ends", "server: deputy named", "link opened"])
    assert.ok((counts.get(what) ?? 0) > 2, `${what}: ${counts.get(what)}`);
});
