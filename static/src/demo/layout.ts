// Where the members stand in the drawing: the host in the middle, the others around it.

/**
 * `name`: how far below the middle its name stands; above it where the line to the host goes down. `letters`: so many of
 * it have room.
 */
export type Spot = {
  readonly id: string;
  readonly x: number;
  readonly y: number;
  readonly r: number;
  readonly name: number;
  readonly letters: number;
};

export const SIZE = { width: 360, height: 240 };
const MIDDLE = { x: SIZE.width / 2, y: 146 };
const RING = { x: 128, y: 104 };
export const HOST_R = 26;
/** Nobody stands below the host, where its name is: the ring is open there, and ends so far below the horizontal. */
const LOW = Math.PI / 8;
/** A round trip stands so far out on the way from the host: clear of the host's name. */
export const RTT_AT = 0.55;

/** More would not be told apart; the list beside the drawing names all. */
export const MOST = 48;
const LETTERS = { few: 14, many: 9 };
const FEW = 5;

export function spots(ids: readonly string[], host: string | undefined, me: string): Spot[] {
  // Who does not know the host yet is alone here.
  const middle = host !== undefined && ids.includes(host) ? host : me;
  // By id, so that everyone sees the same picture and nobody wanders when the others are told in another order.
  const sorted = ids.filter((id) => id !== middle).sort();
  const others = sorted.filter((id, index) => index < MOST || id === me);
  const count = others.length;
  const r = Math.max(4, Math.min(18, 260 / Math.max(1, count) - 1.5));
  const letters = count > FEW ? LETTERS.many : LETTERS.few;
  const low = count < 3 ? 0 : LOW;
  const around = others.map((id, index) => {
    // From the left over the top to the right; one alone stands at the right.
    const angle = count === 1 ? 0 : Math.PI - low + ((Math.PI + 2 * low) * index) / (count - 1);
    const [x, y] = [
      round(MIDDLE.x + RING.x * Math.cos(angle)),
      round(MIDDLE.y + RING.y * Math.sin(angle)),
    ];
    return {
      id,
      x,
      y,
      r: round(r),
      name: y < MIDDLE.y - r ? -round(r + 7) : round(r + 15),
      letters,
    };
  });
  return [{ id: middle, ...MIDDLE, r: HOST_R, name: HOST_R + 16, letters: LETTERS.few }, ...around];
}

const round = (value: number): number => Math.round(value * 10) / 10;
