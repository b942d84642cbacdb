// The words of the board.

export type MemberId = string;

/** A box. `by` touched it last: whoever it was, the undo of others leaves it alone. */
export type Step = {
  readonly id: string;
  readonly name: string;
  readonly x: number;
  readonly y: number;
  readonly by: MemberId;
};

export type Wire = { readonly from: string; readonly to: string; readonly by: MemberId };

/** Something that was done, with all that its opposite needs. */
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

/** What one member did and has undone, newest last. */
export type Past = { readonly done: readonly Change[]; readonly undone: readonly Change[] };

/**
 * Never changed in place. Maps keep the order of insertion, which follows from the order of delivery, so two equal boards
 * are equal in order, too.
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
  /** Moves of one gesture are undone together. */
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
  /** Many at once: the example, or (`kept`, only onto an empty board) what this browser had when it was alone. */
  | {
      readonly do: "load";
      readonly steps: readonly Omit<Step, "by">[];
      readonly wires: readonly Omit<Wire, "by">[];
      readonly kept: boolean;
    }
  | { readonly do: "undo" | "redo" };

export const EMPTY: Board = { steps: new Map(), wires: new Map(), pasts: new Map() };

/** A box is drawn this large, at most this many are, and no further out than this. */
export const BOX = { width: 172, height: 56 };
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

/** No id holds a blank, so the two ends cannot be confused. */
export const wireId = (from: string, to: string): string => `${from} ${to}`;
