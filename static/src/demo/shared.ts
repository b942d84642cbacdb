// The board of the group: the truth is what was delivered, in its order; what is shown has my own operations on top that
// are still on their way. When they come back, the truth has them and the preview lets go of them.
import type { OrderedGroup } from "./group.ts";
import { boardIn, packed } from "./model/read.ts";
import { reduce, type Outcome } from "./model/reduce.ts";
import { EMPTY, type Board, type Operation } from "./model/types.ts";

type Pending = { readonly n: number; readonly operation: Operation };

export type SharedEvents = {
  changed(): void;
  /** One of mine was refused for good. */
  failed(error: unknown): void;
};

export class SharedBoard {
  private truth: Board = EMPTY;
  private pending: Pending[] = [];
  private overlay: Operation | undefined;
  private shown: Board | undefined;
  private count = 0;

  constructor(
    private readonly group: Pick<OrderedGroup, "id" | "send">,
    private readonly events: SharedEvents,
  ) {}

  /** What to show: the truth, then mine in the order I made them, then what I am just dragging. */
  get board(): Board {
    const mine = [
      ...this.pending.map(({ operation }) => operation),
      ...(this.overlay ? [this.overlay] : []),
    ];
    this.shown ??= mine.reduce(
      (board, operation) => reduce(board, this.group.id, operation).board,
      this.truth,
    );
    return this.shown;
  }

  get delivered(): Board {
    return this.truth;
  }

  get waiting(): number {
    return this.pending.length;
  }

  /** Whether a step or a wire is shown as it is not yet in truth. */
  differs(id: string): boolean {
    const { steps, wires } = this.board;
    return steps.get(id) !== this.truth.steps.get(id) || wires.get(id) !== this.truth.wires.get(id);
  }

  /** Mine: shown at once, sent, and true once it comes back. */
  do(operation: Operation): void {
    const n = ++this.count;
    this.pending.push({ n, operation });
    this.changed();
    this.group.send({ type: "do", n, operation }).then(
      // A snapshot may have brought it in without its being delivered by itself.
      () => this.settle(n),
      (error: unknown) => {
        this.settle(n);
        this.events.failed(error);
      },
    );
  }

  /** Shown only here, until the next one or none. */
  preview(operation: Operation | undefined): void {
    this.overlay = operation;
    this.changed();
  }

  /** The next in the group's order. */
  deliver(from: string, n: number, operation: Operation): Outcome {
    if (from === this.group.id) this.pending = this.pending.filter((mine) => mine.n !== n);
    const outcome = reduce(this.truth, from, operation);
    this.truth = outcome.board;
    this.changed();
    return outcome;
  }

  snapshot(): unknown {
    return packed(this.truth);
  }

  restore(state: unknown): void {
    this.truth = boardIn(state);
    this.changed();
  }

  private settle(n: number): void {
    const left = this.pending.filter((mine) => mine.n !== n);
    if (left.length === this.pending.length) return;
    this.pending = left;
    this.changed();
  }

  private changed(): void {
    this.shown = undefined;
    this.events.changed();
  }
}
