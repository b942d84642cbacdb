// The board and the name, kept in this browser: for the one who was alone, and for the next visit.
import { boardIn, nameIn } from "./model/read.ts";
import type { Board } from "./model/types.ts";
import { MAX_NAME } from "./people.ts";

const NAME = "peerstar:name";
const board = (page: string) => `peerstar:board:${page}`;

/** Storage may be forbidden or full; then nothing is kept, and nothing else breaks. */
function attempt<T>(what: () => T): T | undefined {
  try {
    return what();
  } catch {
    return undefined;
  }
}

export function keepBoard(page: string, { steps, wires }: Board): void {
  const kept = JSON.stringify({ steps: [...steps.values()], wires: [...wires.values()] });
  attempt(() => localStorage.setItem(board(page), kept));
}

export function keptBoard(page: string): Board | undefined {
  const kept = attempt(() => boardIn(JSON.parse(localStorage.getItem(board(page)) ?? "null")));
  return kept && kept.steps.size > 0 ? kept : undefined;
}

export const keepName = (name: string): void => void attempt(() => localStorage.setItem(NAME, name));
export const keptName = (): string | undefined => attempt(() => nameIn(localStorage.getItem(NAME), MAX_NAME));
