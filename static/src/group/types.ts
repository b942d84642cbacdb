// The words of the protocol: who, which entry, which history.

export type PeerId = string;
export type Path = "p2p" | "relay";

/** `d` a message, `j` a member came (or, of one that is here: its profile is another), `l` a member went. */
export type EntryKind = "d" | "j" | "l";

/** One line of the log. Never changed once stamped, so it is shared freely. */
export interface Entry {
  /** Place in the log; counts on through epochs. */
  readonly s: number;
  /** Epoch of the host that stamped it. With `s` and the root it names the entry for ever. */
  readonly e: number;
  /** Who sent it; for `j` and `l` whom it is about. */
  readonly f: PeerId;
  /** The sender's own count; 0 for `j` and `l`. */
  readonly n: number;
  readonly k: EntryKind;
  /** Opaque to the machine. */
  readonly d: unknown;
  /** Bytes `d` takes, as told by whoever sent it; what limits count. */
  readonly z: number;
}

/** `[epoch, first seq]` for every epoch that stamped: tells the epoch of any seq, trimmed or not. */
export type Segment = readonly [epoch: number, start: number];
export type Line = readonly Segment[];

/** A place in a history. `r` is the epoch that founded it, 0 for none. */
export interface Place {
  readonly r: number;
  readonly e: number;
  readonly s: number;
}

/** All a host must know of a log to fill, restore or follow it. */
export interface Standing extends Place, Provisional {
  /** Highest seq the page has been handed: beyond it entries may still be taken back. */
  readonly done: number;
  /** Entries up to here are trimmed. */
  readonly base: number;
  readonly line: Line;
  /** Its page can give snapshots. */
  readonly snap: boolean;
  /** Away longer than `resumeMs`: outranks nobody. */
  readonly stale: boolean;
  /** So long ago this history was last known to be the group's. */
  readonly age: number;
}

/**
 * What travels with a history that was founded soon after the server began without memory: for how many more ms it gives
 * way to any history without this mark, however long that one was away. 0: it was founded soon after that, but not so soon
 * that it gives way. A history without the mark is from before, or the time is over.
 */
export interface Provisional {
  readonly provisional?: number;
}

export interface MemberInfo {
  readonly group: boolean;
  /** Opaque to the machine; without one, none was said (yet). */
  readonly profile?: unknown;
}

export function sameProfile(a: MemberInfo, b: MemberInfo): boolean {
  return a.profile === b.profile || JSON.stringify(a.profile) === JSON.stringify(b.profile);
}

export interface RosterEntry extends MemberInfo {
  readonly id: PeerId;
  /** False for one to whom nothing may be relayed. */
  readonly relay?: boolean;
}

/** State of a group at one place: what a late joiner needs to go on from there. */
export interface Snapshot extends Place, Provisional {
  readonly line: Line;
  /** The dedupe table: the last n stamped of each sender. */
  readonly counts: readonly (readonly [PeerId, number])[];
  /** Of the senders of which not every n up to the last was stamped. */
  readonly gaps?: readonly Gaps[];
  /** Senders were forgotten: one that is not in the table may have sent something. */
  readonly forgot?: boolean;
  readonly members: readonly (readonly [PeerId, MemberInfo])[];
  /** False when no page could give its state: the kept log follows instead. */
  readonly has: boolean;
  readonly state?: unknown;
  readonly z: number;
}

/** What is known of a sender beyond its last n. */
export interface Gaps {
  readonly id: PeerId;
  /** Runs of n, first and last, that were never stamped. */
  readonly gaps: readonly (readonly [number, number])[];
  /** Nobody knows of n up to here whether they were stamped. */
  readonly unsure: number;
}

/** A message that the page was handed, that the history it goes on in does not hold, and that is not sent again. */
export interface Lost {
  readonly from: PeerId;
  readonly mine: boolean;
  readonly seq: number;
  readonly epoch: number;
  /** Opaque to the machine. */
  readonly data: unknown;
}

export type ErrorCode = "Backpressure" | "TooLarge" | "Uncertain" | "Closed";
