// Data channels between two nodes. They lose, repeat and reorder. Each end learns by itself that a channel is dead,
// or never.

import type { Wire } from "../src/group/index.ts";
import type { World } from "./world.ts";

export interface End {
  readonly id: string;
  linkUp(link: Link): void;
  linkDown(link: Link): void;
  linkHeard(link: Link, from: string, message: Wire): void;
  /** A ping has arrived, which shows that the other page runs. */
  linkPinged(link: Link, from: string): void;
}

export class Link {
  /** Whether nothing gets through, though both ends believe the channel open. */
  blocked = false;
  /** Time until which the channel was last blocked. */
  blockedUntil = -1;
  dead = false;
  /** When each end last heard the other, for the shell's own doubts. */
  readonly heard = new Map<string, number>();

  /** `a` dialled; `tookMs` is the duration of the dial. */
  constructor(
    readonly world: World,
    readonly a: End,
    readonly b: End,
    readonly tookMs: number,
  ) {}

  free(): void {
    if (this.blocked) this.blockedUntil = this.world.now;
    this.blocked = false;
  }

  other(end: string): End {
    return end === this.a.id ? this.b : this.a;
  }

  send(from: string, message: Wire): void {
    const { random, profile, clock, quiet } = this.world;
    if (this.dead || this.blocked) return;
    const to = this.other(from);
    if (!quiet && random.chance(profile.loss)) return;
    let delay = this.world.latency();
    if (!quiet && random.chance(profile.reorder)) delay += random.int(1, 200);
    const arrive = (): void => to.linkHeard(this, from, message);
    clock.after(delay, arrive);
    // A repeat may arrive long after: an old connection comes back to life with its backlog.
    if (!quiet && random.chance(profile.repeat))
      clock.after(delay + random.int(0, random.chance(0.1) ? 3000 : 300), arrive);
  }

  ping(from: string): void {
    const { random, profile, clock, quiet } = this.world;
    if (this.dead || this.blocked || (!quiet && random.chance(profile.loss))) return;
    clock.after(this.world.latency(), () => this.other(from).linkPinged(this, from));
  }

  /** The channel dies. Each end learns of it after so many ms; with -1 it never does, and keeps sending. */
  die(aMs: number, bMs: number): void {
    this.dead = true;
    if (aMs >= 0) this.world.clock.after(aMs, () => this.a.linkDown(this));
    if (bMs >= 0) this.world.clock.after(bMs, () => this.b.linkDown(this));
  }
}
