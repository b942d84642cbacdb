// The events of a group.

import type { PeerstarError } from "./errors.ts";
import type { DirectOf, GroupTypes, MessageOf, ProfileOf, Untyped } from "./group-types.ts";
import type { RestoreInfo } from "./restore-info.ts";

/** Origin of a message and its place in the group's order. */
export interface MessageInfo {
  /** Id of the sender. A page's own messages come as well. */
  readonly from: string;
  /** Sequence number in the order that all members share. It grows, with gaps. */
  readonly seq: number;
  /** Epoch of the host that gave the message its number. */
  readonly epoch: number;
}

/** How this page has joined the group. */
export interface Opened {
  /** Id of this page. From now on it is final. */
  readonly id: string;
  /** Id of the host. */
  readonly host: string;
  /** Epoch of the host. */
  readonly epoch: number;
  /** Whether nobody else was there, so that there was no state to get. */
  readonly first: boolean;
}

/** Origin of a message that was sent to this page alone. */
export interface DirectInfo {
  /** Id of the sender. */
  readonly from: string;
}

/** The events of a group, each with the arguments of its listeners. */
export interface PageGroupEvents<T extends GroupTypes = Untyped> {
  /** This page has joined the group. Emitted once. */
  open: [event: Opened];
  /** A message was delivered, in the group's order. */
  message: [data: MessageOf<T>, info: MessageInfo];
  /** A message that another member sent to this page alone. */
  direct: [data: DirectOf<T>, info: DirectInfo];
  /** There is a new host, and it works. The first event tells the host that this page found. */
  host: [
    event: {
      readonly host: string;
      readonly epoch: number;
      /** Whether this page is the host. */
      readonly isHost: boolean;
      /** Why there is a new host, in the server's words. Empty in the first event. */
      readonly cause: string;
      /** Time since this page heard of the new host, in milliseconds. */
      readonly tookMs: number;
    },
  ];
  /** Another member joined or left. All pages get this event at the same place between messages. */
  member: [
    event: {
      readonly kind: "join" | "leave";
      readonly id: string;
      /** The member's profile. Undefined if it has none. */
      readonly profile: ProfileOf<T> | undefined;
    },
  ];
  /**
   * Another member has a new profile. All pages get this event at the same place between messages.
   */
  profile: [event: { readonly id: string; readonly profile: ProfileOf<T> | undefined }];
  /** This page joined late or was out of touch, and is up to date again. */
  recovered: [
    event: RestoreInfo<MessageOf<T>> & {
      /** Whether this page has everything that the others have. */
      readonly complete: boolean;
      /** How the page was brought up to date: by the messages it missed, by a snapshot, or not. */
      readonly via: "log" | "snapshot" | "none";
      /** How long this page was out of touch, in milliseconds. */
      readonly awayMs: number;
    },
  ];
  /**
   * The path to a member, or its round trip, has changed. A host hears of every member, the others
   * of the host.
   */
  link: [
    event: {
      readonly id: string;
      /** `p2p`: a data channel. `relay`: over the server. */
      readonly path: "p2p" | "relay" | "none";
      /** Round trip in milliseconds. Undefined until it is measured. */
      readonly rttMs: number | undefined;
    },
  ];
  /** The state of the group, or of the connection to the server, has changed. */
  status: [
    event: {
      /** `away`: this page is out of touch with the host, and sends wait. */
      readonly state: "connecting" | "open" | "away" | "closed";
      /**
       * Whether there is a connection to the server. Data channels may carry the group without one.
       */
      readonly server: boolean;
    },
  ];
  /** Something went wrong. Also emitted when a `send` is rejected, unless the group has ended. */
  error: [error: PeerstarError];
  /** The group has ended: `leave()` (code 1000), or the server's refusal. */
  close: [event: { readonly code: number; readonly reason: string }];
}
