// The stock Peer, over our WebSocket. The one file that knows what PeerJS keeps private: `_createServerConnection`, which
// its constructor calls, `_cleanupPeer`, and the events its socket has; test/peer.test.ts notices if a new version has it
// otherwise.

import * as peerjs from "peerjs";
import type { DataConnection, PeerJSOption } from "peerjs";
import type { Connection } from "./channels.ts";
import { randomId } from "./env.ts";
import { sortOut } from "./ice.ts";
import type { ServerMessage } from "./socket.ts";

type Listener = (...args: readonly unknown[]) => void;

/** Stands where PeerJS has its own Socket, whose closes say no code and whose losses make the Peer forget its id. */
export class Signalling {
  readonly #send: (message: object) => void;
  readonly #listeners = new Map<string, Set<Listener>>();
  #open = false;
  #started = false;

  constructor(send: (message: object) => void) {
    this.#send = send;
  }

  // What PeerJS calls.

  start(_id: string, _token: string): void {
    this.#started = true;
    if (this.#open) this.emit("message", { type: "OPEN" });
  }

  send(message: object): void {
    if (this.#started) this.#send(message);
  }

  /** `peer.disconnect()`: no more calls; the group goes on. */
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
        // PeerJS throws on an OFFER it does not understand; anybody on the page can send one.
        console.warn("peerstar: PeerJS failed on a message:", error);
      }
    }
    return listeners.length > 0;
  }

  // What we call.

  /** The first OPEN only: a lost and found WebSocket is nothing a Peer need know of. */
  opened(): void {
    if (this.#open) return;
    this.#open = true;
    if (this.#started) this.emit("message", { type: "OPEN" });
  }

  said(message: ServerMessage): void {
    if (this.#started) this.emit("message", message);
  }
}

/** Marks the group's own connections, which are none of the app's business. */
const LABEL = "peerstar:group";

interface Emits {
  emit(name: string, ...args: readonly unknown[]): boolean;
}
type Public = Pick<peerjs.Peer, Exclude<keyof peerjs.Peer, "emit">> & Emits;
type Options = PeerJSOption & {
  readonly signalling: Signalling;
  readonly rtc: RTCConfiguration;
  readonly onGroup: (connection: Connection) => void;
};
/** Node, where a page may be rendered, gets PeerJS as CommonJS, with everything in its default export. */
const Stock = peerjs.Peer ?? (peerjs.default as unknown as typeof peerjs).Peer;
const Base = Stock as unknown as new (id: string, options: Options) => Public;

/** What PeerJS has for each connection, the app's own and calls included. */
interface Standing {
  readonly peerConnection: RTCPeerConnection | null | undefined;
  readonly label?: string;
  close(): void;
}

const OVER = 256;

export class GroupPeer extends Base {
  readonly #over = new Set<string>();
  /** What the browser last refused of the server's ICE servers. */
  #problem: string | undefined;

  /** Called inside the constructor of PeerJS's Peer, before this class has any fields of its own. */
  _createServerConnection(): Signalling {
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

  /** What is said about a connection that is no more; PeerJS would keep it for ever. */
  isStale({ type, payload }: ServerMessage): boolean {
    if (type !== "CANDIDATE" && type !== "ANSWER") return false;
    const { connectionId } = (payload ?? {}) as { connectionId?: unknown };
    return typeof connectionId === "string" && this.#over.has(connectionId);
  }

  over(connectionId: unknown): void {
    if (typeof connectionId !== "string") return;
    this.#over.add(connectionId);
    const oldest = this.#over.values().next();
    if (this.#over.size > OVER && !oldest.done) this.#over.delete(oldest.value);
  }

  dialGroup(id: string): Connection | undefined {
    if (this.destroyed || this.disconnected) return undefined;
    return this.connect(id, {
      label: LABEL,
      serialization: "raw",
      reliable: true,
    }) as unknown as Connection;
  }

  /** Takes an id that PeerJS might find fault with; the server decides. Before the first OPEN. */
  rename(id: string): void {
    const self = this as unknown as { _id: string | null; _lastServerId: string | null };
    if (this.disconnected) self._lastServerId = id;
    else self._id = id;
  }

  /**
   * The server's: for new connections, and for those that stand, should they have to look for a way again. Gives in words
   * what this browser refuses, which is left out; once for each refusal.
   */
  useIce(given: readonly RTCIceServer[]): string | undefined {
    const options = this.options as unknown as Options & { config: RTCConfiguration };
    const { servers, problem } = sortOut(options.rtc, given);
    const isNews = problem !== this.#problem;
    this.#problem = problem;
    const iceServers = [...(options.rtc.iceServers ?? []), ...servers];
    options.config = { ...options.rtc, iceServers };
    for (const { peerConnection } of Object.values(
      this.connections as Record<string, readonly Standing[]>,
    ).flat()) {
      try {
        peerConnection?.setConfiguration({ ...peerConnection.getConfiguration(), iceServers });
      } catch (error) {
        // Closed meanwhile; or one whose browser lets no ICE servers be changed.
        console.warn("peerstar: a connection keeps its ICE servers:", error);
      }
    }
    return isNews ? problem : undefined;
  }

  /** The app has connections of its own to that one. */
  hasOthers(id: string): boolean {
    return this.#others(id).length > 0;
  }

  closeOthers(id: string): void {
    for (const connection of this.#others(id)) connection.close();
  }

  /** An OFFER that PeerJS would answer by itself, with our addresses, though the app wants none of its kind. */
  isUnwanted({ type, payload }: ServerMessage): boolean {
    const offered = (payload ?? {}) as { type?: unknown; label?: unknown };
    return (
      type === "OFFER" &&
      offered.type === "data" &&
      (offered.label === LABEL || this.listenerCount("connection") === 0)
    );
  }

  /** PeerJS goes through a list from which each connection takes itself as it closes, and misses every second one. */
  _cleanupPeer(id: string): void {
    for (const connection of [...this.#with(id)]) connection.close();
  }

  #others(id: string): readonly Standing[] {
    return this.#with(id).filter(({ label }) => label !== LABEL);
  }

  #with(id: string): readonly Standing[] {
    return (this.connections as Record<string, readonly Standing[]>)[id] ?? [];
  }
}

export interface PeerAddress {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly secure: boolean;
  readonly key: string;
}

/** `rtc` is for every connection; its ICE servers come before the server's. */
export function createPeer(
  id: string,
  { host, port, path, secure, key }: PeerAddress,
  token: string,
  rtc: RTCConfiguration,
  signalling: Signalling,
  onGroup: (connection: Connection) => void,
): GroupPeer {
  // PeerJS's own default has a TURN server shared by everyone; only the server's list counts here, and comes with OPEN.
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
