// The part of a PageGroup that the board needs. The tests have another implementation.
import type { PageGroupEvents } from "../index.ts";

export type GroupEvents = { readonly [name in keyof PageGroupEvents]: PageGroupEvents[name][0] };

export interface OrderedGroup {
  readonly id: string;
  readonly host: string | undefined;
  readonly epoch: number;
  readonly isHost: boolean;
  readonly members: readonly string[];
  /** Profile of this member. Setting it tells the others. */
  profile: unknown;
  /** Resolves when the message was delivered to this page too. */
  send(data: unknown): Promise<void>;
}
