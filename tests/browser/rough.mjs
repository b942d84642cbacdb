// scripts/rough: runs a page of five on rough networks while its hosts die and its networks fail.
// With --plain, also stock PeerJS on the same wires.
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { nothingLeft } from "./support/process.mjs";
import { factors, faults, late, nameOf, pairs, product } from "./support/rough/matrix.mjs";
import { PlainRough } from "./support/rough/plain.mjs";
import { byCell, report, runs } from "./support/rough/run.mjs";

const engines = { chromium: ["chromium"], firefox: ["firefox"], mixed: ["chromium", "firefox"] };

const { values: given } = parseArgs({
  options: {
    pairs: { type: "boolean" },
    only: { type: "string", multiple: true, default: [] },
    times: { type: "string" },
    browser: { type: "string", default: "chromium" },
    every: { type: "string" },
    seed: { type: "string", default: "1" },
    plain: { type: "boolean" },
    json: { type: "boolean" },
    verbose: { type: "boolean" },
    out: { type: "string", short: "o" },
  },
});

function fail(why) {
  console.error(why);
  process.exit(2);
}

const number = (name, text) =>
  /^[1-9]\d*$/.test(text)
    ? Number(text)
    : fail(`--${name} takes a whole number above 0, not "${text}"`);
const times = number("times", given.times ?? (given.pairs ? "1" : "5"));
const everyMs = given.every && number("every", given.every);
if (!(given.browser in engines))
  fail(`--browser is one of ${Object.keys(engines).join(", ")}, not "${given.browser}"`);

/** Selected values of each condition. */
const wanted = structuredClone(factors);
for (const only of given.only) {
  const [name, list = ""] = only.split("=");
  if (!(name in factors))
    fail(
      `--only takes CONDITION=VALUE,…; there is no condition "${name}", only: ${Object.keys(factors).join(", ")}`,
    );
  wanted[name] = list.split(",").map((text) => {
    const value = factors[name].find((value) => String(value) === text);
    return value ?? fail(`no ${name} "${text}"; there are: ${factors[name].join(", ")}`);
  });
}
const cells = (given.pairs ? pairs : product)(wanted);

/** File with a line of JSON for each run. With -o it allows a long run to be done in parts. */
const kept = given.out && `${given.out}.jsonl`;
const all =
  kept && existsSync(kept)
    ? readFileSync(kept, "utf8")
        .trim()
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line))
    : [];

function keep(run) {
  all.push(run);
  if (kept) appendFileSync(kept, `${JSON.stringify(run)}\n`);
  const { took, silent, crowd } = run;
  const ms = (took ?? silent ?? []).map(Math.round).join(" ");
  const wrong = crowd === "peerstar" ? faults(run) : run.error ? [run.error] : [];
  process.stderr.write(
    `${crowd}, ${nameOf(run)}: ${ms || "-"}${wrong.length > 0 ? `  !! ${wrong.join("; ")}` : ""}\n`,
  );
  if (given.verbose && run.details) console.error(run.details);
}

for (const [crowd, Crowd] of [
  ["peerstar"],
  ...(given.plain ? [["plain PeerJS", PlainRough]] : []),
]) {
  const done = ({ relay, rtt, loss, event }) =>
    all.filter(
      (run) =>
        run.crowd === crowd &&
        run.relay === relay &&
        run.rtt === rtt &&
        run.loss === loss &&
        run.event === event,
    ).length;
  // Plain PeerJS has no relay, so it knows only one value of `relay`.
  const open = cells.filter((cell) => done(cell) < times && (!Crowd || Crowd.knows(cell)));
  const options = {
    times,
    fresh: !given.pairs,
    engines: engines[given.browser],
    everyMs,
    seed: given.seed,
    log: (text) => given.verbose && console.error(text),
    ...(Crowd && { Crowd }),
  };
  for await (const run of runs(open, options)) keep({ crowd, browser: given.browser, ...run });
}
await nothingLeft();

const ours = byCell(all.filter(({ crowd }) => crowd === "peerstar"));
if (ours.some((runs) => runs.some((run) => faults(run).length > 0) || late(runs).length > 0))
  process.exitCode = 1;
if (given.json) console.log(JSON.stringify(all, null, 1));
else
  console.log(`Five members send messages. All data passes TURN.
R: round trip between two members, in ms. Loss: share of packets lost in each pass.
Times are in ms, over all survivors: from the host's death to the next host's first message, or the
longest silence in a blackout. Newcomer: longest time from loading the page to \`open\`.
Lost and repeated: deliveries of messages from members that stayed.

${report(all)}`);
if (given.out) writeFileSync(`${given.out}.md`, `${report(all)}\n`);
