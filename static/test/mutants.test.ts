// The list of mutants fits the sources: a mutant whose text is gone would test nothing.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
// @ts-expect-error: a plain JavaScript module without types
import { change, mutants } from "../sim/mutant-list.mjs";

interface Mutant {
  readonly name: string;
  readonly edits: readonly (readonly [file: string, from: string, to: string])[];
}

test("every mutant changes text that the sources have", () => {
  for (const { name, edits } of mutants as readonly Mutant[]) {
    const texts = new Map<string, string>();
    for (const [file, from, to] of edits) {
      const before = texts.get(file) ?? readFileSync(`src/group/${file}`, "utf8");
      try {
        texts.set(file, change(before, from, to));
      } catch (error) {
        assert.fail(`${name}: ${file}: ${(error as Error).message}`);
      }
    }
  }
});
