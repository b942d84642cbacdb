// A WebSocket between a node and the server. It is ordered and complete while it lives; what is under way when it
// dies is lost. Either end may notice the death late, or be cut off without noticing.

import type { ServerMessage } from "../src/socket-types.ts";
import type { World } from "./world.ts";

/** The way in which the server's end of a socket ends. `again`: the client closed it to dial again. */
export type SocketEnd = "goodbye" | "going-away" | "lost" | "again";

/** Code of a close without a close frame: the connection was lost. */
const LOST = 1006;

export class Socket {
  /** Whether the socket is open, as each end sees it. */
  clientOpen = true;
  serverOpen = true;
  /** Whether nothing gets through any more, and nobody knows. */
  #cut = false;
  #upAt = 0;
  #downAt = 0;
  /** Takes a text frame of the client, at the server. */
  onText: (text: string) => void = () => {};
  onDown: (message: ServerMessage) => void = () => {};
  onCut: () => void = () => {};
  onClientClose: (code: number) => void = () => {};
  onServerClose: (end: SocketEnd) => void = () => {};

  constructor(
    readonly world: World,
    readonly id: string,
  ) {}

  get cut(): boolean {
    return this.#cut;
  }

  /** Sends a message of the client, as the text of one frame. */
  send(type: string, payload?: unknown, dst?: string): void {
    const { clock } = this.world;
    if (!this.clientOpen || this.#cut) return;
    const text = JSON.stringify({ type, dst, payload });
    this.#upAt = Math.max(this.#upAt, clock.now + this.world.latency());
    clock.at(this.#upAt, () => {
      if (this.serverOpen && !this.#cut) this.onText(text);
    });
  }

  /** Sends a message of the server; `extraMs` later than its turn. */
  down(message: ServerMessage, extraMs = 0): void {
    const { clock } = this.world;
    if (!this.serverOpen || this.#cut) return;
    this.#downAt = Math.max(this.#downAt, clock.now + this.world.latency());
    clock.at(this.#downAt + extraMs, () => {
      if (this.clientOpen && !this.#cut) this.onDown(message);
    });
  }

  /** Lets nothing through any more, and tells nobody. */
  cutOff(): void {
    if (this.#cut) return;
    this.#cut = true;
    this.onCut();
  }

  /** The socket dies; each end learns of it after so long. */
  die(clientMs: number, serverMs: number, end: SocketEnd = "lost"): void {
    this.cutOff();
    this.world.clock.after(clientMs, () => this.closeClient());
    this.world.clock.after(serverMs, () => this.closeServer(end));
  }

  /** The server closes the socket; its close frame follows what it sent before. */
  dismiss(code: number): void {
    const { clock } = this.world;
    if (!this.serverOpen) return;
    this.serverOpen = false;
    this.#downAt = Math.max(this.#downAt, clock.now + this.world.latency());
    clock.at(this.#downAt, () => {
      if (!this.#cut) this.closeClient(code);
    });
  }

  closeClient(code = LOST): void {
    if (!this.clientOpen) return;
    this.clientOpen = false;
    this.onClientClose(code);
  }

  closeServer(end: SocketEnd): void {
    if (!this.serverOpen) return;
    this.serverOpen = false;
    this.onServerClose(end);
  }
}
