// Steps that people of the field know, and an example workflow made of them.
import { BOX, type Operation } from "./model/types.ts";

export const PRESETS = ["Load DICOM", "Skull strip", "Register to MNI", "Smooth 6 mm", "GLM"];

/** Distance of steps in a row and column. */
export const PITCH = { x: BOX.width + 56, y: BOX.height + 52 };
export const MARGIN = 28;

/**
 * Returns the operation that adds the example. Its rows alternate in direction and fit into
 * `width`.
 */
export function example(width: number, newId: () => string): Operation {
  const columns = width >= MARGIN + 3 * PITCH.x ? 3 : 2;
  const names = [
    "Load DICOM",
    "Skull strip",
    "Register to MNI",
    "Smooth 6 mm",
    "GLM",
    "Design matrix",
  ];
  const steps = names.map((name, index) => {
    const row = Math.floor(index / columns);
    const along = index % columns;
    const column = row % 2 === 0 ? along : columns - 1 - along;
    return { id: newId(), name, x: MARGIN + column * PITCH.x, y: MARGIN + row * PITCH.y };
  });
  const id = (index: number) => steps[index]!.id;
  const wires = [
    [0, 1],
    [1, 2],
    [2, 3],
    [3, 4],
    [5, 4],
  ].map(([from, to]) => ({ from: id(from!), to: id(to!) }));
  return { do: "load", steps, wires, kept: false };
}
