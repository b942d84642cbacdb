// Where the members stand in the drawing: the host in the middle, the others around it.

/** `name`: how far below the middle its name stands; above it where the line to the host goes down. */
export type Spot = { readonly id: string; readonly x: number; readonly y: number; readonly r: number; readonly name: number };

export const SIZE = { width: 360, height: 240 };
const MIDDLE = { x: SIZE.width / 2, y: 116 };
const RING = { x: 128, y: 80 };
export const HOST_R = 26;

/** More would not be told apart; the list beside the drawing names all. */
export const MOST = 48;

export function spots(ids: readonly string[], host: string | undefined, me: string): Spot[] {
  // By id, so that everyone sees the same picture and nobody wanders when the others are told in another order.
  const sorted = ids.filter((id) => id !== host).sort();
  const others = sorted.filter((id, index) => index < MOST || id === me);
  const r = Math.max(4, Math.min(18, 320 / Math.max(1, others.length) - 3));
  // Nobody straight below the host: its name is there.
  const count = others.length;
  const first = count === 1 ? 0 : count % 2 === 1 ? -Math.PI / 2 : Math.PI / count - Math.PI / 2;
  const around = others.map((id, index) => {
    const angle = first + (2 * Math.PI * index) / count;
    const [x, y] = [round(MIDDLE.x + RING.x * Math.cos(angle)), round(MIDDLE.y + RING.y * Math.sin(angle))];
    return { id, x, y, r: round(r), name: y < MIDDLE.y - r ? -round(r + 6) : round(r + 14) };
  });
  return host !== undefined && ids.includes(host) ? [{ id: host, ...MIDDLE, r: HOST_R, name: HOST_R + 14 }, ...around] : around;
}

const round = (value: number): number => Math.round(value * 10) / 10;
