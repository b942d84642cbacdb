// What the page says to a person.

/** Ids are long; people compare their beginnings. */
export const shortId = (id: string): string => id.slice(0, 6);

const CAUSES: Record<string, string> = {
  left: "the last host left",
  timeout: "the last host fell silent",
  stalled: "the last host stopped answering",
  unreachable: "the others could not reach the last host",
  resigned: "the last host handed over",
  restarted: "the server was restarted",
  upgraded: "a newer client joined",
};

export const causeInWords = (cause: string | undefined): string => (cause === undefined ? "" : (CAUSES[cause] ?? cause));

const ERRORS: Record<string, string> = {
  "browser-incompatible": "This browser has no WebRTC, which the links between members need. Any current browser has it.",
  "invalid-key": "The server does not accept this page's key. If it has a key of its own, add ?key=… to the address.",
  "unavailable-id": "Somebody else has this id. Reload the page to get a new one.",
  "ssl-unavailable": "The server cannot be reached over https.",
};

/** A PeerJS error, by its type; `message` is what the server said, if it said something. */
export function errorInWords(type: string, message: string): string {
  return ERRORS[type] ?? (message ? `The server refused: ${message}` : "Something went wrong between this page and the server.");
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms < 9_950 ? 1 : 0)} s`;
}

export function people(count: number): string {
  return count === 1 ? "only you" : `${count} here`;
}
