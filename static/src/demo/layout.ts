// Where the members stand in the drawing: the host in the middle, the others around it.

export type Spot = { readonly id: string; readonly x: number; readonly y: number; readonly r: number };

export const SIZE = { width: 360, height: 240 };
const MIDDLE = { x: SIZE.width / 2, y: 112 };
const RING = { x: 128, y: 80 };
export const HOST_R = 26;

/** More would not be told apart; the list beside the drawing names all. */
export const MOST = 48;

export function spots(ids: readonly string[], host: string | undefined, me: string): Spot[] {
  // By id, so that everyone sees the same picture and nobody wanders when the others are told in another order.
  const sorted = ids.filter((id) => id !== host).sort();
  const others = sorted.filter((id, index) => index < MOST || id === me);
  const r = Math.max(4, Math.min(18, 320 / Math.max(1, others.length) - 3));
  const around = others.map((id, index) => {
    const angle = (Math.PI * (2 * index + 1)) / others.length - Math.PI / 2;
    return { id, x: round(MIDDLE.x + RING.x * Math.cos(angle)), y: round(MIDDLE.y + RING.y * Math.sin(angle)), r: round(r) };
  });
  return host !== undefined && ids.includes(host) ? [{ id: host, ...MIDDLE, r: HOST_R }, ...around] : around;
}

const round = (value: number): number => Math.round(value * 10) / 10;
