// Interface of the two roles, host and member, as the group drives them.

import type { RosterEntry, Path, PeerId } from "./types.ts";
import type { TimerName } from "./timers.ts";
import type { Wire } from "./wire.ts";

export interface Role {
  start(): void;
  stop(): void;
  receive(from: PeerId, via: Path, message: Wire): void;
  /** Pieces of a long message arrive from a member, so it lives. */
  heard(from: PeerId): void;
  timer(name: TimerName): void;
  /** The page has put a message into the outbox. */
  sending(): void;
  /** A congested path accepts data again. */
  drained(): void;
  /** A data channel, or the relay, has opened or closed. */
  linked(id: PeerId | "relay"): void;
  /** The server answers again in the same epoch, perhaps with another roster. */
  opened(roster: readonly RosterEntry[] | undefined): void;
  joined(member: RosterEntry): void;
  left(id: PeerId): void;
  /** The page has answered a question for a snapshot: delivery may go on. */
  resume(): void;
  /** The tab was frozen for a while: the silence of others proves nothing. */
  thawed(): void;
  /** Ends a step: sends and delivers what has gathered. */
  flush(): void;
}
