// Counts what was lost, repeated or reordered, and prints figures as a table.

/**
 * Compares the diaries `{ name, said, heard: ["name#n", …] }` of the members that are still here.
 * Counts:
 * - `lost`: missing deliveries. Every member must have every message of a member that is still
 *   here, and the
 *   messages of a member that left must have no gap.
 * - `repeated`: deliveries beyond the first of a message.
 * - `reordered`: diaries whose order differs from the first one's.
 */
export function tally(diaries) {
  const sets = diaries.map(({ heard }) => new Set(heard));
  const here = new Set(diaries.map(({ name }) => name));
  let [lost, repeated, reordered] = [0, 0, 0];
  for (const [i, { heard }] of diaries.entries()) {
    repeated += heard.length - sets[i].size;
    for (const { name, said } of diaries)
      for (let n = 1; n <= said; n++) lost += Number(!sets[i].has(`${name}#${n}`));
    const last = new Map();
    for (const [name, n] of heard.map((word) => word.split("#"))) {
      if (!here.has(name)) lost += Math.max(0, Number(n) - (last.get(name) ?? 0) - 1);
      last.set(name, Math.max(Number(n), last.get(name) ?? 0));
    }
    if (i > 0)
      reordered += Number(
        !sameOrder(
          [...sets[0]].filter((word) => sets[i].has(word)),
          [...sets[i]].filter((word) => sets[0].has(word)),
        ),
      );
  }
  return { lost, repeated, reordered };
}

const sameOrder = (a, b) => a.every((word, i) => word === b[i]);

/** Returns the quantile of `values` at `share` (0 to 1). */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
}

/** Returns a table in Markdown. The first `words` columns hold words, the others numbers. */
export function table(head, rows, words) {
  const lines = [head, ...rows].map((row) => row.map(String));
  const widths = head.map((_, i) => Math.max(...lines.map((line) => line[i].length)));
  const pad = (cell, i) => (i < words ? cell.padEnd(widths[i]) : cell.padStart(widths[i]));
  const [top, ...rest] = lines.map((line) => `| ${line.map(pad).join(" | ")} |`);
  const rule = `|${widths.map((width, i) => "-".repeat(width + 1) + (i < words ? "-" : ":")).join("|")}|`;
  return [top, rule, ...rest].join("\n");
}
