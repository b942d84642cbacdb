// Animates moves: those of other members arrive in small hops and are shown as one motion.
import type { Point } from "./model/types.ts";

/** Distance in pixels at which a motion ends. */
const CLOSE = 0.4;

export class Glide {
  private readonly at = new Map<string, Point>();
  private readonly goals = new Map<string, Point>();
  private running = false;
  private last = 0;

  /**
   * `draw` gets the ids of what has moved. `tauMs`: time after which about a third of the way is
   * left.
   */
  constructor(
    private readonly draw: (ids: ReadonlySet<string>) => void,
    private readonly tauMs: number,
  ) {}

  /** Returns where something is shown now. */
  now(id: string): Point | undefined {
    return this.at.get(id);
  }

  /** Moves something to a place: at once with `jump` or if it is new, else as a motion. */
  to(id: string, goal: Point, jump: boolean): void {
    const from = this.at.get(id);
    if (jump || !from || calm.matches) {
      this.goals.delete(id);
      this.at.set(id, goal);
      if (!from || from.x !== goal.x || from.y !== goal.y) this.draw(new Set([id]));
      return;
    }
    if (from.x === goal.x && from.y === goal.y) return void this.goals.delete(id);
    this.goals.set(id, goal);
    this.run();
  }

  drop(id: string): void {
    this.at.delete(id);
    this.goals.delete(id);
  }

  private run(): void {
    if (this.running) return;
    this.running = true;
    this.last = performance.now();
    requestAnimationFrame((now) => this.frame(now));
  }

  private frame(now: number): void {
    const part = 1 - Math.exp(-Math.max(0, now - this.last) / this.tauMs);
    this.last = now;
    const moved = new Set(this.goals.keys());
    for (const [id, goal] of this.goals) {
      const { x, y } = this.at.get(id)!;
      const next = { x: x + (goal.x - x) * part, y: y + (goal.y - y) * part };
      const there = Math.hypot(goal.x - next.x, goal.y - next.y) < CLOSE;
      this.at.set(id, there ? goal : next);
      if (there) this.goals.delete(id);
    }
    this.draw(moved);
    if (this.goals.size === 0) this.running = false;
    else requestAnimationFrame((later) => this.frame(later));
  }
}

/** Matches for people who ask for less motion. They get none. */
export const calm: Pick<MediaQueryList, "matches"> =
  typeof matchMedia === "function"
    ? matchMedia("(prefers-reduced-motion: reduce)")
    : { matches: true };
