// Handles mouse, pen and finger: drags steps, pulls wires from their dots, and pans the board
// beside them.
import type { BoardView } from "./board-view.ts";
import { need } from "./dom.ts";
import { newId, type Editor } from "./editor.ts";
import type { Point, Step } from "./model/types.ts";

/** Distance in pixels up to which a press is no drag: a hand is never quite still. */
const SLACK = 4;
const GRID = 4;

type Drag = {
  readonly id: string;
  readonly pointer: number;
  readonly gesture: string;
  readonly grip: Point;
  readonly start: Point;
  readonly from: Point;
  moved: boolean;
};

export class Pointer {
  private drag: Drag | undefined;
  private pull: { readonly pointer: number; readonly start: Point; moved: boolean } | undefined;

  constructor(
    private readonly editor: Editor,
    private readonly view: BoardView,
    private readonly stepOf: (id: string) => Step | undefined,
  ) {
    const area = need("view");
    area.addEventListener("pointerdown", (event) => this.down(event));
    area.addEventListener("pointermove", (event) => this.move(event));
    area.addEventListener("pointerup", (event) => this.up(event));
    area.addEventListener("pointercancel", (event) => this.up(event));
    area.addEventListener("dblclick", (event) => boxUnder(event) && this.editor.startRename());
  }

  /** Id of the step that follows the pointer. */
  get held(): string | undefined {
    return this.drag?.moved ? this.drag.id : undefined;
  }

  /** Moves the dragged step back to where it was. Returns whether one was dragged. */
  putBack(): boolean {
    const drag = this.drag;
    if (!drag?.moved) return false;
    this.editor.drag(drag.id, drag.from, drag.gesture);
    this.editor.drop();
    this.drag = undefined;
    return true;
  }

  private down(event: PointerEvent): void {
    if (event.button !== 0 || !(event.target instanceof Element) || event.target.closest("input"))
      return;
    const id = boxAt(event.target);
    const wire = event.target.closest<SVGGElement>(".wire");
    const start = { x: event.clientX, y: event.clientY };
    if (event.target.closest(".port") && id !== undefined && this.editor.wiring === undefined) {
      event.preventDefault();
      this.choose(id);
      this.editor.toggleWire(id);
      this.pull = { pointer: event.pointerId, start, moved: false };
      return need("view").setPointerCapture(event.pointerId);
    }
    if (id !== undefined && this.editor.wiring !== undefined && id !== this.editor.wiring) {
      event.preventDefault();
      return this.editor.wireTo(id);
    }
    const step = id === undefined ? undefined : this.stepOf(id);
    if (id !== undefined && step) {
      event.preventDefault();
      this.choose(id);
      const at = this.view.point(event.clientX, event.clientY);
      this.drag = {
        id,
        pointer: event.pointerId,
        gesture: newId(),
        grip: { x: at.x - step.x, y: at.y - step.y },
        start,
        from: { x: step.x, y: step.y },
        moved: false,
      };
      return need("view").setPointerCapture(event.pointerId);
    }
    if (wire) return wire.focus({ preventScroll: true });
    this.editor.stopWire();
    this.editor.select(undefined);
  }

  private move(event: PointerEvent): void {
    const { drag, pull } = this;
    const far = (start: Point) =>
      Math.hypot(event.clientX - start.x, event.clientY - start.y) > SLACK;
    const at = this.view.point(event.clientX, event.clientY);
    if (drag?.pointer === event.pointerId) {
      if (!drag.moved && !far(drag.start)) return;
      drag.moved = true;
      const place = { x: snapped(at.x - drag.grip.x), y: snapped(at.y - drag.grip.y) };
      this.editor.drag(drag.id, place, drag.gesture);
      this.view.reveal(place);
    } else if (pull?.pointer === event.pointerId) {
      pull.moved ||= far(pull.start);
      this.view.wires.pull(this.editor.wiring, at);
    } else if (this.editor.wiring !== undefined && event.pointerType === "mouse") {
      this.view.wires.pull(this.editor.wiring, at);
    }
  }

  private up(event: PointerEvent): void {
    if (this.drag?.pointer === event.pointerId) {
      if (this.drag.moved) this.editor.drop();
      this.drag = undefined;
    }
    if (this.pull?.pointer !== event.pointerId) return;
    const { moved } = this.pull;
    this.pull = undefined;
    // A tap on the dot: the next tap names the other end.
    if (!moved) return;
    const over = boxUnder(event);
    if (event.type === "pointerup" && over !== undefined && over !== this.editor.wiring)
      this.editor.wireTo(over, false);
    else this.editor.stopWire();
  }

  private choose(id: string): void {
    this.editor.select({ kind: "step", id });
    this.view.focus({ kind: "step", id });
  }
}

const boxAt = (target: EventTarget | null): string | undefined =>
  target instanceof Element ? target.closest<HTMLElement>(".step")?.dataset["id"] : undefined;

/**
 * Returns the step under the pointer. While the pointer is captured, the event's own target is the
 * board.
 */
const boxUnder = ({ clientX, clientY }: MouseEvent): string | undefined =>
  boxAt(document.elementFromPoint(clientX, clientY));

const snapped = (value: number): number => Math.round(value / GRID) * GRID;
