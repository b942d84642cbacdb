// Connects the buttons around the board.
import type { BoardView } from "./board-view.ts";
import { click, enable, html, need, onSubmit } from "./dom.ts";
import type { Editor } from "./editor.ts";
import { PRESETS } from "./example.ts";

export class Tools {
  constructor(
    private readonly editor: Editor,
    private readonly view: BoardView,
  ) {
    need("presets").append(
      ...PRESETS.map((name) => preset(name, ({ detail }) => this.add(name, detail > 0))),
    );
    onSubmit("add-form", "new-step", (text, input) => {
      input.value = "";
      this.add(text, document.activeElement !== input);
    });
    click("rename", () => editor.startRename());
    click("wire", () => {
      editor.toggleWire();
      // The next Tab must lead to a step.
      if (editor.wiring !== undefined) view.focus(editor.selected);
    });
    click("remove", () => editor.remove());
    click("undo", () => editor.revert("undo"));
    click("redo", () => editor.revert("redo"));
    click("fit", () => {
      view.toggleFit();
      this.render();
    });
    click("example", () => {
      editor.example();
      view.focus(undefined);
    });
  }

  render(): void {
    const kind = this.editor.selected?.kind;
    enable("rename", kind === "step");
    enable("wire", kind === "step" || this.editor.wiring !== undefined);
    enable("remove", kind !== undefined);
    enable("undo", this.editor.can("undo"));
    enable("redo", this.editor.can("redo"));
    need("wire").setAttribute("aria-pressed", String(this.editor.wiring !== undefined));
    need("fit").setAttribute("aria-pressed", String(this.view.isFitted));
  }

  /** Adds a step. After a pointer the focus moves to it; after a key it stays, for another step. */
  private add(name: string, byPointer: boolean): void {
    this.editor.add(name);
    if (byPointer) this.view.focus(this.editor.selected);
  }
}

function preset(name: string, then: (event: MouseEvent) => void): HTMLElement {
  const button = html("button", "preset", name);
  button.type = "button";
  button.addEventListener("click", then);
  return button;
}
