// The shared board. The settled board has the operations that were delivered, in the group's order.
// The shown board has this member's pending operations on top; each is removed from there when it
// is delivered.
import type { OrderedGroup } from "./group.ts";
import { boardIn, packed } from "./model/read.ts";
import { reduce, type Outcome } from "./model/reduce.ts";
import { EMPTY, type Board, type Operation } from "./model/types.ts";

type Pending = { readonly n: number; readonly operation: Operation };

export type SharedEvents = {
  changed(): void;
  /** An operation of this member could not be sent. */
  failed(error: unknown): void;
};

export class SharedBoard {
  private settledBoard: Board = EMPTY;
  private pending: Pending[] = [];
  private overlay: Operation | undefined;
  private shown: Board | undefined;
  private count = 0;

  constructor(
    private readonly group: Pick<OrderedGroup, "id" | "send">,
    private readonly events: SharedEvents,
  ) {}

  /**
   * The board to show: the settled board, this member's pending operations, and the preview of a
   * drag.
   */
  get board(): Board {
    const mine = [
      ...this.pending.map(({ operation }) => operation),
      ...(this.overlay ? [this.overlay] : []),
    ];
    this.shown ??= mine.reduce(
      (board, operation) => reduce(board, this.group.id, operation).board,
      this.settledBoard,
    );
    return this.shown;
  }

  /** The board with all operations that were delivered. */
  get delivered(): Board {
    return this.settledBoard;
  }

  /** Number of pending operations. */
  get waiting(): number {
    return this.pending.length;
  }

  /** Returns whether a step or wire is shown differently from the settled board. */
  differs(id: string): boolean {
    const { steps, wires } = this.board;
    return (
      steps.get(id) !== this.settledBoard.steps.get(id) ||
      wires.get(id) !== this.settledBoard.wires.get(id)
    );
  }

  /** Does an operation of this member: shows it at once, and sends it. */
  do(operation: Operation): void {
    const n = ++this.count;
    this.pending.push({ n, operation });
    this.changed();
    this.group.send({ type: "do", n, operation }).then(
      // A snapshot may contain the operation; then it is not delivered by itself.
      () => this.settle(n),
      (error: unknown) => {
        this.settle(n);
        this.events.failed(error);
      },
    );
  }

  /** Shows an operation on this page only, until the next preview. */
  preview(operation: Operation | undefined): void {
    this.overlay = operation;
    this.changed();
  }

  /** Takes the next operation in the group's order. */
  deliver(from: string, n: number, operation: Operation): Outcome {
    if (from === this.group.id) this.pending = this.pending.filter((mine) => mine.n !== n);
    const outcome = reduce(this.settledBoard, from, operation);
    this.settledBoard = outcome.board;
    this.changed();
    return outcome;
  }

  snapshot(): unknown {
    return packed(this.settledBoard);
  }

  restore(state: unknown): void {
    this.settledBoard = boardIn(state);
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
