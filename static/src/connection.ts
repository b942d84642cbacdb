// The part of PeerJS's DataConnection that the library uses.

export interface Connection {
  /** Id of the member at the other end. */
  readonly peer: string;
  readonly connectionId: string;
  readonly open: boolean;
  readonly dataChannel: RTCDataChannel | undefined;
  on(name: "open" | "close", listener: () => void): unknown;
  on(name: "data", listener: (data: unknown) => void): unknown;
  on(name: "error", listener: (error: unknown) => void): unknown;
  close(): void;
}
