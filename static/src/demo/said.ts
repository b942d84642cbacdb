// The line under the board: what was done last, and what there is to say.
import { need, put } from "./dom.ts";

/** Somebody may be dragging, which is fifteen changes a second: news stays so long all the same. */
const NEWS_MS = 2500;
let newsUntil = 0;

export function say(text: string): void {
  show(text, undefined);
}

export function sayNews(text: string): void {
  newsUntil = performance.now() + NEWS_MS;
  say(text);
}

/** `seq` is the change's place in the one order of all. */
export function sayChange(text: string, seq: number): void {
  if (performance.now() >= newsUntil) show(text, seq);
}

function show(text: string, seq: number | undefined): void {
  put("said", text);
  const line = need("said");
  if (seq === undefined) delete line.dataset["seq"];
  else line.dataset["seq"] = String(seq);
}
