// A node's takeover, as the checks need it: what the node knew when it was named host, and what it heard before it
// stamped.

import type { Event, Wire } from "../src/group/index.ts";
import { epochAt } from "../src/group/history.ts";
import type { Place, Standing } from "../src/group/types.ts";
import type { Tab } from "./tab.ts";

export class Naming {
  readonly #tab: Tab;
  /** Where the page stood when the node was named host. */
  stood: Place = { r: 0, e: 0, s: 0 };
  /** The host before, where the takeover does not wait for it. */
  deposed: string | undefined;
  /** Members that the server told the node of, as a host. */
  readonly known = new Set<string>();
  /** Where the members stood that answered the present takeover. */
  readonly answers = new Map<string, Standing>();
  /** When the node was named host. */
  at = 0;
  /** Whether the node was named host and has not begun to stamp. */
  isTakingOver = false;
  /** Whether the node's history had gone on without the server's word when it was named host. */
  wasAlone = false;

  constructor(tab: Tab) {
    this.#tab = tab;
  }

  /** Takes note of an event before the machine handles it. Returns whether another host is named, or this node. */
  learn(event: Event): "nothing" | "other" | "named" {
    if (event.type === "joined") this.known.add(event.member.id);
    else if (event.type === "left") this.known.delete(event.id);
    const told =
      event.type === "open" ? event.open : event.type === "host" ? event.host : undefined;
    if (!told) return "nothing";
    const { id, machine, world } = this.#tab;
    const isNews = told.epoch > machine.epoch;
    const isHost = told.host === id;
    if (isNews) this.isTakingOver = isHost;
    if (isHost) {
      this.known.clear();
      for (const member of told.roster ?? []) if (member.id !== id) this.known.add(member.id);
    }
    if (!isNews) return "nothing";
    if (!isHost) return "other";
    const { place, line, delivered } = machine;
    this.wasAlone = machine.alone;
    this.stood = { r: place.r, e: epochAt(line, delivered), s: delivered };
    this.deposed =
      event.type === "host" && ["stalled", "unreachable"].includes(event.host.cause)
        ? machine.host
        : undefined;
    this.answers.clear();
    this.at = world.now;
    return "named";
  }

  /** Takes note of an answer to the takeover. */
  note(from: string, message: Wire): void {
    const { frozen, machine } = this.#tab;
    if (message.t === "at" && !frozen && message.e === machine.epoch && this.isTakingOver)
      this.answers.set(from, message.at);
  }
}
