// Carries out what a person does to the board. Pointer, keyboard and buttons all call the editor.
import { example } from "./example.ts";
import { canRevert } from "./model/reduce.ts";
import { nameIn, within } from "./model/read.ts";
import { LIMITS, wireId, type Point, type Step } from "./model/types.ts";
import type { Mover } from "./mover.ts";
import { freePlace, type View } from "./free-place.ts";
import type { SharedBoard } from "./shared.ts";

export type Selection = { readonly kind: "step" | "wire"; readonly id: string };

export type EditorEvents = {
  changed(): void;
  /** Shows a text under the board. */
  say(text: string): void;
  focus(selection: Selection | undefined): void;
  /** Draws at once and scrolls until a step at this place is in view. */
  reveal(place: Point): void;
  /** Returns the part of the board that is in view. */
  view(): View;
};

/** Presses of arrow keys within this time of each other are undone together. */
const BURST_MS = 1200;

export class Editor {
  selected: Selection | undefined;
  /** Id of the step that a wire is being drawn from. */
  wiring: string | undefined;
  /** Id of the step whose name is being edited. */
  renaming: string | undefined;
  private burst = { gesture: "", id: "", until: 0 };

  constructor(
    private readonly shared: SharedBoard,
    private readonly mover: Mover,
    private readonly me: string,
    private readonly events: EditorEvents,
  ) {}

  select(selection: Selection | undefined): void {
    if (this.selected?.id === selection?.id) return;
    this.selected = selection;
    this.events.changed();
  }

  add(text: string): void {
    const name = nameIn(text);
    if (!name) return;
    if (this.shared.board.steps.size >= LIMITS.steps)
      return this.events.say(`The board is full: ${LIMITS.steps} steps are the most.`);
    const id = newId();
    const place = freePlace(this.shared.board.steps.values(), this.events.view());
    this.shared.do({ do: "add", id, name, ...place });
    this.select({ kind: "step", id });
    this.events.reveal(place);
  }

  example(): void {
    this.shared.do(example(this.events.view().width, newId));
  }

  /** Starts editing the name of the selected step. */
  startRename(): void {
    const step = this.selectedStep;
    if (!step) return;
    this.stopWire();
    this.renaming = step.id;
    // Drawn at once, because the next key is already part of the name.
    this.events.reveal(step);
  }

  /** Ends editing a name. Undefined leaves the name as it was. */
  rename(text: string | undefined): void {
    const id = this.renaming;
    if (id === undefined) return;
    this.renaming = undefined;
    const name = nameIn(text);
    if (name && this.shared.board.steps.get(id)?.name !== name)
      this.shared.do({ do: "rename", id, name });
    else this.events.changed();
  }

  remove(): void {
    const { selected } = this;
    if (!selected) return;
    const wire = this.shared.board.wires.get(selected.id);
    // Nothing else becomes selected, because a second click would delete that too.
    this.select(undefined);
    if (selected.kind === "step") this.shared.do({ do: "remove", id: selected.id });
    else if (wire) this.shared.do({ do: "disconnect", from: wire.from, to: wire.to });
  }

  /**
   * Removes the selection by a key. The next thing becomes selected, so that the keyboard keeps its
   * place.
   */
  removeAndSelectNext(): void {
    const { selected } = this;
    if (!selected) return;
    const { steps, wires } = this.shared.board;
    const ids = [...(selected.kind === "step" ? steps : wires).keys()];
    const at = ids.indexOf(selected.id);
    const next = ids[at + 1] ?? ids[at - 1];
    this.remove();
    this.select(next === undefined ? undefined : { kind: selected.kind, id: next });
    this.events.focus(this.selected);
  }

  /** Starts drawing a wire from a step, or stops drawing. */
  toggleWire(from = this.selected?.kind === "step" ? this.selected.id : undefined): void {
    if (this.wiring !== undefined || from === undefined) return this.stopWire();
    this.wiring = from;
    this.events.say(`Choose the step that “${this.nameOf(from)}” leads to. Esc lets go.`);
    this.events.changed();
  }

  stopWire(): void {
    if (this.wiring === undefined) return;
    this.wiring = undefined;
    this.events.say("");
    this.events.changed();
  }

  /** Ends drawing at a step: adds the wire, or removes it if it exists and `mayCut`. */
  wireTo(to: string, mayCut = true): void {
    const from = this.wiring;
    if (from === undefined || from === to) return;
    const cut = this.shared.board.wires.has(wireId(from, to));
    this.stopWire();
    if (cut && !mayCut)
      return this.events.say(`“${this.nameOf(from)}” leads to “${this.nameOf(to)}” already.`);
    this.shared.do({ do: cut ? "disconnect" : "connect", from, to });
    if (!cut && !this.shared.board.wires.has(wireId(from, to)))
      this.events.say("No wire was drawn: it would have closed a circle, and a workflow has none.");
  }

  /** Moves the selected step by an arrow key. */
  nudge(dx: number, dy: number): void {
    const step = this.selectedStep;
    if (!step) return;
    const now = performance.now();
    const goesOn = this.burst.id === step.id && now < this.burst.until;
    this.burst = {
      gesture: goesOn ? this.burst.gesture : newId(),
      id: step.id,
      until: now + BURST_MS,
    };
    const place = { x: step.x + dx, y: step.y + dy };
    this.drag(step.id, place, this.burst.gesture);
    this.events.reveal(place);
  }

  drag(id: string, { x, y }: Point, gesture: string): void {
    this.mover.move(id, { x: within(x, LIMITS.x), y: within(y, LIMITS.y) }, gesture);
  }

  /** Ends a drag: sends the last place and scrolls it into view. */
  drop(): void {
    this.mover.flush();
    if (this.selectedStep) this.events.reveal(this.selectedStep);
  }

  can = (how: "undo" | "redo"): boolean => canRevert(this.shared.board, this.me, how);

  /** Undoes or redoes this member's last operation. */
  revert(how: "undo" | "redo"): void {
    this.mover.flush();
    this.burst.until = 0;
    if (this.can(how)) this.shared.do({ do: how });
    else this.events.say(how === "undo" ? "Nothing of yours is left to undo." : "Nothing to redo.");
  }

  /** Stops drawing a wire, or else ends the selection. */
  escape(): void {
    if (this.wiring !== undefined) this.stopWire();
    else this.select(undefined);
  }

  /** Ends the selection, wire and name of steps and wires that are gone. */
  tidy(): void {
    const { steps, wires } = this.shared.board;
    if (this.selected && !(this.selected.kind === "step" ? steps : wires).has(this.selected.id))
      this.selected = undefined;
    if (this.wiring !== undefined && !steps.has(this.wiring)) this.wiring = undefined;
    if (this.renaming !== undefined && !steps.has(this.renaming)) this.renaming = undefined;
  }

  private get selectedStep(): Step | undefined {
    return this.selected?.kind === "step"
      ? this.shared.board.steps.get(this.selected.id)
      : undefined;
  }

  private nameOf(id: string): string {
    return this.shared.board.steps.get(id)?.name ?? "it";
  }
}

/** Returns a random id that is unique on a board. It is no secret. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(9));
  return Array.from(bytes, (byte) => byte.toString(36).padStart(2, "0")).join("");
}
