// A node's connection to the server: one WebSocket after another, and what goes over them as text.

import type { HostPayload, RosterEntry, Wire } from "../src/group/index.ts";
import {
  parseAlone,
  parseDeputy,
  parseRosterEntry,
  parseHost,
  isSocketLost,
  parseOpen,
} from "../src/payload.ts";
import { isTerminal } from "../src/retry.ts";
import type { ServerMessage } from "../src/socket-types.ts";
import type { Server } from "./server.ts";
import { Socket } from "./socket.ts";
import type { Tab } from "./tab.ts";
import { Failure } from "./world.ts";

/** Time for the answer to a HEARTBEAT; a socket without one is dead. */
const CHECK_MS = 2500;
/** Wait before the first dial after a lost socket (`backoffMs` of src/socket.ts). */
const BACKOFF_MS = 150;
/** Longest wait; it fits the page's recovery time in server.ts. */
const BACKOFF_MOST_MS = 2500;
/** Code with which a browser closes the WebSockets of a page that goes. */
const GOING_AWAY = 1001;
/** Time between two looks whether a frozen page runs again and can dial. */
const FROZEN_MS = 300;

export interface ConnectionHooks {
  profile(): string;
  /** The server has let the node in. */
  opened(): void;
  /** The OPEN was fed to the machine. */
  settled(): void;
  /** A member is gone for good, as far as the server knows for sure. */
  gone(id: string): void;
  relayed(from: string, message: Wire): void;
  /** A HEARTBEAT was answered. */
  proved(): void;
}

export class Connection {
  readonly #tab: Tab;
  readonly #server: Server;
  readonly #hooks: ConnectionHooks;
  /** Whether the node's ticket allows the relay. */
  readonly #mayRelay: boolean;
  #socket: Socket | undefined;
  /** Whether the server has let the node in, on the present socket. */
  online = false;
  /** Whether the socket is dead without the node knowing. */
  reallyCut = false;
  /** Time until which the server is out of reach. */
  barredUntil = 0;
  /** Time until which the browser dials no WebSocket. */
  heldUntil = 0;
  /** Whether the server says that the node is to dial the host. */
  mayDial = false;
  /** The member that the server named deputy. */
  deputy: string | undefined;
  #relayWanted = true;
  #visible = true;
  /** Whether the server is yet to be told of the status, because the page was frozen. */
  #owesStatus = false;
  /** Number of dials in a row. */
  #attempt = 0;

  constructor(tab: Tab, server: Server, mayRelay: boolean, hooks: ConnectionHooks) {
    this.#tab = tab;
    this.#server = server;
    this.#mayRelay = mayRelay;
    this.#hooks = hooks;
  }

  get socket(): Socket | undefined {
    return this.#socket;
  }

  connect(): void {
    const { id, world, machine } = this.#tab;
    if (!this.#tab.alive) return;
    if (world.now < this.heldUntil) {
      const before = this.#socket;
      return world.clock.at(this.heldUntil, () => {
        if (this.#socket === before) this.connect();
      });
    }
    const socket = new Socket(world, id);
    this.#socket = socket;
    socket.onDown = (message) => this.#hear(socket, message);
    socket.onClientClose = (code) => this.#closed(socket, code);
    const claim = machine.host !== undefined ? { epoch: machine.epoch, host: machine.host } : null;
    world.clock.after(world.latency(), () => {
      if (world.now < this.barredUntil) socket.closeClient();
      else if (socket.clientOpen && this.#tab.alive)
        this.#server.connect(
          { id, token: `${id}'s`, group: 2, relay: this.#mayRelay, claim },
          socket,
        );
    });
  }

  #closed(socket: Socket, code: number): void {
    const { id, world, frozen } = this.#tab;
    if (this.#socket !== socket || !this.#tab.alive) return;
    if (isTerminal(code)) throw new Failure("let in", `${id} is closed for good with ${code}`);
    this.reallyCut = false;
    if (this.online) world.say(id, () => "socket closed");
    const was = this.online;
    this.online = false;
    if (was) this.#tab.feed({ type: "offline" });
    if (frozen) return void world.clock.after(FROZEN_MS, () => this.#closed(socket, code));
    const wait =
      Math.min(BACKOFF_MOST_MS, BACKOFF_MS * 1.6 ** this.#attempt++) *
      (0.5 + world.random.unit() / 2);
    world.clock.after(wait, () => {
      if (this.#socket === socket) this.connect();
    });
  }

  // --- to the server ---

  /** Sends a message to the server; returns false where the server has not let the node in. */
  send(type: string, payload?: unknown, dst?: string): boolean {
    if (!this.online || !this.#socket?.clientOpen) return false;
    this.#socket.send(type, payload, dst);
    return true;
  }

  status(status: Readonly<Record<string, unknown>>): void {
    this.send("STATUS", status);
  }

  wantRelay(wanted: boolean): void {
    this.#relayWanted = wanted;
    this.status({ relay: wanted });
  }

  prove(epoch: number): void {
    this.send("HEARTBEAT", { epoch });
  }

  /** Hides the page for so long. */
  hide(ms: number): void {
    if (this.#tab.frozen || !this.#visible) return;
    this.#visible = false;
    this.status({ visible: false });
    this.#tab.world.clock.after(ms, () => this.show());
  }

  show(): void {
    if (this.#visible || !this.#tab.alive) return;
    this.#visible = true;
    if (this.#tab.frozen) this.#owesStatus = true;
    else this.status({ visible: true });
  }

  /** Says what the page could not say while it was frozen. */
  thawed(): void {
    if (this.#owesStatus) this.#sendStatus();
  }

  /** Sends the whole status: what an earlier session said does not count. */
  #sendStatus(): void {
    this.#owesStatus = false;
    this.status({
      visible: this.#visible,
      relay: this.#relayWanted,
      ...(this.#tab.world.profile.p2p ? {} : { p2p: false }),
      profile: this.#hooks.profile(),
    });
  }

  // --- from the server ---

  #hear(socket: Socket, { type, src, payload }: ServerMessage): void {
    const tab = this.#tab;
    if (this.#socket !== socket || !tab.alive) return;
    switch (type) {
      case "OPEN":
        this.#open(payload);
        break;
      case "HOST": {
        const host: HostPayload = readable(type, payload, parseHost(payload));
        this.mayDial = (payload as { p2p?: unknown }).p2p !== false;
        this.deputy = parseDeputy(payload);
        tab.feed({ type: "host", host: this.#inOurTime(host) });
        break;
      }
      case "DEPUTY":
        this.deputy = parseDeputy(payload);
        break;
      case "JOIN": {
        const member: RosterEntry = readable(type, payload, parseRosterEntry(payload));
        tab.feed({ type: "joined", member });
        break;
      }
      case "LEAVE":
        if (src === undefined) break;
        if (!isSocketLost(payload)) this.#hooks.gone(src);
        tab.feed({ type: "left", id: src });
        break;
      case "RELAY":
        if (src !== undefined) this.#hooks.relayed(src, payload as Wire);
        break;
      case "HEARTBEAT": {
        const { epoch } = payload as { readonly epoch: number };
        tab.feed({ type: "proved", epoch });
        this.#hooks.proved();
        break;
      }
      case "ALONE": {
        const alone = readable(type, payload, parseAlone(payload));
        tab.world.count(`told: ${alone ? "alone" : "not alone"}`);
        tab.feed({ type: "alone", alone });
        break;
      }
      case "PROBE":
        if (!tab.frozen) this.send("PROBE");
        break;
    }
  }

  #open(payload: unknown): void {
    const opened = readable("OPEN", payload, parseOpen(payload));
    this.online = true;
    this.#attempt = 0;
    this.mayDial = opened.p2p;
    this.deputy = parseDeputy(payload);
    this.#hooks.opened();
    if (this.#tab.frozen) this.#owesStatus = true;
    else this.#sendStatus();
    this.#tab.feed({ type: "open", open: this.#inOurTime(opened.open) });
    this.#hooks.settled();
  }

  /** Returns what the server told with its durations in the simulation's time (`World.pace`). */
  #inOurTime<T extends { fairMs?: number; upMs?: number; returnMs?: number }>(told: T): T {
    const { pace } = this.#tab.world;
    const { fairMs, upMs, returnMs } = told;
    return {
      ...told,
      ...(fairMs === undefined ? {} : { fairMs: fairMs / pace }),
      ...(upMs === undefined ? {} : { upMs: upMs / pace }),
      ...(returnMs === undefined ? {} : { returnMs: returnMs / pace }),
    };
  }

  // --- as the shell does, and faults ---

  /** Drops a socket that does not answer, and dials at once where there is none. */
  check(): void {
    const { world } = this.#tab;
    const socket = this.#socket;
    world.count("others know of a later epoch");
    if (socket?.cut && socket.clientOpen) world.clock.after(CHECK_MS, () => socket.closeClient());
    else if (socket && !socket.clientOpen && world.now >= this.heldUntil) this.connect();
  }

  redial(): void {
    // A socket that is dead already cannot be closed any more: only the silence ends it.
    const end = this.#socket?.cut ? "lost" : "again";
    this.#socket?.die(0, 0, end);
  }

  /** Loses the socket; each end learns of it after so long. */
  drop(clientMs: number, serverMs: number): void {
    this.reallyCut = true;
    this.#socket?.die(clientMs, serverMs);
  }

  /** Loses the socket as in Firefox when a download begins: the browser closes it with 1001, and the page stays. */
  goAway(): void {
    const { clock, random } = this.#tab.world;
    const socket = this.#socket;
    if (!socket?.clientOpen) return;
    clock.after(random.int(1, 60), () => socket.closeServer("going-away"));
    socket.closeClient(GOING_AWAY);
  }

  /** Ends with the browser; the server learns of it after so long. */
  crash(serverMs: number): void {
    const socket = this.#socket;
    if (!socket) return;
    socket.cutOff();
    socket.clientOpen = false;
    this.#tab.world.clock.after(serverMs, () => socket.closeServer("lost"));
  }

  /** Ends as a page that leaves: it says LEAVE, or its browser closes the socket with 1001. */
  leave(): void {
    const { clock, random } = this.#tab.world;
    const socket = this.#socket;
    if (!socket) return;
    socket.clientOpen = false;
    clock.after(random.int(1, 60), () =>
      socket.closeServer(random.chance(0.3) ? "going-away" : "goodbye"),
    );
  }
}

function readable<T>(type: string, payload: unknown, read: T | undefined): T {
  if (read === undefined)
    throw new Failure("messages", `${type} cannot be read: ${JSON.stringify(payload)}`);
  return read;
}
