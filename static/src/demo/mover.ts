// Limits the moves of a drag: each is shown at once, about fifteen a second are sent, and always
// the last.
import type { SharedBoard } from "./shared.ts";
import type { Operation, Point } from "./model/types.ts";

/** Interval between two moves that are sent. */
const EVERY_MS = 70;

export type Clock = { now(): number; later(then: () => void, ms: number): unknown };

const real: Clock = { now: () => performance.now(), later: (then, ms) => setTimeout(then, ms) };

export class Mover {
  private next: Operation | undefined;
  private sentAt = -Infinity;
  private timing = false;

  constructor(
    private readonly shared: Pick<SharedBoard, "do" | "preview">,
    private readonly clock: Clock = real,
  ) {}

  move(id: string, { x, y }: Point, gesture: string): void {
    // The last place of another step must not be replaced by the first place of this one.
    if (this.next?.do === "move" && (this.next.id !== id || this.next.gesture !== gesture))
      this.flush();
    this.next = { do: "move", id, x, y, gesture };
    this.shared.preview(this.next);
    this.tick();
  }

  /** Ends a gesture: sends the last place now. */
  flush(): void {
    const { next } = this;
    this.next = undefined;
    if (!next) return;
    this.sentAt = this.clock.now();
    this.shared.do(next);
    this.shared.preview(undefined);
  }

  private tick(): void {
    const wait = this.sentAt + EVERY_MS - this.clock.now();
    if (wait <= 0) return this.flush();
    if (this.timing) return;
    this.timing = true;
    this.clock.later(() => {
      this.timing = false;
      if (this.next) this.tick();
    }, wait);
  }
}
