// The channels of a node's page, with the real table of the library. What all channels together should hold is the
// list of the node's app, which is handed the same messages and restored to the same places.

import { PURPOSE, wrap } from "../src/channels/envelope.ts";
import {
  ChannelTable,
  type Handed,
  type Restoration,
  type Restored,
} from "../src/channels/table.ts";
import type { Effect, Reason } from "../src/group/index.ts";
import { origin, type App } from "./app.ts";
import { Prng } from "./prng.ts";
import { Failure, type World } from "./world.ts";

/** Channels beside the group itself, and the share of pages that open each from the start. */
const SHARES: Readonly<Record<string, number>> = { x: 0.7, y: 0.3, z: 0 };
/** Share of pages that never open a channel which they did not open from the start. */
const NEVER = 0.5;
const LATEST_MS = 6000;
/** Characters that a page keeps of a channel in schedules with little room. */
const SMALL_CHARS = 1200;

interface Open {
  list: string[];
  /** Whether the page has all of the channel, as far as it was told. */
  whole: boolean;
}

/** Returns the channel that a message is sent on. */
function channelOf(message: string): string {
  const [sender, n] = origin(message);
  return ["", "x", "y", "z"][(n + sender.charCodeAt(0)) % 4] as string;
}

export class Conversations {
  /** Whether the node's library has channels. */
  readonly able: boolean;
  readonly #id: string;
  readonly #world: World;
  readonly #app: App;
  readonly #table: ChannelTable;
  readonly #open = new Map<string, Open>();

  constructor(id: string, world: World, app: App) {
    // Draws of its own: the rest of a schedule is the same with channels and without.
    const chance = (share: number, what: number): boolean =>
      new Prng(world.seed * 1000 + id.charCodeAt(0) * 8 + what).chance(share);
    this.#id = id;
    this.#world = world;
    this.#app = app;
    this.able = !(hasLacking(world) && chance(0.4, 0));
    const isSmall = new Prng(world.seed * 1000 + 1).chance(0.2);
    this.#table = new ChannelTable(isSmall ? { keptChars: SMALL_CHARS } : {});
    this.#table.open("", { gives: true, restores: true }, world.now);
    for (const [i, [channel, share]] of Object.entries(SHARES).entries()) {
      if (chance(share, 2 * i + 1)) this.open(channel);
      else if (!chance(NEVER, 2 * i + 2))
        world.clock.after(new Prng(world.seed + id.charCodeAt(0) + i).int(1, LATEST_MS), () =>
          this.open(channel),
        );
    }
  }

  /** Whether the page gives snapshots, if the group's own state is given. */
  get gives(): boolean {
    return !this.able || this.#table.gives;
  }

  /** The page opens a channel. */
  open(channel: string): void {
    if (!this.able || this.#open.has(channel)) return;
    this.#open.set(channel, { list: [], whole: true });
    const callbacks = { gives: true, restores: true };
    this.#apply(this.#table.open(channel, callbacks, this.#world.now), "join");
    this.check();
  }

  /** The page was handed a message, which is in the app's list. */
  take({ from, n, seq, epoch, data }: Extract<Effect, { type: "deliver" }>): void {
    if (!this.able) return;
    const channel = channelOf(data as string);
    const text = wrap(PURPOSE.message, channel, data as string);
    const handed = this.#table.take({ from, n, seq, epoch, text }, this.#world.now);
    const open = this.#open.get(channel);
    if (handed && channel !== "" && !open)
      this.#fail(`${String(data)} is handed over on ${channel}, which is not open`);
    if (!handed && open?.whole) this.#fail(`${String(data)} is not handed over on ${channel}`);
    if (handed) this.#hand(handed);
  }

  /** Returns the parts of the page's snapshot; undefined if its library has none. */
  parts(): { readonly parts?: unknown } | undefined {
    if (!this.able) return {};
    const states = new Map([["", "the list of the app"]]);
    for (const [channel, { list }] of this.#open) states.set(channel, JSON.stringify(list));
    const given = this.#table.snapshot(states, this.#world.now);
    return given && { parts: given.parts };
  }

  /** The app was restored to a state with these parts. */
  restore(parts: unknown, reason: Reason): void {
    if (!this.able) return;
    const restored = this.#table.restore("the list of the app", parts, reason, this.#world.now);
    for (const { channel, complete } of restored.channels)
      if (!complete && !hasLacking(this.#world))
        this.#fail(`${channel} is not complete after a restore (${reason})`);
    let last = 0;
    for (const { message } of restored.messages) {
      if (message.seq <= last) this.#fail("messages of parts are not in the one order");
      last = message.seq;
    }
    this.#apply(restored, reason);
    this.check();
  }

  /** The page was told that something is missing, without a state. */
  incomplete(): void {
    this.#table.incomplete();
  }

  /** Checks that each open channel holds its messages, once and in order, unless the page was told otherwise. */
  check(): void {
    for (const [channel, { list, whole }] of this.#open) {
      if (!whole) continue;
      const expected = this.#app.list.filter((message) => channelOf(message) === channel);
      if (list.join(" ") !== expected.join(" "))
        this.#fail(`${channel} holds ${list.join(" ")}, and should ${expected.join(" ")}`);
    }
  }

  /** The end: what was kept unread must be right, too. */
  finish(): void {
    for (const channel of Object.keys(SHARES)) this.open(channel);
    this.check();
    for (const { whole } of this.#open.values())
      this.#world.count(`channel ${whole ? "whole" : "not whole"} in the end`);
  }

  #apply({ channels, messages }: Restored, reason: Reason): void {
    for (const about of channels) this.#restoreOne(about, reason);
    for (const handed of messages) this.#hand(handed);
  }

  #restoreOne({ channel, replaces, state, complete, via }: Restoration, reason: Reason): void {
    const open = this.#open.get(channel);
    if (!open) return;
    if (replaces) open.list = state === undefined ? [] : (JSON.parse(state) as string[]);
    // A page that goes on with what it has lacks what it lacked before.
    open.whole = complete && (replaces || reason === "join" || open.whole);
    this.#world.count(`channel: restored ${via} ${complete ? "complete" : "incomplete"}`);
  }

  #hand({ channel, payload }: Handed): void {
    this.#open.get(channel)?.list.push(payload);
  }

  #fail(what: string): never {
    throw new Failure("9 channels", `${this.#id}: ${what}`);
  }
}

/** Returns whether some members' libraries have no channels. */
export function hasLacking({ seed }: World): boolean {
  return new Prng(seed * 1000).chance(0.3);
}
