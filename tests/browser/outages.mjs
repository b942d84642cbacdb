// scripts/outages: measures how long after an outage of the server a browser is back, for Firefox
// and Chromium.
import { parseArgs } from "node:util";
import { measureOutage } from "./support/outage.mjs";
import { nothingLeft } from "./support/process.mjs";
import { World } from "./support/scenario.mjs";
import { table } from "./support/tally.mjs";

const {
  positionals: [seconds = "30,75,180", tabs = "1,2"],
} = parseArgs({ allowPositionals: true });
const numbers = (what, text) =>
  text.split(",").map((part) => {
    if (!/^[1-9]\d*$/.test(part)) {
      console.error(`${what} are whole numbers above 0 with commas between, not "${text}"`);
      process.exit(2);
    }
    return Number(part);
  });

const rows = [];
for (const outageS of numbers("SECONDS", seconds)) {
  for (const count of numbers("TABS", tabs)) {
    const world = new World({ diagnostic: (text) => console.error(text) });
    try {
      const { chromium, firefox } = await measureOutage(world, {
        outageMs: outageS * 1000,
        tabs: count,
      });
      rows.push([outageS, count, ...[chromium, firefox].map((times) => Math.max(...times))]);
      console.error(
        `${outageS} s, ${count} tabs: Chromium ${chromium.join(", ")} ms; Firefox ${firefox.join(", ")} ms`,
      );
    } catch (error) {
      process.exitCode = 1;
      console.error(`${outageS} s, ${count} tabs: ${error.message}`);
      await world.printLogs();
    } finally {
      await world.end().catch((error) => console.error(error.message));
    }
  }
}
await nothingLeft();
console.log(
  "From the server's answer to GET /health after the outage until the last tab of a browser is connected, in ms.\n",
);
console.log(table(["outage in s", "tabs", "Chromium", "Firefox"], rows, 0));
