// How it stands with the server.
import { need, put } from "./dom.ts";

export type State = "connecting" | "open" | "away" | "closed";

const WORDS: Readonly<Record<State, string>> = {
  connecting: "Connecting to the server…",
  open: "Connected",
  away: "Server out of reach, trying again. Direct links go on.",
  closed: "The connection has ended.",
};

export function showStatus(state: State, why?: string): void {
  // The reason of an end comes after the end; neither may hide the other.
  if (document.body.dataset["server"] === "closed" && state === "closed" && !why) return;
  document.body.dataset["server"] = state;
  put("status", why || WORDS[state]);
  need("retry").hidden = state !== "closed";
}

const ASK_EVERY_MS = 1000;

/** While the group goes on over direct links, nothing else tells that the server is there again. */
export function awaitServer(server: string): void {
  if (document.body.dataset["server"] === "away") return;
  showStatus("away");
  const timer = setInterval(() => {
    if (document.body.dataset["server"] !== "away") return clearInterval(timer);
    fetch(new URL("health", server), { cache: "no-store" }).then(
      ({ ok }) => ok && document.body.dataset["server"] === "away" && showStatus("open"),
      () => undefined, // not yet
    );
  }, ASK_EVERY_MS);
}
