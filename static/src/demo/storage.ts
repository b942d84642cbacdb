// Stores the board and the name in this browser, for the next visit of a member that was alone.
import { boardIn, nameIn } from "./model/read.ts";
import type { Board } from "./model/types.ts";
import { MAX_NAME } from "./people.ts";

const NAME = "peerstar:name";
const board = (page: string) => `peerstar:board:${page}`;

/** Runs code that uses storage. Storage may be forbidden or full; then nothing is stored. */
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

/**
 * Stores the name for a reload of this tab, and a chosen name for the next visit too. Two tabs of
 * one browser are two people here.
 */
export function keepName(name: string, chosen: boolean): void {
  attempt(() => sessionStorage.setItem(NAME, name));
  if (chosen) attempt(() => localStorage.setItem(NAME, name));
}

export const keptName = (): string | undefined =>
  nameFrom(() => sessionStorage) ?? nameFrom(() => localStorage);

/** Where storage is forbidden, even reading `localStorage` throws. */
const nameFrom = (storage: () => Storage): string | undefined =>
  attempt(() => nameIn(storage().getItem(NAME), MAX_NAME));
