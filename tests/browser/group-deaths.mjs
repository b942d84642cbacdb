// scripts/deaths: measures how long a page takes to go on after its host dies, over many deaths of
// each kind. Beside it, the same with stock PeerJS only.
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Crowd, kinds, modes, sleep } from "./support/group.mjs";
import { kinds as plainKinds, PlainCrowd } from "./support/plain.mjs";
import { nothingLeft } from "./support/process.mjs";
import { World } from "./support/scenario.mjs";
import { quantile, table } from "./support/tally.mjs";

const PLAIN = "plain PeerJS";

const {
  values: { out },
  positionals: [times = "30", onlyModes, onlyKinds],
} = parseArgs({ options: { out: { type: "string", short: "o" } }, allowPositionals: true });
const wanted = {
  kinds: chosen("kind", kinds, onlyKinds),
  modes: chosen("mode", [...Object.keys(modes), PLAIN], onlyModes),
};
if (!/^[1-9]\d*$/.test(times))
  fail(`N is the number of hosts that die in each way, not "${times}"`);

function chosen(what, all, given) {
  if (given === undefined) return all;
  const names = given.split(",");
  for (const name of names)
    if (!all.includes(name)) fail(`no ${what} "${name}"; there are: ${all.join(", ")}`);
  return names;
}

function fail(why) {
  console.error(why);
  process.exit(2);
}

/** File with a line of JSON for each death. With -o it allows a long run to be done in parts. */
const kept = out && `${out}.jsonl`;
const deaths =
  kept && existsSync(kept)
    ? readFileSync(kept, "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line))
    : [];
const of = (kind, mode) => deaths.filter((death) => death.kind === kind && death.mode === mode);

function keep(death) {
  deaths.push(death);
  if (kept) appendFileSync(kept, `${JSON.stringify(death)}\n`);
}

/** Every death compares the whole diaries, so the previous counts are subtracted. */
async function* ours(crowd, kind) {
  let before = 0;
  for (;;) {
    const took = await crowd.death(kind);
    const { messages, ...counts } = await crowd.compare({ strict: false });
    yield { took, messages: messages - before, ...counts };
    before = messages;
  }
}

async function* plain(crowd, kind) {
  for (;;) yield await crowd.death(kind);
}

async function letDie(kind, mode) {
  const world = new World({ diagnostic: (text) => console.error(text) });
  try {
    const crowd =
      mode === PLAIN ? await PlainCrowd.gather(world) : await Crowd.gather(world, { mode });
    const dying = (mode === PLAIN ? plain : ours)(crowd, kind);
    while (of(kind, mode).length < Number(times)) {
      if (mode === PLAIN) await crowd.talk(0);
      // The death happens at a random moment between two messages.
      await sleep(500 + 500 * Math.random());
      keep({ kind, mode, ...(await dying.next()).value });
      process.stderr.write(`\r${kind}, ${mode}: ${of(kind, mode).length}/${times}   `);
    }
  } catch (error) {
    process.exitCode = 1;
    console.error(`\n${kind}, ${mode}: ${error.message}`);
    await world.printLogs();
  } finally {
    await world.end().catch((error) => console.error(error.message));
  }
}

function report() {
  const rows = [];
  for (const kind of kinds) {
    for (const mode of [...Object.keys(modes), PLAIN]) {
      const all = of(kind, mode);
      if (all.length === 0) continue;
      const took = all.flatMap((death) => death.took);
      const sum = (name) => all.reduce((sum, death) => sum + death[name], 0);
      rows.push([
        kind,
        mode,
        all.length,
        ...[0.5, 0.95, 1].map((share) => Math.round(quantile(took, share))),
        sum("messages"),
        sum("lost"),
        sum("repeated"),
        sum("reordered"),
      ]);
    }
  }
  return table(
    ["host", "mode", "deaths", "median", "p95", "max", "messages", "lost", "repeated", "reordered"],
    rows,
    2,
  );
}

for (const kind of wanted.kinds) {
  for (const mode of wanted.modes) {
    if (mode === PLAIN && !plainKinds.includes(kind)) continue;
    if (of(kind, mode).length < Number(times)) await letDie(kind, mode);
  }
}
await nothingLeft();
if (
  deaths.some(
    ({ mode, lost, repeated, reordered }) => mode !== PLAIN && lost + repeated + reordered > 0,
  )
)
  process.exitCode = 1;
process.stderr.write("\n");
console.log(`Five members, each sending 20 messages a second.
Times are in ms, over all survivors: from the host's death to the first message delivered through
the next host. For the server, which is killed and restarted 0.7 s later, the longest silence of a
member. Lost and repeated: deliveries of messages from survivors. Reordered: members whose order
differs from the first one's.
`);
console.log(report());
if (out) writeFileSync(`${out}.md`, `${report()}\n`);
