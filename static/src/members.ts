// The other members and their profiles, as far as the page's events have told them.

import type { MemberNotice } from "./debug-log.ts";
import type { PagePort } from "./page-port.ts";

export class MemberList {
  readonly #profiles = new Map<string, unknown>();
  /** The list that was returned last, while it is true. */
  #all: readonly string[] | undefined;

  /**
   * Returns the ids of all members, `ownId` first: the same array until somebody comes or goes.
   */
  all(ownId: string): readonly string[] {
    if (this.#all?.[0] !== ownId) this.#all = undefined;
    return (this.#all ??= Object.freeze([ownId, ...this.#profiles.keys()]));
  }

  has(id: string): boolean {
    return this.#profiles.has(id);
  }

  /** Returns a copy of a member's profile: the original belongs to the group's log. */
  profileOf(id: string): unknown {
    return structuredClone(this.#profiles.get(id));
  }

  /** Turns a notice of the state machine into the page's event, and keeps the list up to date. */
  announce(notice: MemberNotice, ownId: string, rttMs: number | undefined, page: PagePort): void {
    switch (notice.kind) {
      case "open": {
        const { host, epoch, first } = notice;
        return page.emit("open", { id: ownId, host, epoch, first });
      }
      case "host": {
        const { host, epoch, isHost, cause, tookMs } = notice;
        return page.emit("host", { host, epoch, isHost, cause, tookMs });
      }
      case "member": {
        const { change: kind, id } = notice;
        this.#all = undefined;
        if (kind === "join") this.#profiles.set(id, notice.profile);
        const profile = this.profileOf(id);
        if (kind === "leave") this.#profiles.delete(id);
        return page.emit("member", { kind, id, profile });
      }
      case "profile":
        this.#profiles.set(notice.id, notice.profile);
        return page.emit("profile", { id: notice.id, profile: this.profileOf(notice.id) });
      case "link":
        return page.emit("link", { id: notice.id, path: notice.path, rttMs });
    }
  }
}
