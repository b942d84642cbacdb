// How it stands with the server and the group.
import type { GroupEvents } from "./group.ts";
import { need, put } from "./dom.ts";

const WORDS = {
  connecting: "Connecting to the server…",
  absent: "No server yet; trying again…",
  open: "Connected",
  direct: "Server out of reach. Direct links go on.",
  away: "Server out of reach. Your changes wait.",
  closed: "The connection has ended.",
} as const;

/** A shorter absence of the server, while direct links go on, is not worth a word. */
const WORTH_MS = 1000;
let timer: ReturnType<typeof setTimeout> | undefined;

export function statusChanged({ state, server }: GroupEvents["status"]): void {
  clearTimeout(timer);
  if (state === "open" && !server) timer = setTimeout(() => show("direct"), WORTH_MS);
  else show(state);
}

/** The server could not be reached so far. `where`: its address, if the page's address names it. */
export function showAbsent(where?: string): void {
  show("absent", where && `No server at ${where} yet; trying again…`);
}

/** The end; `why` comes after the status says so. */
export function showEnd(why: string): void {
  show("closed", why);
}

function show(state: keyof typeof WORDS, why?: string): void {
  document.body.dataset["server"] = state;
  put("status", why || WORDS[state]);
  // In the middle of a board of which nothing is known yet.
  if (state === "absent" || state === "closed") put("connecting", why || WORDS[state]);
  need("retry").hidden = state !== "closed";
  // What would send something.
  for (const part of document.querySelectorAll<HTMLElement>("[data-live]"))
    part.inert = state === "closed";
}
