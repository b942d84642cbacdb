// Events and effects of the group: its whole contract with the shell.

import type { DirectError, ErrorCode, Lost, Path, PeerId, RosterEntry } from "./types.ts";
import type { Wire } from "./wire.ts";

/** Fields of the server's OPEN that the group needs. */
export interface OpenPayload {
  readonly host: PeerId;
  readonly epoch: number;
  readonly members: number;
  /** Present only when this member is the host. */
  readonly roster?: readonly RosterEntry[];
  readonly relay: boolean;
  readonly recovering?: boolean;
  readonly resumeMs: number;
  /** Time that a dial may fairly take on this page. */
  readonly fairMs?: number;
  /** Time since the server began without memory. Older servers do not say it. */
  readonly upMs?: number;
  /** Time that the server waits for a member whose socket was lost. Older servers do not say it. */
  readonly returnMs?: number;
  /** Whether the server is alone (see the event `alone`). Absent if not. */
  readonly alone?: boolean;
}

/** Fields of the server's HOST that the group needs. */
export interface HostPayload {
  readonly host: PeerId;
  readonly epoch: number;
  readonly cause: string;
  readonly roster?: readonly RosterEntry[];
  /** Time that a dial may fairly take on this page. */
  readonly fairMs?: number;
}

export type Event =
  /** The WebSocket is up and the server has answered OPEN (also after each reconnect). */
  | { readonly type: "open"; readonly open: OpenPayload }
  /** The WebSocket is down. */
  | { readonly type: "offline" }
  /** A host is named. Its own epoch again, with a roster: its page has moved, and nothing else. */
  | { readonly type: "host"; readonly host: HostPayload }
  /**
   * ALONE: the server is not sure that it leads the page, which may have another half with another
   * host; or it is sure again.
   */
  | { readonly type: "alone"; readonly alone: boolean }
  /**
   * JOIN and LEAVE, which the server sends to the host only. A repeated JOIN brings a new profile.
   */
  | { readonly type: "joined"; readonly member: RosterEntry }
  | { readonly type: "left"; readonly id: PeerId }
  /** A data channel to `id` opened or closed. */
  | { readonly type: "link"; readonly id: PeerId; readonly up: boolean }
  /** A whole message arrived. The data channel or the server vouches for `from`. */
  | {
      readonly type: "received";
      readonly from: PeerId;
      readonly via: Path;
      readonly message: unknown;
    }
  /**
   * Pieces of a long message arrived from `from`, so it lives, though no whole message arrived. The
   * shell may leave this out, and says it at most twice a second for each member.
   */
  | { readonly type: "heard"; readonly from: PeerId; readonly via: Path }
  /**
   * The page at the other end of this data channel answers pings. This says nothing of its group.
   */
  | { readonly type: "alive"; readonly id: PeerId }
  /**
   * Bytes wait to be sent over `link`: it takes no more data until `high` is false again. `states`
   * stands for the snapshots that wait on the relay.
   */
  | {
      readonly type: "pressure";
      readonly link: PeerId | "relay" | "states";
      readonly high: boolean;
    }
  /** The page sends a message. `token` comes back in `settle`. */
  | { readonly type: "send"; readonly token: number; readonly data: unknown; readonly size: number }
  /**
   * The page sends a message to one member, or a request if there is a time for the answer. `token`
   * comes back in `settleDirect` or `answered`.
   */
  | {
      readonly type: "sendTo";
      readonly token: number;
      readonly to: PeerId;
      readonly data: unknown;
      readonly size: number;
      readonly timeoutMs?: number;
    }
  /** The page gives up a message or request to one member, and settles its promise itself. */
  | { readonly type: "abort"; readonly token: number }
  /** The page answers the effect `request`. */
  | {
      readonly type: "reply";
      readonly token: number;
      readonly data: unknown;
      readonly size: number;
    }
  /** The page set or removed its onSnapshot. */
  | { readonly type: "snapshots"; readonly able: boolean }
  /** The page answers `askSnapshot`. `given` is false if it had no snapshot. */
  | {
      readonly type: "snapshot";
      readonly token: number;
      readonly given: boolean;
      readonly state?: unknown;
      readonly parts?: unknown;
      readonly size: number;
    }
  /**
   * The page has set the profile of this member, at the start or later. The shell tells the server
   * as well, which tells the host (`joined`).
   */
  | { readonly type: "profile"; readonly profile: unknown }
  /** The page answers the question of `prove`. */
  | { readonly type: "proved"; readonly epoch: number }
  | { readonly type: "resign"; readonly to?: PeerId }
  | { readonly type: "leave" }
  /** The time of `nextDeadline()` has come. */
  | { readonly type: "timer" };

/**
 * Why a page was out of date: it has only joined, it fell behind, or its history was replaced by
 * another.
 */
export type Reason = "join" | "behind" | "replaced";
export type Via = "log" | "snapshot" | "none";
export type Status = "connecting" | "open" | "away" | "closed";

/** Notices that the library passes to its page unchanged. */
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
  /**
   * Another member joined or left, once for each time. `join` carries its profile, `leave` does
   * not.
   */
  | {
      readonly kind: "member";
      readonly change: "join" | "leave";
      readonly id: PeerId;
      readonly profile?: unknown;
    }
  /** A member that is here has a new profile. */
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
  /**
   * Send to one member over the path `via`. The shell cuts messages that are longer than the path
   * allows; a lost piece is a lost message.
   */
  | { readonly type: "transmit"; readonly to: PeerId; readonly via: Path; readonly message: Wire }
  /** Send RELAY without dst: the server fans the message out. */
  | { readonly type: "fanout"; readonly message: Wire }
  /** Hand the message to the page now, in this order. */
  | {
      readonly type: "deliver";
      readonly from: PeerId;
      readonly n: number;
      readonly seq: number;
      readonly epoch: number;
      readonly data: unknown;
    }
  | { readonly type: "settle"; readonly token: number; readonly error?: ErrorCode }
  /** Hand the page a message that only it is sent, in this order with the others. */
  | { readonly type: "direct"; readonly from: PeerId; readonly data: unknown }
  /** Hand the page a request, as `direct`. The page answers with the event `reply`. */
  | {
      readonly type: "request";
      readonly token: number;
      readonly from: PeerId;
      readonly data: unknown;
    }
  /** Nobody waits for the answer to this request any more. */
  | { readonly type: "requestEnded"; readonly token: number }
  /** Settles the promise of a message or request to one member: without an error a message was handed over. */
  | { readonly type: "settleDirect"; readonly token: number; readonly error?: DirectError }
  /** The answer to a request of the page. */
  | { readonly type: "answered"; readonly token: number; readonly data: unknown }
  /**
   * Call onSnapshot now. Nothing is delivered until the page answers, or `snapshotMs` have passed.
   */
  | { readonly type: "askSnapshot"; readonly token: number }
  /** Restore the page to this state and these parts, as another page gave them. */
  | {
      readonly type: "restore";
      readonly state: unknown;
      readonly parts?: unknown;
      readonly about: {
        readonly reason: Reason;
        readonly lost: readonly Lost[];
        readonly lostMore: boolean;
      };
    }
  /** Send SUSPECT, TRUST (which ends a SUSPECT), RESIGN or STATUS {relay} to the server. */
  | { readonly type: "suspect"; readonly host: PeerId; readonly epoch: number }
  | { readonly type: "trust"; readonly host: PeerId; readonly epoch: number }
  | { readonly type: "resign"; readonly epoch: number; readonly to?: PeerId }
  | { readonly type: "relayWanted"; readonly wanted: boolean }
  /**
   * Send HEARTBEAT with this epoch. The event `proved` says that the page answered it on the same
   * socket. An answer to a plain HEARTBEAT is none.
   */
  | { readonly type: "prove"; readonly epoch: number }
  /** Check whether the WebSocket lives, or dial now if it is down: others know of a later epoch. */
  | { readonly type: "check" }
  /** Drop the WebSocket and dial again with the claim: the server does not know the epoch. */
  | { readonly type: "redial" }
  /** The server keeps ignoring the claim: its clock is behind by at least `behindMs`. */
  | { readonly type: "disbelieved"; readonly behindMs: number }
  /** Close the data channel to a member that has been without a socket for too long. */
  | { readonly type: "unlink"; readonly id: PeerId }
  | { readonly type: "notice"; readonly notice: Notice };
