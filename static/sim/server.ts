// A model of the server: sockets come and go, its one page may die and be made anew, and so may the whole server.

import { Page, type Annals, type Departure } from "./page.ts";
import { Session, type Claim, type ServerSocket } from "./session.ts";
import type { World } from "./world.ts";

export class Server {
  readonly #world: World;
  readonly #sessions = new Set<Session>();
  readonly #annals: Annals = { ended: new Map(), hosts: new Map() };
  #page: Page | undefined;
  up = true;

  constructor(world: World) {
    this.#world = world;
  }

  get host(): string | undefined {
    return this.#page?.host;
  }

  get epoch(): number {
    return this.#page?.epoch ?? 0;
  }

  /** When an epoch's host was replaced: what the checks take for the truth. */
  get ended(): ReadonlyMap<number, number> {
    return this.#annals.ended;
  }

  get steady(): boolean {
    return this.up && this.host !== undefined;
  }

  connect(
    id: string,
    group: boolean,
    claim: Claim | undefined,
    socket: ServerSocket,
    mayRelay = true,
  ): void {
    if (!this.up) return socket.closeClient();
    const session = new Session(this.#world, id, group, socket, (gone, departure) =>
      this.#left(gone, departure),
    );
    session.mayRelay = mayRelay;
    this.#sessions.add(session);
    if (!this.#page || this.#page.idle)
      this.#page = new Page(this.#world, this.#annals, this.#page?.die());
    this.#page.join(session, claim, false);
  }

  #left(session: Session, departure: Departure): void {
    this.#sessions.delete(session);
    session.page?.gone(session, departure);
  }

  /** The page's actor dies; a successor is made, and those who were members say what they know. */
  losePage(): void {
    const old = this.#page;
    if (!old) return;
    this.#page = new Page(this.#world, this.#annals, old.die());
    const page = this.#page;
    for (const session of this.#sessions) {
      if (session.page !== old) continue;
      session.page = undefined;
      this.#world.clock.after(this.#world.random.int(0, 40), () => {
        // Unless that page died, too, or the session found another.
        if (this.#page === page && session.page === undefined) session.resumed(page);
      });
    }
  }

  /** A hidden host gives way without having asked for it. */
  relieve(): void {
    this.#page?.relieve();
  }

  /** Its process ends, and another begins after `downMs`, with a clock that may be further back. */
  restart(downMs: number, backMs: number): void {
    const { clock, random, now, server } = this.#world;
    this.up = false;
    if (this.host !== undefined) this.#annals.ended.set(this.epoch, now);
    this.#page?.die();
    this.#page = undefined;
    for (const session of this.#sessions) {
      session.open = false;
      session.socket.die(random.int(0, 300), 0);
    }
    this.#sessions.clear();
    clock.after(downMs, () => {
      this.up = true;
      server.beganAt = clock.now;
      server.backMs += backMs;
    });
  }
}
