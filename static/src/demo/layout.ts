// Places the members in the drawing: the host in the middle, the others around it.

/**
 * Place of a member. `name`: distance of the name below the middle, negative if the line to the
 * host goes down. `letters`: number of letters of the name that have room.
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
/**
 * Angle at which the ring ends below the horizontal. It is open below the host, where the host's
 * name is.
 */
const LOW = Math.PI / 8;
/**
 * Place of a round trip on the line from the host, as a part of its length. It is clear of the
 * host's name.
 */
export const RTT_AT = 0.55;

/**
 * Maximum number of members in the ring. More could not be told apart; the list beside the drawing
 * has all.
 */
export const MOST = 48;
const LETTERS = { few: 14, many: 9 };
const FEW = 5;

/** Returns the places of the members. The first is the middle. */
export function spots(ids: readonly string[], host: string | undefined, me: string): Spot[] {
  // A member that does not know the host yet is shown in the middle.
  const middle = host !== undefined && ids.includes(host) ? host : me;
  // Sorted by id, so that all members see the same picture, in whatever order they hear of the
  // others.
  const sorted = ids.filter((id) => id !== middle).sort();
  const others = sorted.filter((id, index) => index < MOST || id === me);
  const count = others.length;
  const r = Math.max(4, Math.min(18, 260 / Math.max(1, count) - 1.5));
  const letters = count > FEW ? LETTERS.many : LETTERS.few;
  const low = count < 3 ? 0 : LOW;
  const around = others.map((id, index) => {
    // The ring runs from the left over the top to the right. A single member stands at the right.
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
