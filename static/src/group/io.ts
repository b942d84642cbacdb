// What goes into the machine and what comes out: its whole contract with the shell.

import type { ErrorCode, Lost, Path, PeerId, RosterEntry } from "./types.ts";
import type { Wire } from "./wire.ts";

/** The server's OPEN, as far as the machine cares. */
export interface OpenPayload {
  readonly host: PeerId;
  readonly epoch: number;
  readonly members: number;
  /** Only when this member is the host. */
  readonly roster?: readonly RosterEntry[];
  readonly relay: boolean;
  readonly recovering?: boolean;
  readonly resumeMs: number;
  /** How long a dial may fairly take on this page. */
  readonly fairMs?: number;
  /** How long ago the server began without memory; older servers do not say it. */
  readonly upMs?: number;
}

/** The server's HOST. */
export interface HostPayload {
  readonly host: PeerId;
  readonly epoch: number;
  readonly cause: string;
  readonly roster?: readonly RosterEntry[];
  /** How long a dial may fairly take on this page. */
  readonly fairMs?: number;
}

export type Event =
  /** The WebSocket is up and the server has answered OPEN (also after each reconnect). */
  | { readonly type: "open"; readonly open: OpenPayload }
  /** The WebSocket is down. */
  | { readonly type: "offline" }
  | { readonly type: "host"; readonly host: HostPayload }
  /** JOIN and LEAVE: the server tells the host only. JOIN again: its profile is new. */
  | { readonly type: "joined"; readonly member: RosterEntry }
  | { readonly type: "left"; readonly id: PeerId }
  /** A data channel to `id` opened or closed. */
  | { readonly type: "link"; readonly id: PeerId; readonly up: boolean }
  /** A whole message from `from`, who is really `from` (the link or the server vouches). */
  | {
      readonly type: "received";
      readonly from: PeerId;
      readonly via: Path;
      readonly message: unknown;
    }
  /** Pieces of a long message came of `from`: it lives, though nothing whole came. Never needed, of each at most twice a second. */
  | { readonly type: "heard"; readonly from: PeerId; readonly via: Path }
  /** The page at the other end of this data channel answers pings. Says nothing of the group. */
  | { readonly type: "alive"; readonly id: PeerId }
  /** Bytes wait on the way to `link`; no more data until `high` is false again, and over the relay no more states. */
  | {
      readonly type: "pressure";
      readonly link: PeerId | "relay" | "states";
      readonly high: boolean;
    }
  /** The app's send. `token` comes back in `settle`. */
  | { readonly type: "send"; readonly token: number; readonly data: unknown; readonly size: number }
  /** The app set or removed its onSnapshot. */
  | { readonly type: "snapshots"; readonly able: boolean }
  /** The answer to `askSnapshot`; `given` false if the app had none. */
  | {
      readonly type: "snapshot";
      readonly token: number;
      readonly given: boolean;
      readonly state?: unknown;
      readonly size: number;
    }
  /** This member's own profile, at the start and when it changes. The server is told, too: it tells the host (`joined`). */
  | { readonly type: "profile"; readonly profile: unknown }
  /** The answer to `prove`. */
  | { readonly type: "proved"; readonly token: number }
  | { readonly type: "resign"; readonly to?: PeerId }
  | { readonly type: "leave" }
  /** `nextDeadline()` has come. */
  | { readonly type: "timer" };

/** Why a page was out of date: it only came, it had fallen behind, or its history was given up for another. */
export type Reason = "join" | "behind" | "replaced";
export type Via = "log" | "snapshot" | "none";
export type Status = "connecting" | "open" | "away" | "closed";

/** What the library tells its page, word for word. */
export type Notice =
  | {
      readonly kind: "open";
      readonly host: PeerId;
      readonly epoch: number;
      readonly first: boolean;
    }
  | {
      readonly kind: "host";
      readonly host: PeerId;
      readonly epoch: number;
      readonly isHost: boolean;
      readonly cause: string;
      readonly tookMs: number;
    }
  /** Another member came or went: once for each time it is here. Its profile with `join`, and with `leave` no more. */
  | {
      readonly kind: "member";
      readonly change: "join" | "leave";
      readonly id: PeerId;
      readonly profile?: unknown;
    }
  /** One that is here has another profile now. */
  | { readonly kind: "profile"; readonly id: PeerId; readonly profile: unknown }
  | {
      readonly kind: "recovered";
      readonly complete: boolean;
      readonly via: Via;
      readonly awayMs: number;
      readonly reason: Reason;
      readonly lost: readonly Lost[];
      readonly lostMore: boolean;
    }
  | { readonly kind: "link"; readonly id: PeerId; readonly path: Path | "none" }
  | { readonly kind: "status"; readonly state: Status };

export type Effect =
  /** Send to one peer, the way named. Above the link's message size the shell cuts and joins; a lost piece is a lost message. */
  | { readonly type: "transmit"; readonly to: PeerId; readonly via: Path; readonly message: Wire }
  /** RELAY without dst: the server fans it out. */
  | { readonly type: "fanout"; readonly message: Wire }
  /** Hand to the page now, in this order. */
  | {
      readonly type: "deliver";
      readonly from: PeerId;
      readonly n: number;
      readonly seq: number;
      readonly epoch: number;
      readonly data: unknown;
    }
  | { readonly type: "settle"; readonly token: number; readonly error?: ErrorCode }
  /** Call onSnapshot now; nothing is delivered until the answer (or `snapshotMs`). */
  | { readonly type: "askSnapshot"; readonly token: number }
  /** Call onRestore with this. */
  | {
      readonly type: "restore";
      readonly state: unknown;
      readonly about: {
        readonly reason: Reason;
        readonly lost: readonly Lost[];
        readonly lostMore: boolean;
      };
    }
  /** SUSPECT, TRUST (which ends a SUSPECT), RESIGN and STATUS {relay} to the server. */
  | { readonly type: "suspect"; readonly host: PeerId; readonly epoch: number }
  | { readonly type: "trust"; readonly host: PeerId; readonly epoch: number }
  | { readonly type: "resign"; readonly epoch: number; readonly to?: PeerId }
  | { readonly type: "relayWanted"; readonly wanted: boolean }
  /** Send HEARTBEAT; when that one is answered on the same socket: `proved`. */
  | { readonly type: "prove"; readonly token: number }
  /** Others know of a later epoch than we were told: does the WebSocket live? If it is down, dial now. */
  | { readonly type: "check" }
  /** The server does not know of an epoch we know: drop the WebSocket and dial again, with our claim. */
  | { readonly type: "redial" }
  /** The server ignores what we claim, again and again: its clock is behind, by so much at least. */
  | { readonly type: "disbelieved"; readonly behindMs: number }
  /** Close the data channel to a member that has been without a socket for too long. */
  | { readonly type: "unlink"; readonly id: PeerId }
  | { readonly type: "notice"; readonly notice: Notice };
