// The page around the shell, over the browser and PeerJS: the implementation of `PagePort` outside
// of tests.

import { PageAddress, type Identity } from "./address.ts";
import type { Connection } from "./connection.ts";
import { randomId } from "./env.ts";
import type { Emitter } from "./events.ts";
import type { PageGroupEvents } from "./page-events.ts";
import { watchPage, whenShown } from "./page-life.ts";
import type { Settings } from "./page-options.ts";
import type { Claim, PagePort } from "./page-port.ts";
import { isSocketLost } from "./payload.ts";
import { createPeer, PeerSignalling, type GroupPeer } from "./peer.ts";
import type { RestoreCallback } from "./restore-info.ts";
import type { Shell } from "./shell.ts";
import type { Routes, ServerMessage } from "./socket-types.ts";
import { idOfTicket } from "./ticket.ts";

export class BrowserPage implements PagePort {
  readonly peer: GroupPeer;
  onSnapshot: (() => unknown) | undefined;
  onRestore: RestoreCallback | undefined;
  readonly #events: Emitter<PageGroupEvents>;
  readonly #address: PageAddress;
  readonly #p2p: boolean;
  readonly #signalling = new PeerSignalling((message) => this.#shell?.signal(message));
  #identity: Identity;
  #shell: Shell | undefined;
  #unwatch: () => void = () => {};

  constructor(settings: Settings, events: Emitter<PageGroupEvents>) {
    const { server, page, key, ticket, rtc, p2p } = settings;
    this.#events = events;
    this.#p2p = p2p;
    this.#address = new PageAddress(server, page, key);
    // Id and token are new for each load of the page, and not stored: a copied tab must not speak
    // as this member.
    const id = (typeof ticket === "string" ? idOfTicket(ticket) : undefined) ?? randomId();
    this.#identity = { id, token: randomId() };
    this.peer = createPeer(
      this.#identity,
      this.#address.peer,
      rtc,
      this.#signalling,
      (connection) => this.#shell?.accept(connection),
    );
  }

  get id(): string {
    return this.#identity.id;
  }

  /**
   * Connects the shell with the page's life and with PeerJS, and starts it when the page is shown.
   */
  attach(shell: Shell): void {
    this.#shell = shell;
    this.#unwatch = watchPage(shell);
    whenShown(() => shell.start());
  }

  routes(): Routes {
    return this.#address.routes(this.#identity);
  }

  socketUrl(claim: Claim | undefined, ticket: string | undefined): string {
    return this.#address.socketUrl(this.#identity, claim, ticket);
  }

  isVisible(): boolean {
    return typeof document === "undefined" || document.visibilityState !== "hidden";
  }

  emit<Name extends keyof PageGroupEvents>(name: Name, ...args: PageGroupEvents[Name]): void {
    this.#events.emit(name, ...args);
  }

  release(): void {
    this.#unwatch();
    this.peer.destroy();
  }

  setId(id: string): void {
    this.#identity = { ...this.#identity, id };
    this.peer.rename(id);
  }

  signallingOpened(): void {
    this.#signalling.opened();
  }

  useIce(ice: readonly RTCIceServer[]): string | undefined {
    return this.peer.useIce(ice);
  }

  signal(message: ServerMessage): void {
    const { type, src, payload } = message;
    if (!this.#p2p && this.peer.isUnwanted(message))
      return this.peer.forget((payload as { connectionId?: unknown }).connectionId);
    if (this.peer.isStale(message)) return;
    // An absent host concerns the group only, unless the app has dialled it as well.
    if (type === "EXPIRE" && src !== undefined && !this.peer.hasAppConnections(src)) return;
    // The group's own channel to a member that lost its socket goes on. The app's connections to it
    // end.
    if (type === "LEAVE" && src !== undefined && isSocketLost(payload))
      return this.peer.closeAppConnections(src);
    this.#signalling.receive(message);
  }

  dial(id: string): Connection | undefined {
    return this.peer.dialGroup(id);
  }

  forget(connectionId: string): void {
    this.peer.forget(connectionId);
  }
}
