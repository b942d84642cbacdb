// The members of a host's page, as the server announces them and as data channels show. The log
// follows the roster: it says who joined and left.

import type { Context } from "./context.ts";
import { Follower } from "./follower.ts";
import type { Stamper } from "./stamper.ts";
import type { MemberInfo, PeerId, RosterEntry } from "./types.ts";

export class Roster {
  readonly followers = new Map<PeerId, Follower>();
  readonly #context: Context;
  readonly #stamper: Stamper;

  constructor(context: Context, stamper: Stamper) {
    this.#context = context;
    this.#stamper = stamper;
  }

  /** The server has announced a member. */
  announced(member: RosterEntry): Follower {
    let follower = this.followers.get(member.id);
    // A member on a new socket has not said its profile yet, which is no change.
    const profile = member.profile ?? follower?.info.profile;
    const info: MemberInfo = { group: member.group, ...(profile === undefined ? {} : { profile }) };
    if (!follower) {
      follower = new Follower(member.id, info, this.#context.now);
      this.followers.set(member.id, follower);
    }
    follower.info = info;
    follower.relayed = member.relay !== false;
    follower.can = member.can ?? follower.can;
    follower.announcedAt = this.#context.now;
    follower.present = true;
    follower.missing = 0;
    follower.gone = false;
    return follower;
  }

  /**
   * Adds a member that speaks before the server's JOIN arrives, or whose socket is down while its
   * data channel is not.
   */
  addStranger(id: PeerId): Follower {
    const info = this.#stamper.members.get(id) ?? { group: true };
    const follower = new Follower(id, info, this.#context.now);
    this.lostSocket(follower);
    this.followers.set(id, follower);
    return follower;
  }

  /**
   * After a break, only these members are here. The others may be coming back, so nothing is
   * stamped of them yet.
   */
  missAllBut(here: ReadonlySet<PeerId>): void {
    const { now } = this.#context;
    for (const follower of this.followers.values()) {
      if (here.has(follower.id)) continue;
      if (follower.present) follower.missing = now;
      follower.present = false;
      follower.absentSince = now;
    }
  }

  /** The member has no socket any more. */
  lostSocket(follower: Follower): void {
    if (follower.present) follower.absentSince = this.#context.now;
    follower.present = false;
  }

  /** Stamps who joined, who left, and whose profile is new. */
  reconcile(): void {
    const { self } = this.#context;
    this.#stamper.stampPresent(self.id, self.info, "spoken");
    for (const follower of this.followers.values()) this.reconcileOne(follower);
    for (const member of [...this.#stamper.members.keys()])
      if (member !== self.id && !this.followers.has(member)) this.#stamper.stampLeft(member);
  }

  reconcileOne(follower: Follower): void {
    const { heard, id, info } = follower;
    if (this.#isHere(follower))
      follower.info = this.#stamper.stampPresent(
        id,
        info,
        heard > -Infinity || !info.group ? "spoken" : "silent",
      );
    else this.#stamper.stampLeft(id);
  }

  /**
   * Forgets members that have left, once that is stamped. Closes channels to members that the
   * server gave up long ago.
   */
  prune(): void {
    const { links, now, paths, server, step } = this.#context;
    for (const [id, follower] of this.followers) {
      const absentMs = now - follower.absentSince;
      if (!follower.present && server.online && absentMs > server.resumeMs && links.up(id))
        step.push({ type: "unlink", id });
      if (this.#isHere(follower) || links.up(id) || this.#stamper.members.has(id)) continue;
      this.followers.delete(id);
      paths.forget(id);
    }
  }

  /**
   * Returns whether a member is here: it has a socket, or a good data channel, or may just be
   * coming back.
   */
  #isHere(follower: Follower): boolean {
    const { links, now, settings } = this.#context;
    return (
      follower.present ||
      (!follower.gone &&
        (links.good(follower.id, now) ||
          (follower.missing !== 0 && now < follower.missing + settings.graceMs)))
    );
  }
}
