// Shows the board: its steps and wires, its size and its scale.
import { need } from "./dom.ts";
import type { Editor, Selection } from "./editor.ts";
import { Glide } from "./glide.ts";
import { BOX, type Board, type Point } from "./model/types.ts";
import type { View } from "./free-place.ts";
import type { SharedBoard } from "./shared.ts";
import { StepView, type StepEvents } from "./step-view.ts";
import { WireView } from "./wire-view.ts";

/** Space right of and below the last step, in pixels of the board. */
const AROUND = 40;
/** Scale at which names are still readable. */
const READABLE = 0.75;
/** Scale at which the largest board fits on a phone. */
const SMALLEST = 0.05;
const EASE_MS = 60;

export class BoardView {
  readonly wires: WireView;
  readonly steps: StepView;
  private readonly view = need("view");
  private readonly sizer = need("sizer");
  private readonly surface = need("surface");
  private readonly glide: Glide;
  private scale = 1;
  /** Lower bound of the scale. */
  private least = 1;
  private extent = { width: 0, height: 0 };

  constructor(events: StepEvents) {
    this.glide = new Glide((ids) => {
      this.steps.draw(ids);
      this.wires.draw(ids);
    }, EASE_MS);
    this.steps = new StepView(this.glide, events);
    this.wires = new WireView(this.glide);
    new ResizeObserver(() => this.size()).observe(this.view);
  }

  /** Shows the board. `held`: id of the step that follows the pointer without delay. */
  render(shared: SharedBoard, editor: Editor, held: string | undefined): void {
    const { board } = shared;
    const waiting = (id: string) => shared.differs(id);
    const wasEmpty = this.extent.width === 0;
    this.steps.render(board, held);
    this.wires.render(board);
    this.steps.state(editor.selected?.id, editor.wiring, editor.renaming, waiting);
    this.wires.state(editor.selected?.id, waiting);
    this.extent = extentOf(board);
    // A board that is larger than the window is first shown smaller.
    if (wasEmpty && this.extent.width > this.view.clientWidth) this.least = READABLE;
    this.size();
  }

  /** Whether the whole board is kept in view. */
  get isFitted(): boolean {
    return this.least < 1 && this.scale <= this.fit;
  }

  toggleFit(): void {
    this.least = this.isFitted ? 1 : SMALLEST;
    this.size();
    if (this.isFitted) this.view.scrollTo(0, 0);
  }

  /** Converts a place in the window to a place on the board. */
  point(clientX: number, clientY: number): Point {
    const { left, top } = this.surface.getBoundingClientRect();
    return { x: (clientX - left) / this.scale, y: (clientY - top) / this.scale };
  }

  visible(): View {
    const { scrollLeft, scrollTop, clientWidth, clientHeight } = this.view;
    return {
      x: scrollLeft / this.scale,
      y: scrollTop / this.scale,
      width: clientWidth / this.scale,
      height: clientHeight / this.scale,
    };
  }

  focus(selection: Selection | undefined): void {
    const target =
      selection &&
      (selection.kind === "step" ? this.steps.box(selection.id) : this.wires.group(selection.id));
    (target ?? this.view).focus({ preventScroll: true });
  }

  /** Scrolls the board, but not the window, until a step at this place is in view. */
  reveal({ x, y }: Point): void {
    const edge = 12;
    const [left, top] = [x * this.scale - edge, y * this.scale - edge];
    const [right, bottom] = [
      (x + BOX.width) * this.scale + edge,
      (y + BOX.height) * this.scale + edge,
    ];
    const { view } = this;
    if (left < view.scrollLeft) view.scrollLeft = left;
    else if (right > view.scrollLeft + view.clientWidth) view.scrollLeft = right - view.clientWidth;
    if (top < view.scrollTop) view.scrollTop = top;
    else if (bottom > view.scrollTop + view.clientHeight)
      view.scrollTop = bottom - view.clientHeight;
  }

  /** Scale at which the whole board is in view, 1 at most. */
  private get fit(): number {
    return Math.min(
      1,
      this.view.clientWidth / Math.max(1, this.extent.width),
      this.view.clientHeight / Math.max(1, this.extent.height),
    );
  }

  private size(): void {
    const [width, height] = [this.view.clientWidth, this.view.clientHeight];
    this.scale = Math.max(this.least, this.fit);
    const full = {
      width: Math.max(width / this.scale, this.extent.width),
      height: Math.max(height / this.scale, this.extent.height),
    };
    this.surface.style.width = `${full.width}px`;
    this.surface.style.height = `${full.height}px`;
    this.surface.style.transform = this.scale === 1 ? "" : `scale(${this.scale})`;
    this.sizer.style.width = `${Math.floor(full.width * this.scale)}px`;
    this.sizer.style.height = `${Math.floor(full.height * this.scale)}px`;
  }
}

function extentOf({ steps }: Board): { width: number; height: number } {
  if (steps.size === 0) return { width: 0, height: 0 };
  const all = [...steps.values()];
  return {
    width: Math.max(...all.map(({ x }) => x)) + BOX.width + AROUND,
    height: Math.max(...all.map(({ y }) => y)) + BOX.height + AROUND,
  };
}
