// The life of a page: prerendered, shown, hidden, frozen, left, back again.

import type { Shell } from "./shell.ts";

/**
 * Calls `start` when the page is shown. A prerendered page may never be shown, and its browser
 * delays its WebSocket.
 */
export function whenShown(start: () => void): void {
  const isPrerendered =
    typeof document !== "undefined" &&
    (document as { prerendering?: boolean }).prerendering === true;
  if (isPrerendered) document.addEventListener("prerenderingchange", start, { once: true });
  else start();
}

/**
 * Tells the shell of the page's life. Returns a function that ends that. A worker hears only of the
 * network.
 */
export function watchPage(shell: Shell): () => void {
  const listeners: [EventTarget, string, (event: Event) => void][] = [
    [globalThis, "online", () => shell.wake()],
  ];
  if (typeof document !== "undefined")
    listeners.push(
      [globalThis, "pagehide", (event) => (mayComeBack(event) ? shell.pause() : shell.leave())],
      // When a tab is closed, Firefox stops the script that runs, or the next one
      // (dom.ipc.cancel_content_js_when_navigating). That may be the listener above. A second
      // listener then says the goodbye.
      [globalThis, "pagehide", (event) => !mayComeBack(event) && shell.leaveNow()],
      [globalThis, "pageshow", (event) => mayComeBack(event) && shell.resume()],
      [document, "visibilitychange", () => shell.visibilityChanged()],
      [document, "resume", () => shell.wake()],
    );
  for (const [target, name, listener] of listeners) target.addEventListener(name, listener);
  return () => {
    for (const [target, name, listener] of listeners) target.removeEventListener(name, listener);
  };
}

/**
 * Returns whether the browser keeps the page for a return (pagehide), or took it from there
 * (pageshow).
 */
const mayComeBack = (event: Event): boolean => (event as PageTransitionEvent).persisted;
