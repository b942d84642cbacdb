// Dragging is many small moves. Each is shown at once; some fifteen a second are sent, and always the last.
import type { SharedBoard } from "./shared.ts";
import type { Operation, Point } from "./model/types.ts";

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
    // Another box's last place must not be lost to this one's first.
    if (this.next?.do === "move" && (this.next.id !== id || this.next.gesture !== gesture))
      this.flush();
    this.next = { do: "move", id, x, y, gesture };
    this.shared.preview(this.next);
    this.tick();
  }

  /** The gesture is over: its last place goes out now. */
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
