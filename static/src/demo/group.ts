// What the board needs of a PageGroup; a test has its own.
import type { PageGroupEvents } from "../index.ts";

export type GroupEvents = { readonly [name in keyof PageGroupEvents]: PageGroupEvents[name][0] };

export interface OrderedGroup {
  readonly id: string;
  readonly host: string | undefined;
  readonly epoch: number;
  readonly isHost: boolean;
  readonly members: readonly string[];
  /** One's own, to be replaced. */
  profile: unknown;
  /** Resolves when delivered here, too. */
  send(data: unknown): Promise<void>;
}
