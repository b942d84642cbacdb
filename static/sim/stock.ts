// A stock PeerJS client on the page. It is a member, may host while there is no group member, and understands nothing.

import type { Server } from "./server.ts";
import { Socket } from "./socket.ts";
import type { World } from "./world.ts";

export class Stock {
  /** Whether the client is there. It leaves with its socket: stock clients do not come back by themselves. */
  here = true;
  readonly #socket: Socket;

  constructor(
    readonly id: string,
    readonly world: World,
    server: Server,
  ) {
    this.#socket = new Socket(world, id);
    this.#socket.onClientClose = () => (this.here = false);
    world.clock.after(world.latency(), () => {
      if (!this.here) return;
      server.connect({ id, token: `${id}'s`, group: 0, relay: true, claim: null }, this.#socket);
    });
  }

  leave(goodbye: boolean): void {
    this.here = false;
    this.#socket.clientOpen = false;
    this.world.clock.after(this.world.random.int(1, 60), () =>
      this.#socket.closeServer(goodbye ? "goodbye" : "lost"),
    );
  }
}
