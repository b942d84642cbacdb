// Types of the connection to the server, and the form of the server's messages.

import type { Ticket } from "./ticket.ts";

export interface ServerMessage {
  readonly type: string;
  readonly src?: string;
  readonly payload?: unknown;
}

/** A close: its code, and its reason in words. */
export interface Close {
  readonly code: number;
  readonly reason: string;
}

/** A dial that did not get in. */
export interface DialFailure {
  /** Number of failures in a row. */
  readonly times: number;
  /** Reason in words. Empty if the browser gives none. */
  readonly why: string;
  /** Whether the dial took as long as a dial may take. */
  readonly late: boolean;
}

/** Addresses of the server's HTTP routes. */
export interface Routes {
  /** Answers if the server is there. */
  readonly health: string;
  /** Takes the goodbye of a page that has no WebSocket. */
  readonly leave: string;
}

/** Where and how to dial. */
export interface ServerAddress {
  readonly ticket?: Ticket | undefined;
  routes(): Routes;
  /** Returns the WebSocket's address, with the claim of this moment. */
  url(ticket: string | undefined): string;
}

/** Receives the reports of the socket. */
export interface SocketListener {
  /** A message of the server, except heartbeats. OPEN: the server has let this page in. */
  message(message: ServerMessage): void;
  /** The connection of a page that was in is lost. The socket dials again. */
  lost(): void;
  /** The socket has ended for good. */
  ended(close: Close): void;
  /** The page answered `prove(epoch)`. */
  proved(epoch: number): void;
  /** A dial failed. The socket dials again. */
  failed(failure: DialFailure): void;
}

/** Returns a text of the server as a message. Undefined: it is not from a Peerstar server. */
export function parseMessage(data: unknown): ServerMessage | undefined {
  if (typeof data !== "string") return undefined;
  try {
    const message: unknown = JSON.parse(data);
    if (
      typeof message === "object" &&
      message !== null &&
      typeof (message as { type?: unknown }).type === "string"
    )
      return message as ServerMessage;
  } catch {
    // Only JSON comes from a Peerstar server.
  }
  return undefined;
}
