// Every action by keyboard. What has the focus is what is selected.
import { need } from "./dom.ts";
import type { Editor } from "./editor.ts";

const ARROWS: Readonly<Record<string, readonly [number, number]>> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const SHORT = 12;
const LONG = 60;

export function listenToKeys(editor: Editor): void {
  const area = need("view");
  area.addEventListener("focusin", ({ target }) => {
    if (!(target instanceof Element)) return;
    const box = target.closest<HTMLElement>(".step");
    const wire = target.closest<SVGGElement>(".wire");
    if (box) editor.select({ kind: "step", id: box.dataset["id"]! });
    else if (wire) editor.select({ kind: "wire", id: wire.dataset["id"]! });
  });
  area.addEventListener("keydown", (event) => onItem(editor, event));
  area.addEventListener("keyup", ({ key }) => key in ARROWS && editor.drop());
  document.addEventListener("keydown", (event) => {
    if (event.target instanceof HTMLInputElement) return; // has an undo of its own
    if (event.key === "Escape") editor.escape();
    const how = revertKey(event);
    if (!how) return;
    event.preventDefault();
    editor.revert(how);
  });
}

function onItem(editor: Editor, event: KeyboardEvent): void {
  const item = event.target instanceof Element && event.target.matches(".step, .wire") ? event.target : undefined;
  if (!item || event.ctrlKey || event.metaKey || event.altKey) return;
  const isStep = item.matches(".step");
  const arrow = ARROWS[event.key];
  const far = event.shiftKey ? LONG : SHORT;
  if (isStep && arrow) editor.nudge(arrow[0] * far, arrow[1] * far);
  else if (isStep && (event.key === "Enter" || event.key === " " || event.key === "F2")) onEnter(editor, (item as HTMLElement).dataset["id"]!);
  else if (isStep && event.key.toLowerCase() === "w") editor.toggleWire();
  else if (event.key === "Delete" || event.key === "Backspace") editor.remove();
  else return;
  event.preventDefault();
}

function onEnter(editor: Editor, id: string): void {
  if (editor.wiring === id) editor.stopWire();
  else if (editor.wiring !== undefined) editor.wireTo(id);
  else editor.startRename();
}

function revertKey({ key, ctrlKey, metaKey, shiftKey, altKey }: KeyboardEvent): "undo" | "redo" | undefined {
  if (!(ctrlKey || metaKey) || altKey) return undefined;
  if (key.toLowerCase() === "z") return shiftKey ? "redo" : "undo";
  return key.toLowerCase() === "y" ? "redo" : undefined;
}
