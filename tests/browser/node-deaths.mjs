// scripts/node-deaths: five browsers on three nodes go through deaths of nodes and a rolling deploy.
import { parseArgs } from "node:util";
import { modes, sleep } from "./support/group.mjs";
import { nothingLeft } from "./support/process.mjs";
import { World } from "./support/scenario.mjs";
import { Spread } from "./support/spread.mjs";
import { quantile, table } from "./support/tally.mjs";

const {
  positionals: [times = "6", onlyModes = Object.keys(modes).join()],
} = parseArgs({ allowPositionals: true });
if (!/^[1-9]\d*$/.test(times))
  fail(`N is the number of nodes that die in each mode, not "${times}"`);
for (const mode of onlyModes.split(","))
  if (!modes[mode]) fail(`no mode "${mode}"; there are: ${Object.keys(modes).join(", ")}`);

function fail(why) {
  console.error(why);
  process.exit(2);
}

/** Kills the nodes in turn. Each is back before the next one dies. */
async function* deaths(page) {
  const { server } = page;
  for (let i = 0; i < Number(times); i++) {
    const node = server.nodes[i % server.nodes.length];
    yield await page.nodeEnds(node, "SIGKILL");
    await server.startNode(node);
  }
}

/** Replaces every node: another one is ready before the old one is told to stop. */
async function* deploy(page) {
  for (const node of [...page.server.nodes]) {
    await page.server.startSuccessor(node);
    yield await page.nodeEnds(node, "SIGTERM");
  }
}

const kinds = { killed: deaths, "replaced in a deploy": deploy };

const rows = [];
for (const mode of onlyModes.split(",")) {
  const world = new World({ diagnostic: (text) => console.error(text) });
  try {
    const page = await Spread.gather(world, { mode });
    let before = 0;
    for (const [kind, run] of Object.entries(kinds)) {
      const all = [];
      for await (const one of run(page)) {
        const { messages, ...counts } = await page.compare({ strict: false });
        all.push({ ...one, ...counts, messages: messages - before });
        before = messages;
        console.error(`${mode}, ${kind}: ${all.length}, ${one.moved} members moved`);
        // The next one happens at a random moment between two messages.
        await sleep(500 + 500 * Math.random());
      }
      rows.push(row(kind, mode, all));
    }
    const broken = await page.server.sum("invariant_violations_total");
    if (broken > 0) throw new Error(`${broken} invariants are broken`);
  } catch (error) {
    process.exitCode = 1;
    console.error(`${mode}: ${error.message}`);
    await world.printLogs();
  } finally {
    await world.end().catch((error) => console.error(error.message));
  }
}
await nothingLeft();

function row(kind, mode, all) {
  const sum = (name) => all.reduce((sum, one) => sum + one[name], 0);
  const faults = ["lost", "repeated", "reordered"].map(sum);
  if (faults.some((count) => count > 0)) process.exitCode = 1;
  const times = (name) => {
    const values = all.flatMap((one) => one[name]);
    return [0.5, 0.95, 1].map((share) => Math.round(quantile(values, share)));
  };
  return [
    kind,
    mode,
    all.length,
    sum("moved"),
    sum("hostChanged"),
    ...times("took"),
    times("silent").at(-1),
    sum("messages"),
    ...faults,
  ];
}

console.log(`Five members on three nodes, each sending 20 messages a second.
Times are in ms: from the node's death, or from the signal that tells it to stop, until a member
was handed the first message after it, over all pairs of sender and receiver; and the longest
silence of a member. Moved: members whose sockets were on the node. Hosts: changes of host. A host
whose socket stays never changes.
`);
console.log(
  table(
    [
      "node",
      "mode",
      "nodes",
      "moved",
      "hosts",
      "median",
      "p95",
      "max",
      "silence",
      "messages",
      "lost",
      "repeated",
      "reordered",
    ],
    rows,
    2,
  ),
);
