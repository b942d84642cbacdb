// A browser's tab that runs the group, as the parts of a node see it.

import type { Event, Group } from "../src/group/index.ts";
import type { World } from "./world.ts";

export interface Tab {
  readonly id: string;
  readonly world: World;
  readonly machine: Group;
  /** Whether the page is still there. */
  readonly alive: boolean;
  /** Whether the page's code is stopped for a while. */
  readonly frozen: boolean;
  feed(event: Event): void;
}
