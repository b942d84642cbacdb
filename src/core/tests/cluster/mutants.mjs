// node mutants.mjs [NAME…] breaks the rules of a cluster on purpose, one after another, in a copy of src/core, and
// shows that the simulation finds it: by the schedules by hand, or by random ones.
// A mutant is a list of changes of the text of the sources. A text that is no longer there is an error.
// While the unchanged sources fail in some seeds, a mutant counts as found if four times as many fail.

import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../../..");
const SCHEDULES = Number(process.env.CLUSTER_MUTANT_SCHEDULES ?? 2000);

/** Name, then changes: file, old text, new text. */
const MUTANTS = [
  ["epochs are not stepped by the slot", ["epoch_clock.rs", "self.slot.map_or(least, |slot| slot.at_least(least))", "least"]],
  [
    "a renewal registers",
    [
      "cluster/registry/model.rs",
      "let Some(one) = self.nodes.get_mut(&node) else { return self.not_registered() };\n        one.counter",
      "let settings = crate::cluster::fingerprint::Fingerprint::NONE;\n" +
        "        let new = Registered { node, counter: 0, slot: None, version: 1, epoch, standing, settings, address: None };\n" +
        "        self.nodes.entry(node).or_insert(new);\n" +
        "        let Some(one) = self.nodes.get_mut(&node) else { return self.not_registered() };\n        one.counter",
    ],
  ],
  [
    "the lease counts from the reply",
    ["cluster/lease.rs", "let ends = asked.plus(LEASE);", "let ends = asked.max(now).plus(LEASE);"],
  ],
  [
    "a node decides on when its lease has ended",
    ["cluster/lease.rs", "Some(ends) if now < ends => Hold::Sure(ends)", "Some(ends) => Hold::Sure(ends.max(now.plus(LEASE)))"],
    ["cluster/lease.rs", "if self.ends.is_some_and(|ends| ends <= now) {\n            self.ends = None;\n        }", ""],
  ],
  ["the watch goes on through a generation", ["cluster/node/membership.rs", "self.watch.begin_anew();", ""]],
  [
    "nobody waits for who asserts",
    ["cluster/registry/model.rs", "if !is_own && self.nodes.values().any(", "if is_own && !is_own && self.nodes.values().any("],
  ],
  [
    "a release does not look at the fence",
    [
      "cluster/registry/model.rs",
      "let is_same = self.record(page).is_some_and(|one| one.is_of(*node, *fence));",
      "let is_same = self.record(page).is_some() && fence.0 > 0;",
    ],
    ["cluster/registry/model.rs", "let may = by == node || !self.nodes.contains_key(node);", "let may = true || by == node;"],
  ],
  [
    "a session resumes at a lower fence",
    ["cluster/node/sessions.rs", "Some(Place::Here(here)) if bound <= here.fence =>", "Some(Place::Here(here)) if here.fence.0 < u64::MAX =>"],
  ],
  [
    "a membership that is lost counts as a burial",
    ["cluster/node/membership.rs", "if was_registered && !is_another &&", "if (was_registered || is_another) &&"],
  ],
  [
    "members are judged over a link that is down",
    ["page/state/ways.rs", "!self.ways.has_truce(way, env.now)", "!self.ways.has_truce(way, env.now) || true"],
  ],
  [
    "who is not named stays",
    ["cluster/branch/mod.rs", "ToBranch::Here { sessions, host } => self.compare(&sessions, host, out)", "ToBranch::Here { .. } => {}"],
  ],
];

/** The workspace of the copy: the core alone, with the settings of the whole. */
function workspace(dir) {
  const whole = readFileSync(join(root, "Cargo.toml"), "utf8");
  const keep = whole.split(/^(?=\[)/m).filter((part) => /^\[(workspace\.|profile\.)/.test(part));
  writeFileSync(join(dir, "Cargo.toml"), `[workspace]\nresolver = "3"\nmembers = ["src/core"]\n\n${keep.join("")}`);
  cpSync(join(root, "Cargo.lock"), join(dir, "Cargo.lock"));
}

function judge(edits) {
  const dir = mkdtempSync(join(tmpdir(), "cluster-mutant-"));
  try {
    mkdirSync(join(dir, "src"));
    cpSync(join(root, "src/core"), join(dir, "src/core"), { recursive: true });
    workspace(dir);
    for (const [file, from, to] of edits) {
      const path = join(dir, "src/core", file);
      const text = readFileSync(path, "utf8");
      if (!text.includes(from)) throw new Error(`not found in ${file}: ${from}`);
      writeFileSync(path, text.replace(from, () => to));
    }
    const env = { ...process.env, CARGO_TARGET_DIR: join(root, "target/cluster-mutants"), CLUSTER_BRIEF: "1" };
    const cargo = ["test", "--quiet", "--release", "-p", "peerstar-core", "--test", "cluster"];
    execFileSync("cargo", [...cargo, "--no-run"], { cwd: dir, env, stdio: ["ignore", "ignore", "inherit"] });
    const run = (args, more) =>
      spawnSync("cargo", [...cargo, "--", "--nocapture", ...args], { cwd: dir, env: { ...env, ...more }, encoding: "utf8" });
    const hand = run(["by_hand"], { CLUSTER_SCHEDULE_SEEDS: "20" });
    const byHand = /^\d\d_.*$/m.exec(hand.stderr + hand.stdout)?.[0];
    const failed = { deep: 0, wide: 0 };
    const first = {};
    for (const [kind, share] of [["deep", 1], ["wide", 4]]) {
      const many = { CLUSTER_KIND: kind, CLUSTER_COUNT: String(SCHEDULES / share), CLUSTER_FAILURES: "200", CLUSTER_SEED: "0" };
      const { stdout } = run(["--ignored", "--exact", "run::tests::many"], many);
      failed[kind] = Number(/(\d+) failed/.exec(stdout)?.[1] ?? 0);
      first[kind] = /^seed \d+ failed: .*$/m.exec(stdout)?.[0];
    }
    return { byHand, failed, first };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const wanted = process.argv.slice(2);
const todo = MUTANTS.filter(([name]) => wanted.length === 0 || wanted.some((word) => name.includes(word)));
const base = judge([]);
console.log(`unchanged: ${base.failed.deep} deep and ${base.failed.wide} wide of ${SCHEDULES} fail; by hand: ${base.byHand ?? "none"}`);
let missed = 0;
for (const [name, ...edits] of todo) {
  const { byHand, failed, first } = judge(edits);
  const kind = ["deep", "wide"].find((one) => failed[one] > 4 * base.failed[one]);
  const how = byHand && !base.byHand ? byHand : kind ? `${failed[kind]} ${kind} ones, ${first[kind]}` : undefined;
  if (!how) missed++;
  console.log(`${how ? "found" : "MISSED"}: ${name}: ${(how ?? `${failed.deep} deep, ${failed.wide} wide`).slice(0, 200)}`);
}
console.log(`${todo.length} mutants, ${missed} missed`);
process.exit(missed > 0 ? 1 : 0);
