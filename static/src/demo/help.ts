// Closes the help sheet, which lies over the board: by Esc, or by a press beside it.
import { need } from "./dom.ts";

export function listenForHelp(): void {
  const help = need<HTMLDetailsElement>("help");
  addEventListener("pointerdown", ({ target }) => {
    if (target instanceof Node && !help.contains(target)) help.open = false;
  });
  // Captures the key before all others, because Esc must end one thing at a time.
  addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Escape" || !help.open) return;
      event.stopPropagation();
      help.open = false;
    },
    { capture: true },
  );
}
