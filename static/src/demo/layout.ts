// Where the members stand in the drawing: the host in the middle, the others on a circle around it.

export type Spot = { id: string; x: number; y: number; r: number };

export const SIZE = 400;
const MIDDLE = SIZE / 2;
export const RING = 152;

export function spots(ids: readonly string[], host: string): Spot[] {
  // By id, so that everyone sees the same picture and nobody wanders when the roster is told in another order.
  const others = ids.filter((id) => id !== host).sort();
  const r = Math.max(5, Math.min(30, (Math.PI * RING) / Math.max(1, others.length) - 4));
  const around = others.map((id, index) => {
    const angle = (Math.PI * (2 * index + 1)) / others.length - Math.PI / 2;
    return { id, x: round(MIDDLE + RING * Math.cos(angle)), y: round(MIDDLE + RING * Math.sin(angle)), r: round(r) };
  });
  return [{ id: host, x: MIDDLE, y: MIDDLE, r: 44 }, ...around];
}

const round = (value: number): number => Math.round(value * 10) / 10;
