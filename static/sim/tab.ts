// What the parts of a node know of it: a browser's tab that runs the group.

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
