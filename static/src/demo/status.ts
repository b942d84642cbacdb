// Shows the state of the group and of the connection to the server.
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

/** While data channels carry the group, a shorter loss of the server is not shown. */
const WORTH_MS = 1000;
let timer: ReturnType<typeof setTimeout> | undefined;

export function statusChanged({ state, server }: GroupEvents["status"]): void {
  clearTimeout(timer);
  if (state === "open" && !server) timer = setTimeout(() => show("direct"), WORTH_MS);
  else show(state);
}

/**
 * Shows that the server was not reached yet. `where`: its address, if the page's address names it.
 */
export function showAbsent(where?: string): void {
  show("absent", where && `No server at ${where} yet; trying again…`);
}

/** Shows that the group has ended, and why. Called after the status has become `closed`. */
export function showEnd(why: string): void {
  show("closed", why);
}

function show(state: keyof typeof WORDS, why?: string): void {
  document.body.dataset["server"] = state;
  put("status", why || WORDS[state]);
  // A board that has not been received yet shows the text in its middle.
  if (state === "absent" || state === "closed") put("connecting", why || WORDS[state]);
  need("retry").hidden = state !== "closed";
  // Parts of the page that send something.
  for (const part of document.querySelectorAll<HTMLElement>("[data-live]"))
    part.inert = state === "closed";
}
