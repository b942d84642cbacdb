// Fills the line under the board: the last change, or a message to the person.
import { need, put } from "./dom.ts";

/** How long news is shown. Changes of a drag, fifteen a second, do not replace it earlier. */
const NEWS_MS = 2500;
let newsUntil = 0;

export function say(text: string): void {
  show(text, undefined);
}

/** Shows news, which changes do not replace for a while. */
export function sayNews(text: string): void {
  newsUntil = performance.now() + NEWS_MS;
  say(text);
}

/** Shows a change. `seq`: its number in the group's order. */
export function sayChange(text: string, seq: number): void {
  if (performance.now() >= newsUntil) show(text, seq);
}

function show(text: string, seq: number | undefined): void {
  put("said", text);
  const line = need("said");
  if (seq === undefined) delete line.dataset["seq"];
  else line.dataset["seq"] = String(seq);
}
