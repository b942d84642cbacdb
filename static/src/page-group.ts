// The public class of the library.
/// <reference lib="esnext.disposable" preserve="true" />

import type { Peer } from "peerjs";
import { BrowserPage } from "./browser-page.ts";
import { debugLog } from "./debug-log.ts";
import { browserEnv } from "./env.ts";
import { Emitter } from "./events.ts";
import { GroupChannel, LocalChannel, type Channel } from "./channels/channel.ts";
import { checkName } from "./channels/name.ts";
import type { GroupTypes, ProfileOf, Untyped } from "./group-types.ts";
import { GroupLife } from "./group-life.ts";
import type { Opened, PageGroupEvents } from "./page-events.ts";
import { checkOptions, checkProfile, type PageGroupOptions } from "./page-options.ts";
import { Shell } from "./shell.ts";

/**
 * More messages than a page can send in a millisecond. Times the clock, it stays a safe integer
 * until the year 2248.
 */
const COUNT_PER_MS = 1024;

/**
 * The group of everybody who looks at a page. What any member sends is delivered to all members
 * once, in the same order. Make one group per page and keep it; it reconnects by itself.
 *
 * `T` gives the types of messages and profiles; without it they are `unknown`.
 */
export class PageGroup<T extends GroupTypes = Untyped> extends GroupChannel<T> {
  readonly #page: BrowserPage;
  readonly #shell: Shell;
  readonly #events: Emitter<PageGroupEvents>;
  readonly #life: GroupLife;
  /** The channels that were asked for, by name. */
  readonly #channels = new Map<string, GroupChannel<GroupTypes>>();

  /**
   * Joins the group, once the page is shown.
   *
   * @throws TypeError or RangeError for a wrong option, and where no group can run. The message
   * says what is allowed.
   */
  constructor(options: PageGroupOptions<T> = {}) {
    const settings = checkOptions(options as PageGroupOptions<GroupTypes>);
    const env = browserEnv();
    const events = new Emitter<PageGroupEvents>();
    const page = new BrowserPage(settings, events);
    const shell = new Shell(
      env,
      {
        id: page.id,
        counted: Date.now() * COUNT_PER_MS,
        profile: settings.profile,
        p2p: settings.p2p,
        ticket: settings.ticket,
      },
      page,
      debugLog(options.debug === true, () => page.id, env.now),
    );
    super("", { app: page, own: events, group: events, shell });
    this.#page = page;
    this.#shell = shell;
    this.#events = events;
    this.#life = new GroupLife(events);
    page.attach(shell);
  }

  /**
   * Resolves with the event `open`. Rejects with `Refused` if the server does not let this page in,
   * and with `Closed` if the page leaves before.
   */
  get opened(): Promise<Opened> {
    return this.#life.opened;
  }

  /**
   * This page's id: new with every load of the page, the same through every reconnection. If the
   * ticket names an id, it is that one. If the ticket comes from a function, the id is final with
   * the event `open`.
   */
  get id(): string {
    return this.#page.id;
  }

  /**
   * Returns the channel with this name, the same object each time. The group itself is the channel
   * "". Set its callbacks and listeners at once: what was said there before is handed over a moment
   * later.
   *
   * @throws TypeError for what is no text, RangeError for more than 128 bytes.
   */
  channel<C extends GroupTypes = Untyped>(name: string): Channel<C> {
    if (checkName(name) === "") return this as unknown as Channel<C>;
    let channel = this.#channels.get(name);
    if (!channel) {
      const app = new LocalChannel();
      const parts = { app, own: app.events, group: this.#events, shell: this.#shell };
      this.#channels.set(name, (channel = new GroupChannel(name, parts)));
      this.#shell.openChannel(name, app);
    }
    return channel as unknown as Channel<C>;
  }

  /**
   * Profile of this member, a copy. A new profile is told to the others in the group's order. A
   * profile can be replaced, not removed.
   *
   * @throws TypeError for what is no JSON. RangeError above 1 KB; once the server has told its own
   * limit, above that.
   */
  get profile(): ProfileOf<T> | undefined {
    return this.profileOf(this.id);
  }

  set profile(profile: ProfileOf<T>) {
    this.#shell.setProfile(checkProfile(profile, this.#shell.profileBytes));
  }

  /**
   * Returns a copy of a present member's profile. Undefined if the member has none, or is not here.
   */
  profileOf(id: string): ProfileOf<T> | undefined {
    const profile =
      id === this.id ? structuredClone(this.#shell.profile) : this.#shell.members.profileOf(id);
    return profile as ProfileOf<T> | undefined;
  }

  /** Id of the host, which puts the messages in order. Undefined until the group is open. */
  get host(): string | undefined {
    return this.#shell.host;
  }

  /** Epoch of the host: a number that grows with every change of host. */
  get epoch(): number {
    return this.#shell.epoch;
  }

  /** Whether this page is the host. */
  get isHost(): boolean {
    return this.#shell.host === this.id;
  }

  /**
   * The ids of all members, this page's own first, as the events have told so far. The same array
   * until somebody comes or goes.
   */
  get members(): readonly string[] {
    return this.#shell.members.all(this.id);
  }

  /**
   * The PeerJS peer, for `call()` and `connect()`. Its events do not show the group's own
   * connections.
   */
  get peer(): Peer {
    return this.#page.peer as unknown as Peer;
  }

  /**
   * Hands over the host's role: to the member `to`, or to the best one if `to` is absent or not
   * here. Does nothing unless this page is the host.
   *
   * @throws TypeError if `to` is no text.
   */
  resign(to?: string): void {
    if (to !== undefined && typeof to !== "string")
      throw new TypeError(
        `resign() takes the id of a member, or nothing, and this is ${to === null ? "null" : typeof to}`,
      );
    this.#shell.resign(to !== undefined && this.#shell.members.has(to) ? to : undefined);
  }

  /**
   * Leaves the group for good and tells the others at once. Sends that wait are rejected with
   * `Closed`. The event `close` follows.
   *
   * @returns A promise that resolves after the event `close`.
   */
  leave(): Promise<void> {
    this.#shell.leave();
    return this.#life.closed;
  }

  /** Leaves at the end of the block of an `await using`, where the browser has it. */
  declare readonly [Symbol.asyncDispose]: () => Promise<void>;
}

// Older browsers have no such symbol.
if (Symbol.asyncDispose)
  Object.defineProperty(PageGroup.prototype, Symbol.asyncDispose, {
    value(this: PageGroup): Promise<void> {
      return this.leave();
    },
    configurable: true,
    writable: true,
  });
