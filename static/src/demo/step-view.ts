// Draws the steps. Their elements are kept, so that focus and text that is being typed survive
// every change.
import { html, need, put } from "./dom.ts";
import type { Glide } from "./glide.ts";
import type { Board, Step } from "./model/types.ts";
import { hueOf } from "./people.ts";

const MARK_MS = 1500;

export type StepEvents = {
  /** Editing a name has ended. Undefined: the name stays as it was. */
  renamed(text: string | undefined): void;
};

export class StepView {
  private readonly list = need("steps");
  private readonly boxes = new Map<string, HTMLElement>();
  private readonly marks = new Map<string, ReturnType<typeof setTimeout>>();

  constructor(
    private readonly glide: Glide,
    private readonly events: StepEvents,
  ) {}

  box(id: string): HTMLElement | undefined {
    return this.boxes.get(id);
  }

  render(board: Board, held: string | undefined): void {
    for (const [id, box] of this.boxes) {
      if (board.steps.has(id)) continue;
      box.remove();
      this.boxes.delete(id);
      this.glide.drop(id);
    }
    for (const step of board.steps.values()) {
      const box = this.boxes.get(step.id) ?? this.make(step);
      const name = box.querySelector<HTMLElement>(".name")!;
      put(name, step.name);
      name.title = step.name;
      const label = labelOf(board, step);
      if (box.getAttribute("aria-label") !== label) box.setAttribute("aria-label", label);
      this.glide.to(step.id, step, step.id === held);
    }
  }

  draw(ids: ReadonlySet<string>): void {
    for (const id of ids) {
      const [box, at] = [this.boxes.get(id), this.glide.now(id)];
      if (box && at) box.style.transform = `translate(${at.x}px, ${at.y}px)`;
    }
  }

  /**
   * Marks the steps. `waiting`: returns whether an operation of this member on a step is pending.
   */
  state(
    selected: string | undefined,
    wiring: string | undefined,
    renaming: string | undefined,
    waiting: (id: string) => boolean,
  ): void {
    for (const [id, box] of this.boxes) {
      box.classList.toggle("selected", id === selected);
      box.classList.toggle("source", id === wiring);
      box.classList.toggle("waiting", waiting(id));
      box.classList.toggle("target", wiring !== undefined && id !== wiring);
      const open = box.querySelector("input");
      if (id === renaming && !open) this.edit(box);
      else if (id !== renaming) open?.remove();
      box.classList.toggle("renaming", id === renaming);
    }
  }

  /** Shows for a while that another member has changed a step. */
  mark(id: string, by: string, name: string): void {
    const box = this.boxes.get(id);
    if (!box) return;
    box.style.setProperty("--hue", String(hueOf(by)));
    put(box.querySelector(".by")!, name);
    box.classList.add("touched");
    clearTimeout(this.marks.get(id));
    this.marks.set(
      id,
      setTimeout(() => {
        box.classList.remove("touched");
        this.marks.delete(id);
      }, MARK_MS),
    );
  }

  private make(step: Step): HTMLElement {
    const port = html("button", "port");
    port.type = "button";
    // The key W does the same.
    port.tabIndex = -1;
    port.setAttribute("aria-label", "Wire from here");
    const by = html("span", "by");
    by.setAttribute("aria-hidden", "true");
    const name = html("span", "name", step.name);
    name.dir = "auto";
    const box = html("div", "step", name, port, by);
    box.dataset["id"] = step.id;
    box.tabIndex = 0;
    box.setAttribute("role", "group");
    box.setAttribute("aria-roledescription", "step");
    this.boxes.set(step.id, box);
    this.list.append(box);
    return box;
  }

  private edit(box: HTMLElement): void {
    const input = html("input");
    input.maxLength = 80;
    input.value = box.querySelector(".name")!.textContent ?? "";
    input.setAttribute("aria-label", "Name of the step");
    let ended = false;
    const end = (text: string | undefined, back: boolean) => {
      // Losing the focus ends editing too, so this may be called twice.
      if (ended) return;
      ended = true;
      if (back) box.focus({ preventScroll: true });
      this.events.renamed(text);
    };
    input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter" && !event.isComposing) end(input.value, true);
      else if (event.key === "Escape") end(undefined, true);
    });
    input.addEventListener("blur", () => end(input.value, false));
    box.append(input);
    input.focus({ preventScroll: true });
    input.select();
  }
}

function labelOf(board: Board, step: Step): string {
  const next = [...board.wires.values()]
    .filter(({ from }) => from === step.id)
    .map(({ to }) => board.steps.get(to)?.name);
  return next.length === 0 ? step.name : `${step.name}, leads to ${next.join(" and ")}`;
}
