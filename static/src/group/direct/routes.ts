// Ways of a message to another member: straight, over a data channel or the relay, or through the
// host. Where a ticket forbids the relay only the way through the host may lead there, and the
// sender cannot know that. So each addressee has the way by which it was heard last, and after a
// silence the other one is tried.

import type { Links } from "../links.ts";
import type { Paths } from "../paths.ts";
import type { Self } from "../self.ts";
import type { ServerView } from "../server-view.ts";
import type { Step } from "../step.ts";
import type { PeerId } from "../types.ts";
import type { DirectMessage } from "./wire.ts";

export type Route = "straight" | "host";

interface RouteParts {
  readonly links: Links;
  readonly paths: Paths;
  readonly self: Self;
  readonly server: ServerView;
  readonly step: Step;
}

export class Routes {
  readonly #parts: RouteParts;
  readonly #chosen = new Map<PeerId, Route>();

  constructor(parts: RouteParts) {
    this.#parts = parts;
  }

  /** Returns the ways that are open to a member, the one to take first. */
  open(to: PeerId): Route[] {
    const { self, server } = this.#parts;
    const { host } = server;
    const open: Route[] = this.#isOpen(to) ? ["straight"] : [];
    const isBetween = host !== undefined && host !== to && host !== self.id;
    if (isBetween && this.#isOpen(host)) open.push("host");
    return this.#chosen.get(to) === "host" ? open.reverse() : open;
  }

  /** Returns whether a message can go out to a member now. */
  #isOpen(to: PeerId): boolean {
    const { links, step } = this.#parts;
    const path = links.path(to, step.now);
    return path !== "none" && !links.isCongested(path === "relay" ? "relay" : to);
  }

  /** A member was heard by this way. */
  heard(from: PeerId, route: Route): void {
    if (route === "straight" || !this.#chosen.has(from)) this.#chosen.set(from, route);
  }

  /** Nothing came back by the way that was taken last. */
  failed(to: PeerId): void {
    this.#chosen.set(to, this.#chosen.get(to) === "host" ? "straight" : "host");
  }

  forget(id: PeerId): void {
    this.#chosen.delete(id);
  }

  send(to: PeerId, m: DirectMessage, route: Route): void {
    const { paths, server } = this.#parts;
    if (route === "straight") paths.transmit(to, m);
    else if (server.host !== undefined)
      paths.transmit(server.host, { t: "pass", e: server.epoch, to, m });
  }
}
