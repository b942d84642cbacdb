// Types of the protocol: members, entries, histories and snapshots.

export type PeerId = string;
export type Path = "p2p" | "relay";

/**
 * Kind of an entry: `d` a message, `j` a member joined or has another profile, `l` a member left.
 */
export type EntryKind = "d" | "j" | "l";

/** One entry of the log. A stamped entry never changes, so it may be shared. */
export interface Entry {
  /** Place in the log; counts on through epochs. */
  readonly s: number;
  /**
   * Epoch of the host that stamped the entry. With `s` and the root it names the entry for ever.
   */
  readonly e: number;
  /** Sender of a message; for `j` and `l` the member that joined or left. */
  readonly f: PeerId;
  /** The sender's own count; 0 for `j` and `l`. */
  readonly n: number;
  readonly k: EntryKind;
  /** Payload, opaque to the state machine. */
  readonly d: unknown;
  /** Size of `d` in bytes, as the sender says it. Limits count this. */
  readonly z: number;
}

/** An epoch that stamped entries, and its first seq. */
export type Segment = readonly [epoch: number, start: number];
/**
 * The segments of a history, oldest first: they tell the epoch of any seq, even of a trimmed one.
 */
export type Line = readonly Segment[];

/** A place in a history. `r` is the epoch that founded the history, 0 for none. */
export interface Place {
  readonly r: number;
  readonly e: number;
  readonly s: number;
}

/** Where a member stands: all that a host needs in order to fill, restore or follow its log. */
export interface Standing extends Place, Provisional {
  /** Highest seq that the page was handed. Entries after it may still be taken back. */
  readonly done: number;
  /** Entries up to here are trimmed. */
  readonly base: number;
  readonly line: Line;
  /** Whether the page can give snapshots. */
  readonly snap: boolean;
  /** Whether the member was away for longer than `resumeMs`: its history then outranks nobody's. */
  readonly stale: boolean;
  /** Milliseconds since this history was last known to be the group's. */
  readonly age: number;
  /**
   * Whether the server said that it is alone while this history went on, and no host with the
   * server's word has had the history on its log since. The history then gives way to every other
   * part of the same history. Absent if not.
   */
  readonly alone?: boolean;
}

/** Mark that travels with a history that was founded soon after the server began without memory. */
export interface Provisional {
  /**
   * Milliseconds for which the history gives way to every history without this mark, however long
   * that was away. 0 marks a history that was founded soon after the server began, and yet too late
   * to give way. A history without the mark is from before the server began, or its provisional
   * time is over.
   */
  readonly provisional?: number;
}

export interface MemberInfo {
  /** False for a stock client, which takes no part in the group. */
  readonly group: boolean;
  /** Profile of the member, opaque to the state machine. Absent until the member has set one. */
  readonly profile?: unknown;
}

export function sameProfile(a: MemberInfo, b: MemberInfo): boolean {
  return a.profile === b.profile || JSON.stringify(a.profile) === JSON.stringify(b.profile);
}

/** A member as the server announces it to the host. */
export interface RosterEntry extends MemberInfo {
  readonly id: PeerId;
  /** False for a member to which nothing may be relayed. */
  readonly relay?: boolean;
  /** Names of what the member's library can do. Absent if there are none. */
  readonly can?: readonly string[];
}

/** State of a group at one place: all that a late joiner needs in order to go on from there. */
export interface Snapshot extends Place, Provisional {
  readonly line: Line;
  /** The dedupe table: the last `n` stamped of each sender. */
  readonly counts: readonly (readonly [PeerId, number])[];
  /** Senders of which some `n` up to the last was not stamped. */
  readonly gaps?: readonly Gaps[];
  /**
   * Whether senders were forgotten: a sender that is not in the table may still have sent
   * something.
   */
  readonly forgot?: boolean;
  readonly members: readonly (readonly [PeerId, MemberInfo])[];
  /** False when no page could give its state: then the kept entries follow. */
  readonly has: boolean;
  readonly state?: unknown;
  /** Parts of the page's channels beside `state`, opaque to the state machine. */
  readonly parts?: unknown;
  /** Size of `state` and `parts` in bytes. */
  readonly z: number;
}

/** Gaps in the messages of one sender, up to its last `n`. */
export interface Gaps {
  readonly id: PeerId;
  /** Runs of `n`, first and last, that were never stamped. */
  readonly gaps: readonly (readonly [number, number])[];
  /** Nobody knows whether the messages up to this `n` were stamped. */
  readonly unsure: number;
}

/**
 * A message that the page was handed, that its new history does not hold, and that is not sent
 * again.
 */
export interface Lost {
  readonly from: PeerId;
  readonly mine: boolean;
  readonly seq: number;
  readonly epoch: number;
  /** Payload, opaque to the state machine. */
  readonly data: unknown;
}

/** Why a message or request to one member did not get through. */
export type DirectError =
  | "Gone"
  | "Uncertain"
  | "Unsupported"
  | "TooLarge"
  | "Backpressure"
  | "Closed"
  | "Timeout";

export type ErrorCode = "Backpressure" | "TooLarge" | "Uncertain" | "Closed";
