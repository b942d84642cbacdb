// The one interface between the library's shell and the page around it. `BrowserPage` implements it
// over the browser and PeerJS; the tests implement it over fakes.

import type { Connection } from "./connection.ts";
import type { PageGroupEvents } from "./page-events.ts";
import type { RestoreCallback } from "./restore-info.ts";
import type { Routes, ServerMessage } from "./socket-types.ts";

/**
 * The host and epoch that this member was last told. By them a server that lost its memory keeps
 * the host and goes on with the epochs.
 */
export interface Claim {
  readonly epoch: number;
  readonly host: string;
}

/** The page as the shell sees it: the server's addresses, the app's callbacks, and PeerJS. */
export interface PagePort {
  // --- the server's addresses ---

  routes(): Routes;
  /** Returns the address of the WebSocket. No claim: this page has not been told of a host yet. */
  socketUrl(claim: Claim | undefined, ticket: string | undefined): string;

  // --- the page ---

  isVisible(): boolean;
  /** Calls the page's listeners of an event. */
  emit<Name extends keyof PageGroupEvents>(name: Name, ...args: PageGroupEvents[Name]): void;
  /** The page's callback that returns its state, if it has one. */
  onSnapshot: (() => unknown) | undefined;
  /** The page's callback that takes the group's state, if it has one. */
  onRestore: RestoreCallback | undefined;
  /**
   * The group has ended: frees the listeners and the PeerJS peer. The events `status` and `close`
   * follow.
   */
  release(): void;

  // --- PeerJS ---

  /** The ticket names this page's id. Called before the first OPEN. */
  setId(id: string): void;
  /** The server has let this page in: the peer may signal. Called after every OPEN. */
  signallingOpened(): void;
  /**
   * Uses the server's ICE servers. Returns what is wrong with them in words, once for each problem.
   */
  useIce(ice: readonly RTCIceServer[]): string | undefined;
  /** Hands PeerJS a signalling message, LEAVE or EXPIRE of the server. */
  signal(message: ServerMessage): void;
  /** Opens a connection to a member. Undefined: PeerJS cannot dial now. May throw. */
  dial(id: string): Connection | undefined;
  /** No signalling for this connection is wanted any more. */
  forget(connectionId: string): void;
}
