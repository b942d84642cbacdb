// My seat at the server: one stock Peer, its WebSocket lost and found again, and what the server says over it.
import Peer, { type DataConnection } from "peerjs";
import type { Address } from "./address.ts";
import { backoffMs } from "./backoff.ts";
import { fromServer, type FromServer } from "./wire.ts";
import { errorInWords } from "./words.ts";

/** A WebSocket handshake that hangs gives no event at all. */
const CONNECT_MS = 10_000;

export type SeatStatus =
  | { state: "connecting" }
  | { state: "open" }
  | { state: "away" }
  | { state: "closed"; why: string };

export type SeatEvents = {
  status(status: SeatStatus): void;
  said(message: FromServer): void;
  dialled(connection: DataConnection): void;
};

export class PeerSeat {
  private peer: Peer;
  private attempt = 0;
  private restartMs: number | undefined;
  private refusal: { message: string; retry: boolean } | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** Set by what trying again cannot mend. */
  private closed = false;

  /** The id is ours, not the server's: asking it for one, PeerJS gives up for good when the server is down. */
  constructor(
    private readonly id: string,
    private readonly address: Address,
    private readonly events: SeatEvents,
  ) {
    this.peer = this.sitDown();
    // A network that is back is worth a try at once.
    addEventListener("online", () => this.retryNow());
  }

  connect(id: string, label: string): DataConnection | undefined {
    if (!this.peer.open) return undefined;
    return this.peer.connect(id, { label, serialization: "json", reliable: true });
  }

  retryNow(): void {
    if (!this.closed && this.peer.disconnected) this.comeBack();
  }

  /** Told in so many words, so that the host is replaced at once. */
  leave(): void {
    clearTimeout(this.timer);
    this.peer.socket.send({ type: "LEAVE" });
    this.peer.removeAllListeners();
    this.peer.destroy();
  }

  private sitDown(): Peer {
    // PeerJS's own default includes a TURN server shared by everyone; only the server's list counts here.
    const peer = new Peer(this.id, { ...this.address.server, token: randomId(), config: { iceServers: [] } });
    peer.socket.on("message", (message: unknown) => this.hear(message));
    peer.on("connection", (connection) => this.events.dialled(connection));
    peer.on("error", (error) => this.trouble(error.type, error.message));
    peer.on("disconnected", () => this.lost());
    this.dialling();
    return peer;
  }

  private hear(message: unknown): void {
    const heard = fromServer(message);
    if (!heard) return;
    if (heard.type === "refused") this.refusal = heard;
    if (heard.type === "restarting") this.restartMs = heard.retryMs;
    if (heard.type === "assigned") {
      if (heard.ice) this.peer.options.config = { iceServers: heard.ice };
      this.seated();
    }
    this.events.said(heard);
  }

  private seated(): void {
    clearTimeout(this.timer);
    this.attempt = 0;
    this.restartMs = undefined;
    this.refusal = undefined;
    this.events.status({ state: "open" });
  }

  /** Errors of the signalling that trying again cannot mend; those of one connection are its link's. */
  private trouble(type: string, message: string): void {
    const final = ["browser-incompatible", "invalid-id", "invalid-key", "ssl-unavailable", "unavailable-id"].includes(type);
    const refused = type === "server-error" && this.refusal?.retry !== true;
    if (!final && !refused) return;
    clearTimeout(this.timer);
    this.closed = true;
    this.events.status({ state: "closed", why: errorInWords(type, this.refusal?.message ?? message) });
  }

  private lost(): void {
    if (this.closed) return;
    const wait = Math.max(backoffMs(this.attempt++, Math.random()), this.restartMs ?? 0);
    this.after(wait, () => this.comeBack());
    this.events.status({ state: "away" });
  }

  private comeBack(): void {
    // A refusal before the first OPEN destroys the Peer: only a new one can try again.
    if (this.peer.destroyed) this.peer = this.sitDown();
    else if (this.peer.disconnected) {
      this.peer.reconnect();
      this.dialling();
    }
  }

  private dialling(): void {
    this.after(CONNECT_MS, () => this.peer.disconnect());
    this.events.status({ state: "connecting" });
  }

  private after(ms: number, then: () => void): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(then, ms);
  }
}

/** `crypto.randomUUID` is missing on plain http; this looks the same. */
export function randomId(): string {
  const hex = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
