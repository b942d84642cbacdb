// The stock PeerJS peer over the library's WebSocket.
//
// Only this file knows the private parts of PeerJS: `_createServerConnection`, which its
// constructor calls, `_cleanupPeer`, and the events of its socket. test/peer.test.ts fails if a new
// version of PeerJS changes them.

import * as peerjs from "peerjs";
import type { DataConnection, PeerJSOption } from "peerjs";
import type { Connection } from "./connection.ts";
import { randomId } from "./env.ts";
import { acceptServers } from "./ice.ts";
import type { ServerMessage } from "./socket-types.ts";

type Listener = (...args: readonly unknown[]) => void;

/**
 * Replaces the Socket of PeerJS. That one hides the codes of closes, and when it is lost the peer
 * forgets its id.
 */
export class PeerSignalling {
  readonly #send: (message: object) => void;
  readonly #listeners = new Map<string, Set<Listener>>();
  #open = false;
  #started = false;

  constructor(send: (message: object) => void) {
    this.#send = send;
  }

  // --- called by PeerJS ---

  start(_id: string, _token: string): void {
    this.#started = true;
    if (this.#open) this.emit("message", { type: "OPEN" });
  }

  send(message: object): void {
    if (this.#started) this.#send(message);
  }

  /** Called for `peer.disconnect()`. Then there are no more calls, and the group goes on. */
  close(): void {
    this.#started = false;
  }

  on(name: string, listener: Listener): this {
    let set = this.#listeners.get(name);
    if (!set) this.#listeners.set(name, (set = new Set()));
    set.add(listener);
    return this;
  }

  off(name: string, listener: Listener): this {
    this.#listeners.get(name)?.delete(listener);
    return this;
  }

  removeAllListeners(): this {
    this.#listeners.clear();
    return this;
  }

  emit(name: string, ...args: readonly unknown[]): boolean {
    const listeners = [...(this.#listeners.get(name) ?? [])];
    for (const listener of listeners) {
      try {
        listener(...args);
      } catch (error) {
        // PeerJS throws on an OFFER that it does not understand, and any member can send one.
        console.warn("peerstar: PeerJS failed on a message:", error);
      }
    }
    return listeners.length > 0;
  }

  // --- called by the library ---

  /**
   * Passes on the first OPEN only: a peer need not know that the WebSocket was lost and is back.
   */
  opened(): void {
    if (this.#open) return;
    this.#open = true;
    if (this.#started) this.emit("message", { type: "OPEN" });
  }

  /** Hands PeerJS a message of the server. */
  receive(message: ServerMessage): void {
    if (this.#started) this.emit("message", message);
  }
}

/** Label of the group's own connections. The app does not see them. */
const LABEL = "peerstar:group";

interface Emitting {
  emit(name: string, ...args: readonly unknown[]): boolean;
}
type PublicPeer = Pick<peerjs.Peer, Exclude<keyof peerjs.Peer, "emit">> & Emitting;
type Options = PeerJSOption & {
  readonly signalling: PeerSignalling;
  readonly rtc: RTCConfiguration;
  readonly onGroup: (connection: Connection) => void;
};
/**
 * Node, where a page may be rendered, gets PeerJS as CommonJS, with everything in its default
 * export.
 */
const StockPeer = peerjs.Peer ?? (peerjs.default as unknown as typeof peerjs).Peer;
const BasePeer = StockPeer as unknown as new (id: string, options: Options) => PublicPeer;

/** A connection or call of PeerJS, the app's own included. */
interface PeerConnection {
  readonly peerConnection: RTCPeerConnection | null | undefined;
  readonly label?: string;
  close(): void;
}

/** Number of ended connections that are remembered. */
const ENDED = 256;

export class GroupPeer extends BasePeer {
  /** Ids of connections that have ended, oldest first. */
  readonly #ended = new Set<string>();
  /** The browser's last objection to the server's ICE servers, in words. */
  #iceProblem: string | undefined;

  /** Called inside the constructor of PeerJS's Peer, before the fields of this class exist. */
  _createServerConnection(): PeerSignalling {
    const { signalling } = this.options as unknown as Options;
    const self = this as unknown as { _handleMessage(message: unknown): void };
    signalling.on("message", (message) => self._handleMessage(message));
    return signalling;
  }

  override emit(name: string, ...args: readonly unknown[]): boolean {
    const connection = args[0] as DataConnection | undefined;
    if (name === "connection" && connection?.label === LABEL) {
      (this.options as unknown as Options).onGroup(connection as unknown as Connection);
      return true;
    }
    return super.emit(name, ...args);
  }

  /**
   * Returns whether a message concerns a connection that has ended. PeerJS would keep the message
   * for ever.
   */
  isStale({ type, payload }: ServerMessage): boolean {
    if (type !== "CANDIDATE" && type !== "ANSWER") return false;
    const { connectionId } = (payload ?? {}) as { connectionId?: unknown };
    return typeof connectionId === "string" && this.#ended.has(connectionId);
  }

  /** From now on messages that concern this connection are stale. */
  forget(connectionId: unknown): void {
    if (typeof connectionId !== "string") return;
    this.#ended.add(connectionId);
    const oldest = this.#ended.values().next();
    if (this.#ended.size > ENDED && !oldest.done) this.#ended.delete(oldest.value);
  }

  /** Opens a connection of the group. Undefined after `peer.disconnect()` or `peer.destroy()`. */
  dialGroup(id: string): Connection | undefined {
    if (this.destroyed || this.disconnected) return undefined;
    return this.connect(id, {
      label: LABEL,
      serialization: "raw",
      reliable: true,
    }) as unknown as Connection;
  }

  /** Sets the id, before the first OPEN. PeerJS might refuse the id; only the server decides. */
  rename(id: string): void {
    const self = this as unknown as { _id: string | null; _lastServerId: string | null };
    if (this.disconnected) self._lastServerId = id;
    else self._id = id;
  }

  /**
   * Uses the server's ICE servers for new connections, and for open ones in case they must find a
   * new path. What this browser refuses is left out. Returns it in words, once for each problem.
   */
  useIce(given: readonly RTCIceServer[]): string | undefined {
    const options = this.options as unknown as Options & { config: RTCConfiguration };
    const { servers, problem } = acceptServers(options.rtc, given);
    const isNew = problem !== this.#iceProblem;
    this.#iceProblem = problem;
    const iceServers = [...(options.rtc.iceServers ?? []), ...servers];
    options.config = { ...options.rtc, iceServers };
    for (const { peerConnection } of Object.values(
      this.connections as Record<string, readonly PeerConnection[]>,
    ).flat()) {
      try {
        peerConnection?.setConfiguration({ ...peerConnection.getConfiguration(), iceServers });
      } catch (error) {
        // The connection has closed, or the browser does not allow a change of ICE servers.
        console.warn("peerstar: a connection keeps its ICE servers:", error);
      }
    }
    return isNew ? problem : undefined;
  }

  /** Returns whether the app has connections of its own to a member. */
  hasAppConnections(id: string): boolean {
    return this.#appConnections(id).length > 0;
  }

  closeAppConnections(id: string): void {
    for (const connection of this.#appConnections(id)) connection.close();
  }

  /**
   * Returns whether a message is an OFFER that PeerJS would answer by itself, with this page's
   * addresses, although the app takes no such connections.
   */
  isUnwanted({ type, payload }: ServerMessage): boolean {
    const offered = (payload ?? {}) as { type?: unknown; label?: unknown };
    return (
      type === "OFFER" &&
      offered.type === "data" &&
      (offered.label === LABEL || this.listenerCount("connection") === 0)
    );
  }

  /**
   * PeerJS iterates over a list from which each connection removes itself, so it would miss every
   * second one.
   */
  _cleanupPeer(id: string): void {
    for (const connection of [...this.#connectionsTo(id)]) connection.close();
  }

  #appConnections(id: string): readonly PeerConnection[] {
    return this.#connectionsTo(id).filter(({ label }) => label !== LABEL);
  }

  #connectionsTo(id: string): readonly PeerConnection[] {
    return (this.connections as Record<string, readonly PeerConnection[]>)[id] ?? [];
  }
}

export interface PeerAddress {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly secure: boolean;
  readonly key: string;
}

/**
 * Creates the peer. `rtc` is for every connection; its ICE servers come before those of the server.
 */
export function createPeer(
  { id, token }: { readonly id: string; readonly token: string },
  { host, port, path, secure, key }: PeerAddress,
  rtc: RTCConfiguration,
  signalling: PeerSignalling,
  onGroup: (connection: Connection) => void,
): GroupPeer {
  // The default of PeerJS has a TURN server that everyone shares. Here only the list that comes
  // with OPEN counts.
  const config: RTCConfiguration = { iceServers: [], ...rtc };
  const peer = new GroupPeer(randomId(), {
    host,
    port,
    path,
    secure,
    key,
    token,
    config,
    rtc,
    signalling,
    onGroup,
  });
  peer.rename(id);
  return peer;
}
