// Offers every action by keyboard. The focused step or wire is the selected one.
import { need } from "./dom.ts";
import type { Editor, Selection } from "./editor.ts";
import type { Pointer } from "./pointer.ts";

const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};
const SHORT = 12;
const LONG = 60;

export function listenToKeys(editor: Editor, pointer: Pointer): void {
  const area = need("view");
  area.addEventListener("focusin", ({ target }) => {
    const item =
      target instanceof Element ? target.closest<HTMLElement | SVGElement>(".step, .wire") : null;
    if (item) editor.select(selectionOf(item));
  });
  area.addEventListener("keydown", (event) => onItem(editor, event));
  area.addEventListener("keyup", ({ key }) => key in ARROWS && editor.drop());
  document.addEventListener("keydown", (event) => {
    // A text field has an undo of its own.
    if (event.target instanceof HTMLInputElement && event.target.value !== "") return;
    if (event.key === "Escape" && !pointer.putBack()) editor.escape();
    const how = revertKey(event);
    if (!how) return;
    event.preventDefault();
    editor.revert(how);
  });
}

function onItem(editor: Editor, event: KeyboardEvent): void {
  const item =
    event.target instanceof Element && event.target.matches(".step, .wire")
      ? (event.target as HTMLElement | SVGElement)
      : undefined;
  if (!item || event.ctrlKey || event.metaKey || event.altKey) return;
  const act = actionOf(editor, selectionOf(item), event);
  if (!act) return;
  // After Esc the focused item is no longer selected.
  editor.select(selectionOf(item));
  act();
  event.preventDefault();
}

function actionOf(
  editor: Editor,
  { kind, id }: Selection,
  { key, shiftKey }: KeyboardEvent,
): (() => void) | undefined {
  if (key === "Delete" || key === "Backspace") return () => editor.removeAndSelectNext();
  if (kind === "wire") return undefined;
  const arrow = ARROWS[key];
  const far = shiftKey ? LONG : SHORT;
  if (arrow) return () => editor.nudge(arrow[0] * far, arrow[1] * far);
  if (key === "Enter" || key === " " || key === "F2") return () => onEnter(editor, id);
  return key.toLowerCase() === "w" ? () => editor.toggleWire() : undefined;
}

const selectionOf = (item: HTMLElement | SVGElement): Selection => ({
  kind: item.matches(".step") ? "step" : "wire",
  id: item.dataset["id"]!,
});

function onEnter(editor: Editor, id: string): void {
  if (editor.wiring === id) editor.stopWire();
  else if (editor.wiring !== undefined) editor.wireTo(id);
  else editor.startRename();
}

function revertKey({
  key,
  ctrlKey,
  metaKey,
  shiftKey,
  altKey,
}: KeyboardEvent): "undo" | "redo" | undefined {
  if (!(ctrlKey || metaKey) || altKey) return undefined;
  if (key.toLowerCase() === "z") return shiftKey ? "redo" : "undo";
  return key.toLowerCase() === "y" ? "redo" : undefined;
}
