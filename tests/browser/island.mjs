// scripts/island: a node is cut off from Redis alone, with one member of a page that talks.
import { parseArgs } from "node:util";
import { partForAWhile } from "./support/island.mjs";
import { nothingLeft } from "./support/process.mjs";
import { World } from "./support/scenario.mjs";

const {
  positionals: [seconds = "300", count = "200"],
} = parseArgs({ allowPositionals: true });
for (const [what, text] of Object.entries({ SECONDS: seconds, MEMBERS: count })) {
  if (/^[1-9]\d*$/.test(text)) continue;
  console.error(`${what} is a whole number above 0, not "${text}"`);
  process.exit(2);
}

for (const hosts of [true, false]) {
  const world = new World({ diagnostic: (text) => console.error(text) });
  try {
    const result = await partForAWhile(world, {
      seconds: Number(seconds),
      count: Number(count),
      hosts,
    });
    console.log(`The page and its host on the ${hosts ? "node that was cut off" : "other nodes"}:`);
    console.log(result);
  } catch (error) {
    process.exitCode = 1;
    console.error(error.message);
    await world.printLogs();
  } finally {
    await world.end().catch((error) => console.error(error.message));
  }
}
await nothingLeft();
