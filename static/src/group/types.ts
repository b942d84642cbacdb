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
export interface Standing extends Place {
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
export interface Snapshot extends Place {
  readonly line: Line;
  /** The dedupe table: the last n stamped of each sender. */
  readonly counts: readonly (readonly [PeerId, number])[];
  readonly members: readonly (readonly [PeerId, MemberInfo])[];
  /** False when no page could give its state: the kept log follows instead. */
  readonly has: boolean;
  readonly state?: unknown;
  readonly z: number;
}

export type ErrorCode = "Backpressure" | "TooLarge" | "Uncertain" | "Closed";
