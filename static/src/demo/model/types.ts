// The types of the board.

export type MemberId = string;

/** A step. `by`: the member that changed it last. The undo of others leaves it alone. */
export type Step = {
  readonly id: string;
  readonly name: string;
  readonly x: number;
  readonly y: number;
  readonly by: MemberId;
};

export type Wire = { readonly from: string; readonly to: string; readonly by: MemberId };

/** A change that was made, with all that undoing it needs. */
export type Change =
  | {
      readonly kind: "placed" | "taken";
      readonly steps: readonly Step[];
      readonly wires: readonly Wire[];
    }
  | {
      readonly kind: "moved";
      readonly id: string;
      readonly from: Point;
      readonly to: Point;
      readonly gesture: string;
    }
  | { readonly kind: "renamed"; readonly id: string; readonly from: string; readonly to: string };

export type Point = { readonly x: number; readonly y: number };

/** Changes that one member made and undid, newest last. */
export type Past = { readonly done: readonly Change[]; readonly undone: readonly Change[] };

/**
 * The board. It is never changed in place. Maps keep the order of insertion, which follows the
 * order of delivery, so equal boards have the same order.
 */
export type Board = {
  readonly steps: ReadonlyMap<string, Step>;
  readonly wires: ReadonlyMap<string, Wire>;
  readonly pasts: ReadonlyMap<MemberId, Past>;
};

export type Operation =
  | {
      readonly do: "add";
      readonly id: string;
      readonly name: string;
      readonly x: number;
      readonly y: number;
    }
  /** Moves with the same `gesture` are undone together. */
  | {
      readonly do: "move";
      readonly id: string;
      readonly x: number;
      readonly y: number;
      readonly gesture: string;
    }
  | { readonly do: "rename"; readonly id: string; readonly name: string }
  | { readonly do: "remove"; readonly id: string }
  | { readonly do: "connect" | "disconnect"; readonly from: string; readonly to: string }
  /**
   * Adds many steps: the example, or, with `kept` and only to an empty board, the stored board of
   * the browser.
   */
  | {
      readonly do: "load";
      readonly steps: readonly Omit<Step, "by">[];
      readonly wires: readonly Omit<Wire, "by">[];
      readonly kept: boolean;
    }
  | { readonly do: "undo" | "redo" };

export const EMPTY: Board = { steps: new Map(), wires: new Map(), pasts: new Map() };

/** Size of a step on the board, in pixels. */
export const BOX = { width: 172, height: 56 };
/**
 * Maximum numbers of things, lengths of texts, and coordinates. `past`: changes kept for each of
 * `pasts` members.
 */
export const LIMITS = {
  steps: 300,
  wires: 900,
  name: 80,
  id: 64,
  x: 6000,
  y: 4000,
  past: 40,
  pasts: 64,
};

/** Returns the id of a wire. No step's id contains a blank, so it is unique. */
export const wireId = (from: string, to: string): string => `${from} ${to}`;
