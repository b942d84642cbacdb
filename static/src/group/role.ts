// What a member does and what a host does differ; how they are driven does not.

import type { RosterEntry, Path, PeerId } from "./types.ts";
import type { TimerName } from "./timers.ts";
import type { Wire } from "./wire.ts";

export interface Role {
  start(): void;
  stop(): void;
  receive(from: PeerId, via: Path, message: Wire): void;
  /** Pieces of a long message come: it lives. */
  heard(from: PeerId): void;
  timer(name: TimerName): void;
  /** The app has put something in the outbox. */
  sending(): void;
  /** A way out that was jammed is free again. */
  drained(): void;
  /** A way out has opened or closed. */
  linked(id: PeerId | "relay"): void;
  /** The server speaks again, and nothing has changed but perhaps the roster. */
  opened(roster: readonly RosterEntry[] | undefined): void;
  joined(member: RosterEntry): void;
  left(id: PeerId): void;
  /** The page has made its snapshot: what waited for that may be delivered. */
  resume(): void;
  /** We were stopped for a while: silence then proves nothing. */
  thawed(): void;
  /** The last thing in every step. */
  flush(): void;
}
