// The server's end of one WebSocket (src/actor/session.rs), and the words it exchanges.

import type { HostPayload, OpenPayload, RosterEntry, Wire } from "../src/group/index.ts";
import type { Departure, Page } from "./page.ts";
import type { Socket } from "./socket.ts";
import type { World } from "./world.ts";

export interface Claim {
  readonly epoch: number;
  readonly host: string;
}

export type Up =
  | { readonly kind: "relay"; readonly to?: string; readonly message: Wire }
  | {
      readonly kind: "status";
      readonly relay?: boolean;
      readonly profile?: string;
      readonly channels?: ReadonlyMap<string, number>;
    }
  | { readonly kind: "suspect" | "trust"; readonly host: string; readonly epoch: number }
  | { readonly kind: "resign"; readonly epoch: number; readonly to?: string }
  | { readonly kind: "heartbeat"; readonly token: number }
  | { readonly kind: "probed" };

export type Down =
  | { readonly kind: "open"; readonly open: OpenPayload }
  | { readonly kind: "host"; readonly host: HostPayload }
  | { readonly kind: "join"; readonly member: RosterEntry }
  | { readonly kind: "deputy"; readonly deputy: string | undefined }
  | { readonly kind: "leave"; readonly id: string; readonly lost: boolean }
  | { readonly kind: "relay"; readonly from: string; readonly message: Wire }
  | { readonly kind: "heartbeat"; readonly token: number }
  | { readonly kind: "probe" };

export type ServerSocket = Socket<Up, Down>;

export class Session {
  /** None while its page's actor is dead: what it says is kept until there is one again. */
  page: Page | undefined;
  /** What it was last told. */
  assignment: Claim | undefined;
  relay = true;
  profile: string | undefined;
  /** The channels it has to host and deputy, and how long each dial took. */
  channels: ReadonlyMap<string, number> = new Map();
  /** Frames its page's code has sent. */
  spoken = 0;
  /** Its page's code was found not to run: it is elected last until it says something. */
  stalled = false;
  /** Most could not reach it when it hosted. */
  outOfReach = false;
  open = true;
  /** By its ticket. */
  mayRelay = true;
  #early: Up[] = [];

  constructor(
    readonly world: World,
    readonly id: string,
    readonly group: boolean,
    readonly socket: ServerSocket,
    readonly left: (session: Session, departure: Departure) => void,
  ) {
    socket.onUp = (message) => this.#take(message);
    socket.onServerClose = (goodbye) =>
      this.#closed(goodbye ? "goodbye" : world.random.chance(0.3) ? "silent" : "lost");
  }

  down(message: Down, extra = 0): void {
    this.socket.down(message, extra);
  }

  /** A newer socket has its id. */
  replaced(): void {
    this.open = false;
    this.socket.closeServer();
    this.socket.closeClient();
  }

  resumed(page: Page): void {
    if (!this.open) return;
    page.join(this, this.assignment, true);
    for (const message of this.#early.splice(0)) this.#take(message);
  }

  #closed(departure: Departure): void {
    if (!this.open) return;
    this.open = false;
    this.left(this, departure);
  }

  #take(message: Up): void {
    if (!this.open) return;
    this.spoken++;
    this.stalled = false;
    // Answered without the page.
    if (message.kind === "heartbeat") return this.down({ kind: "heartbeat", token: message.token });
    const { page } = this;
    if (!page) return void this.#early.push(message);
    switch (message.kind) {
      case "relay":
        this.#relay(page, message.to, message.message);
        break;
      case "status":
        this.relay = message.relay ?? this.relay;
        if (message.channels) {
          const before = this.channels;
          this.channels = message.channels;
          page.linked(this, before);
        }
        if (message.profile === undefined || message.profile === this.profile) break;
        this.profile = message.profile;
        page.renamed(this);
        break;
      case "suspect":
        page.suspect(this, message.host, message.epoch);
        break;
      case "trust":
        page.trust(this, message.host, message.epoch);
        break;
      case "resign":
        page.resign(this, message.epoch, message.to);
        break;
      case "probed":
        break;
    }
  }

  /** The links' contract is weak, so the relay may misbehave as well. */
  #relay(page: Page, to: string | undefined, message: Wire): void {
    const { random, profile, quiet } = this.world;
    if (!profile.relay || !this.mayRelay) return;
    const down: Down = { kind: "relay", from: this.id, message };
    for (const session of page.receivers(this, to)) {
      if (!session.mayRelay) continue;
      if (quiet) session.down(down);
      else if (!random.chance(profile.loss)) {
        session.down(down, random.chance(profile.reorder) ? random.int(1, 300) : 0);
        if (random.chance(profile.repeat)) session.down(down, random.int(0, 600));
      }
    }
  }
}
