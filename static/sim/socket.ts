// A WebSocket between a node and the server: ordered and whole while it lives; what is under way when it dies is lost.
// Either end may notice the death late, or be cut off without noticing at all.

import type { World } from "./world.ts";

export class Socket<Up, Down> {
  /** As each end sees it. */
  clientOpen = true;
  serverOpen = true;
  /** Nothing gets through, and nobody knows. */
  cut = false;
  #upAt = 0;
  #downAt = 0;
  onUp: (message: Up) => void = () => {};
  onDown: (message: Down) => void = () => {};
  onClientClose: () => void = () => {};
  /** Its client may have said goodbye. */
  onServerClose: (goodbye: boolean) => void = () => {};

  constructor(
    readonly world: World,
    readonly id: string,
  ) {}

  up(message: Up, extra = 0): void {
    const { clock } = this.world;
    if (!this.clientOpen || this.cut) return;
    const at = Math.max(this.#upAt, clock.now + this.world.latency());
    this.#upAt = at;
    clock.at(at + extra, () => {
      if (this.serverOpen && !this.cut) this.onUp(message);
    });
  }

  down(message: Down, extra = 0): void {
    const { clock } = this.world;
    if (!this.serverOpen || this.cut) return;
    const at = Math.max(this.#downAt, clock.now + this.world.latency());
    this.#downAt = at;
    clock.at(at + extra, () => {
      if (this.clientOpen && !this.cut) this.onDown(message);
    });
  }

  /** The socket dies; each end learns of it after so long. */
  die(clientMs: number, serverMs: number): void {
    this.cut = true;
    this.world.clock.after(clientMs, () => this.closeClient());
    this.world.clock.after(serverMs, () => this.closeServer());
  }

  closeClient(): void {
    if (!this.clientOpen) return;
    this.clientOpen = false;
    this.onClientClose();
  }

  closeServer(goodbye = false): void {
    if (!this.serverOpen) return;
    this.serverOpen = false;
    this.onServerClose(goodbye);
  }
}
