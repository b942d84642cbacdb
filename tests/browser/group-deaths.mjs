// scripts/deaths: how long it takes until a page goes on when its host dies, over many deaths of each kind.
//   node group-deaths.mjs [N] [mode] [kind]
import { Crowd, kinds, modes } from "./support/group.mjs";
import { nothingLeft } from "./support/process.mjs";
import { World } from "./support/scenario.mjs";

const [times = "30", onlyMode, onlyKind] = process.argv.slice(2);
const rows = [];

const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)];
const ms = (value) => (value === undefined ? "–" : String(Math.round(value)));

function row(mode, kind, deaths, totals) {
  const of = (name) => deaths.map((death) => death[name]).sort((a, b) => a - b);
  const [first, last] = [of("first"), of("last")];
  return [mode, kind, deaths.length, ms(at(first, 0.5)), ms(at(last, 0.5)), ms(at(last, 0.95)), ms(last.at(-1)), totals.messages, totals.lost, totals.repeated, totals.reordered];
}

const head = ["mode", "kind of death", "deaths", "first, median", "all, median", "all, p95", "all, max", "messages", "lost", "repeated", "reordered"];

function print(rows) {
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((row) => String(row[i]).length)));
  const line = (row) => `| ${row.map((cell, i) => (i < 2 ? String(cell).padEnd(widths[i]) : String(cell).padStart(widths[i]))).join(" | ")} |`;
  console.log([line(head), `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`, ...rows.map(line)].join("\n"));
}

for (const mode of Object.keys(modes)) {
  if (onlyMode && mode !== onlyMode) continue;
  for (const kind of kinds) {
    if (onlyKind && kind !== onlyKind) continue;
    const world = new World({ diagnostic: (text) => console.error(text) });
    const deaths = [];
    const totals = { messages: 0, lost: 0, repeated: 0, reordered: 0 };
    try {
      const crowd = await Crowd.gather(world, { mode });
      for (let i = 0; i < Number(times); i++) {
        deaths.push(await crowd.death(kind));
        const { messages, lost, repeated, reordered } = await crowd.compare({ strict: false });
        totals.messages = messages;
        totals.lost += lost;
        totals.repeated += repeated;
        totals.reordered += reordered;
        process.stderr.write(`\r${mode}, ${kind}: ${i + 1}/${times}   `);
      }
    } catch (error) {
      process.exitCode = 1;
      console.error(`\n${mode}, ${kind}: ${error.message}`);
      await world.tell();
    } finally {
      await world.end().catch((error) => console.error(error.message));
    }
    rows.push(row(mode, kind, deaths, totals));
    if (totals.lost + totals.repeated + totals.reordered > 0) process.exitCode = 1;
  }
}
await nothingLeft();
process.stderr.write("\n");
console.log("From a host's death to the first message delivered through the next, in ms: at the first survivor, and at all of them.");
console.log("For the server, which is killed and started again 0.7 s later: the longest that anybody heard nothing.\n");
print(rows);
