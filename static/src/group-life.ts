// The beginning and the end of a group, as promises.

import { PeerstarError } from "./errors.ts";
import type { Emitter } from "./events.ts";
import type { Opened, PageGroupEvents } from "./page-events.ts";

export class GroupLife {
  /** Resolves with the event `open`; rejects with the error that ends the group before. */
  readonly opened: Promise<Opened>;
  /** Resolves after the event `close`. */
  readonly closed: Promise<void>;

  constructor(events: Emitter<PageGroupEvents>) {
    this.opened = new Promise((resolve, reject) => {
      let end = new PeerstarError("Closed");
      events.on("open", resolve, { once: true });
      events.on("error", (error) => {
        if (error.code === "Refused") end = error;
      });
      events.on("close", () => reject(end), { once: true });
    });
    // A page that does not handle the promise has the events `error` and `close`.
    this.opened.catch(() => {});
    this.closed = new Promise((resolve) => events.on("close", () => resolve(), { once: true }));
  }
}
