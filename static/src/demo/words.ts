// The texts that the page shows to people.
import type { Outcome } from "./model/reduce.ts";
import type { Board, Change } from "./model/types.ts";

const CAUSES: Record<string, string> = {
  left: "left",
  timeout: "fell silent",
  stalled: "stopped answering",
  unreachable: "out of the others’ reach",
  resigned: "handed over",
  restarted: "the server was restarted",
  upgraded: "a newer client joined",
};

/** Returns what happened to the last host. */
export const causeInWords = (cause: string): string => CAUSES[cause] ?? cause;

/** Texts for closes, by code. For other codes the server's own words are shown. */
const ENDS: Record<number, string> = {
  4401: "The “key” in the address is wrong.",
  4410: "A newer connection took over.",
  4411: "The server’s operator ended this.",
};

export const endInWords = ({
  code,
  reason,
}: {
  readonly code: number;
  readonly reason: string;
}): string => ENDS[code] ?? reason;

/**
 * Returns why there is no group. The library says what is wrong with the names in the page's
 * address.
 */
export function startFailureInWords(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return `This page cannot begin: ${message.replace(/^the option `(\w+)` is /, "“$1” in its address is to be ")}.`;
}

const ERRORS: Record<string, string> = {
  Backpressure: "Too much is waiting to be sent. The last change was taken back.",
  TooLarge: "That is more than one message carries. The last change was taken back.",
  Uncertain: "You were away for long: the last changes may not have reached the others.",
};

/** Errors that the status shows already. */
const SHOWN_BY_STATUS: readonly unknown[] = ["Unreachable", "Refused", "Closed"];

/** Returns the text for an error of the group: by its code, or the error's own words. */
export function errorInWords(error: unknown): string | undefined {
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (SHOWN_BY_STATUS.includes(code)) return undefined;
  if (typeof code === "string" && ERRORS[code]) return ERRORS[code];
  return typeof message === "string" && message
    ? message
    : "Something went wrong between this page and the server.";
}

export const rtt = (ms: number): string => (ms < 1 ? "<1 ms" : `${Math.round(ms)} ms`);

/** Returns a duration: below 10 s in ms, else in seconds. */
export function took(ms: number): { value: string; unit: string } {
  return ms < 9_950
    ? { value: String(Math.round(ms)), unit: "ms" }
    : { value: (ms / 1000).toFixed(0), unit: "s" };
}

/** Returns what all members are told when the host changes. `who` may be "you". */
export function hostInWords(who: string, tookMs: number): string {
  const { value, unit } = took(tookMs);
  return `${capital(who)} ${who === "you" ? "are" : "is"} the host now, seen here in ${value}\u00a0${unit}`;
}

export const people = (count: number): string => (count === 1 ? "only you" : `${count} here`);

/**
 * Returns what `who` did, for the line under the board. `before` has the names of removed steps.
 */
export function changeInWords(who: string, outcome: Outcome, before: Board): string | undefined {
  const { change, how, board } = outcome;
  if (!change) return undefined;
  if (how === "kept") return `${who === "you" ? "Your" : `${who}’s`} board from last time is back`;
  const words = `${capital(who)} ${verb(change, (id) => `“${board.steps.get(id)?.name ?? before.steps.get(id)?.name ?? "?"}”`)}`;
  return how === "do" ? words : `${words} (${how})`;
}

/** Returns why undo or redo had no effect. `nameOrYou` returns a member's name, or "you". */
export function missedInWords(
  { missed, board, how }: Outcome,
  nameOrYou: (id: string) => string,
): string | undefined {
  if (!missed) return undefined;
  const step = board.steps.get(
    missed.kind === "moved" || missed.kind === "renamed" ? missed.id : (missed.steps[0]?.id ?? ""),
  );
  const who = step && nameOrYou(step.by);
  const what =
    !who || who === "you" ? "Others have changed things" : `${who} has changed “${step.name}”`;
  return `${what} since; nothing ${how}ne.`;
}

export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

function verb(change: Change, name: (id: string) => string): string {
  switch (change.kind) {
    case "moved":
      return `moved ${name(change.id)}`;
    case "renamed":
      return `renamed “${change.from}” to “${change.to}”`;
    case "placed":
    case "taken": {
      const { steps, wires, kind } = change;
      const [step, wire] = [steps[0], wires[0]];
      if (steps.length > 1)
        return `${kind === "placed" ? "added" : "removed"} ${steps.length} steps`;
      if (step) return `${kind === "placed" ? "added" : "removed"} “${step.name}”`;
      if (!wire) return "changed nothing";
      return kind === "placed"
        ? `wired ${name(wire.from)} to ${name(wire.to)}`
        : `cut the wire from ${name(wire.from)} to ${name(wire.to)}`;
    }
  }
}
