// scripts/throughput: measures messages a second in real browsers, beside stock PeerJS that passes
// on the same.
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Contest, contenders } from "./support/contest.mjs";
import { World } from "./support/scenario.mjs";
import { quantile, table } from "./support/tally.mjs";

const {
  values: { out },
  positionals: [rounds = "3"],
} = parseArgs({ options: { out: { type: "string", short: "o" } }, allowPositionals: true });
if (!/^[1-9]\d*$/.test(rounds)) {
  console.error(`ROUNDS is the number of measurements of each, not "${rounds}"`);
  process.exit(2);
}

const cases = [false, true].flatMap((hostSends) =>
  [1, 64].map((inFlight) => ({ hostSends, inFlight, forMs: 4_000 })),
);
const rates = cases.map(() => contenders.map(() => []));

const world = new World({ diagnostic: (text) => console.error(text) });
try {
  const browsers = [];
  for (let i = 0; i < 5; i++) browsers.push(await world.browser());
  for (let round = 1; round <= Number(rounds); round++) {
    for (const [c, contender] of contenders.entries()) {
      process.stderr.write(`\rround ${round}, ${contender}   `);
      const contest = await Contest.gather(world, contender, browsers);
      for (const [i, what] of cases.entries()) rates[i][c].push(await contest.run(what));
      await contest.end();
    }
  }
} catch (error) {
  await world.printLogs();
  throw error;
} finally {
  await world.end();
}

const rows = cases.map(({ hostSends, inFlight }, i) => {
  const medians = rates[i].map((all) => quantile(all, 0.5));
  return [
    hostSends ? "the host" : "a member",
    inFlight,
    ...medians.map(Math.round),
    `${(medians[0] / medians[1]).toFixed(1)} ×`,
  ];
});
const report = table(["sender", "in flight", ...contenders, "peerstar : json"], rows, 1);
process.stderr.write("\n");
console.log(
  "A host and four members. Messages of 200 bytes delivered a second to each, all once and in order.\n",
);
console.log(report);
if (out) writeFileSync(`${out}.md`, `${report}\n`);
