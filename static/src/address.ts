// The addresses of the server for one page: its WebSocket, its HTTP routes, and the address in the
// form that PeerJS takes.

import { base64url } from "./codec.ts";
import { CAN, PROTOCOL } from "./group/index.ts";
import type { Claim } from "./page-port.ts";
import type { PeerAddress } from "./peer.ts";
import type { Routes } from "./socket-types.ts";

/** Id and token of a member, by which the server knows it. */
export interface Identity {
  readonly id: string;
  /** Proof that the id is this page's. */
  readonly token: string;
}

export class PageAddress {
  /** Address for PeerJS, with the page in its path. */
  readonly peer: PeerAddress;
  readonly #page: string;
  /** Address of the WebSocket, without query. */
  readonly #socket: string;
  /** Address of the server's HTTP routes, up to their names. */
  readonly #base: string;

  constructor(server: URL, page: string, key: string) {
    const secure = server.protocol === "https:" || server.protocol === "wss:";
    const path = server.pathname.endsWith("/") ? server.pathname : `${server.pathname}/`;
    this.peer = {
      host: server.hostname,
      port: Number(server.port) || (secure ? 443 : 80),
      path: `${path}pages/~${base64url(page)}/`,
      secure,
      key,
    };
    this.#page = page;
    this.#socket = `${secure ? "wss" : "ws"}://${server.host}${path}peerjs`;
    this.#base = `${secure ? "https" : "http"}://${server.host}${path}`;
  }

  routes({ id, token }: Identity): Routes {
    const { origin } = new URL(this.#base);
    const member = `${origin}${this.peer.path}peers/${encodeURIComponent(id)}`;
    return {
      health: `${this.#base}health`,
      leave: `${member}/leave?token=${encodeURIComponent(token)}`,
    };
  }

  socketUrl({ id, token }: Identity, claim: Claim | undefined, ticket: string | undefined): string {
    const query = new URLSearchParams({
      key: this.peer.key,
      id,
      token,
      page: this.#page,
      group: String(PROTOCOL),
    });
    if (CAN.length > 0) query.set("can", CAN.join(","));
    if (ticket !== undefined) query.set("ticket", ticket);
    if (claim) {
      query.set("epoch", String(claim.epoch));
      query.set("host", claim.host);
    }
    return `${this.#socket}?${query}`;
  }
}
