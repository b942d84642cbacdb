// The channels of one page, open or not: which messages the application is handed, what a snapshot
// says of each channel, and what a given snapshot does to each. A pure part: others call the
// application.

import type { Reason } from "../group/index.ts";
import { PURPOSE, unwrap } from "./envelope.ts";
import {
  EMPTY,
  UNKNOWN,
  charsOf,
  readParts,
  writeParts,
  type LoggedMessage,
  type Part,
} from "./parts.ts";
import { ChannelRecord, LIMITS, type RecordLimits } from "./record.ts";

/** Most channels that a page knows without having opened them. */
const CHANNELS = 1024;
/** Most senders of one channel whose last message is known. */
const SENDERS = 4096;

/** The application's callbacks on a channel, as far as they matter here. */
export interface Callbacks {
  /** Whether the application gives the channel's state. */
  readonly gives: boolean;
  /** Whether it takes a state in place of its own. */
  readonly restores: boolean;
}

/** A message that the application is handed. */
export interface Handed {
  readonly channel: string;
  readonly message: LoggedMessage;
  /** The message's data, packed. */
  readonly payload: string;
}

/** Effect of its part of a snapshot on an open channel. */
export interface Restoration {
  readonly channel: string;
  /** Whether the application replaces its state by `state`, or by its first one if that is absent. */
  readonly replaces: boolean;
  /** State that the part has, packed. */
  readonly state: string | undefined;
  /** Whether the page has all of the channel afterwards. */
  readonly complete: boolean;
  readonly via: "log" | "snapshot" | "none";
}

export interface Restored {
  readonly channels: readonly Restoration[];
  /** Messages that follow once all channels have their states, in the group's order. */
  readonly messages: readonly Handed[];
}

/** A snapshot as it travels: the state of the channel "", and the parts of the others. */
export interface GivenSnapshot {
  readonly state: string | undefined;
  readonly parts: unknown;
  /** Characters of both in a message, about. */
  readonly chars: number;
  /** Characters of what is kept of channels whose state the application does not give. */
  readonly kept: number;
}

interface Known {
  /** Undefined until the application opens the channel. */
  callbacks: Callbacks | undefined;
  readonly record: ChannelRecord;
  /** Whether the application was handed all of the channel. */
  whole: boolean;
  /** The last message of each sender that the application was handed since it took a state. */
  last: Map<string, number>;
}

export class ChannelTable {
  readonly #limits: RecordLimits;
  readonly #known = new Map<string, Known>();
  /** Whether there were more channels than a page keeps. */
  #tooMany = false;
  #gives = false;
  /** Characters that are kept of channels which the application has not opened. */
  #unopenedChars = 0;
  /** Whether a channel of which the page has heard nothing is empty. */
  #knowsAll = true;
  /** Whether something is missing, on whatever channel. */
  #isPartial = false;

  constructor(limits: Partial<RecordLimits> = {}) {
    this.#limits = { ...LIMITS, ...limits };
  }

  /** Whether this page can give others what they need to start from. */
  get gives(): boolean {
    return this.#gives;
  }

  /** The channels whose state the application gives. */
  get givers(): readonly string[] {
    return [...this.#known].flatMap(([name, { callbacks }]) => (callbacks?.gives ? [name] : []));
  }

  /** The application opens a channel. Returns what it is handed of it now. */
  open(channel: string, callbacks: Callbacks, now: number): Restored {
    const known = this.#get(channel);
    const { record } = known;
    const part = record.part(now);
    known.callbacks = callbacks;
    record.isRead = true;
    if (callbacks.gives && !record.overflowed) record.clear();
    const restored = hand(channel, known, part, "join");
    this.#changed();
    const complete = restored.about.complete && !this.#isPartial;
    return { channels: [{ ...restored.about, complete }], messages: restored.messages };
  }

  /** The application sets or removes a callback of a channel that it has opened. */
  callbacksChanged(channel: string, callbacks: Callbacks): void {
    const known = this.#known.get(channel);
    if (!known?.callbacks) return;
    const gave = known.callbacks.gives;
    if (callbacks.gives && !gave && !known.record.overflowed) known.record.clear();
    if (gave && !callbacks.gives) known.record.incomplete();
    known.callbacks = callbacks;
    this.#changed();
  }

  /** Takes a message of the log. Returns it if the application is handed it now. */
  take(message: LoggedMessage, now: number): Handed | undefined {
    const { from, n, text } = message;
    // A text that cannot be read counts as a message of the group itself, which reports it.
    const { purpose, channel, payload } = unwrap(text) ?? bare(text);
    const known = this.#known.get(channel) ?? this.#discover(channel);
    if (!known) return undefined;
    if (!known.callbacks?.gives) this.#keep(known, message, now);
    if (!known.callbacks || purpose !== PURPOSE.message) return undefined;
    // A page that keeps its messages when a history is given up is handed none of them again.
    const { last } = known;
    if (n <= (last.get(from) ?? 0)) return undefined;
    note(last, from, n);
    return { channel, message, payload };
  }

  /**
   * Returns a snapshot made of the states that the application gave and of what is kept of the
   * other channels; undefined if this page cannot give one.
   */
  snapshot(states: ReadonlyMap<string, string>, now: number): GivenSnapshot | undefined {
    if (!this.#gives) return undefined;
    const parts = new Map<string, Part>();
    let own: string | undefined;
    for (const [name, { callbacks, record, whole }] of this.#known) {
      const state = states.get(name);
      if (!callbacks?.gives) {
        if (!record.isEmpty) parts.set(name, record.part(now));
      } else if (state === undefined) return undefined;
      else if (name !== "") parts.set(name, { state, messages: [], whole });
      else {
        // Libraries without channels find the state of the group itself where it always was.
        own = state;
        if (!whole) parts.set("", UNKNOWN);
      }
    }
    let chars = own === undefined ? 0 : charsOf({ ...EMPTY, state: own });
    let kept = 0;
    for (const [name, part] of parts) {
      chars += charsOf(part);
      if (!states.has(name)) kept += charsOf(part);
    }
    const all = this.#knowsAll;
    return { state: own, parts: writeParts({ of: parts, all }), chars, kept };
  }

  /** Goes on from a snapshot. Returns what that means for the channels that are open. */
  restore(state: unknown, parts: unknown, reason: Reason, now: number): Restored {
    const given = readParts(parts);
    this.#knowsAll = given?.all === true;
    const own = typeof state === "string" ? state : undefined;
    const unlisted = this.#knowsAll ? EMPTY : UNKNOWN;
    const partOf = (name: string): Part =>
      name === "" && own !== undefined
        ? { state: own, messages: [], whole: given?.of.get("")?.whole ?? true }
        : (given?.of.get(name) ?? unlisted);
    this.#tooMany = false;
    this.#isPartial = false;
    for (const name of given?.of.keys() ?? []) if (!this.#known.has(name)) this.#discover(name);
    const channels: Restoration[] = [];
    const messages: Handed[] = [];
    for (const [name, known] of this.#known) {
      const part = partOf(name);
      if (known.callbacks?.gives) known.record.clear();
      else known.record.replace(part, now);
      if (known.callbacks) {
        const restored = hand(name, known, part, reason);
        channels.push(restored.about);
        messages.push(...restored.messages);
      } else if (known.record.isEmpty) this.#known.delete(name);
    }
    this.#changed();
    messages.sort((a, b) => a.message.seq - b.message.seq);
    return { channels, messages };
  }

  /**
   * The page goes on without something that others may have. The state machine asks it for no
   * snapshot until it is restored.
   */
  incomplete(): void {
    this.#isPartial = true;
  }

  #keep({ callbacks, record }: Known, message: LoggedMessage, now: number): void {
    const [wasEmpty, hadOverflowed, chars] = [record.isEmpty, record.overflowed, record.chars];
    record.add(message, now);
    if (!callbacks) {
      this.#unopenedChars += record.chars - chars;
      if (this.#unopenedChars > this.#limits.unopenedChars) record.overflow();
    }
    if (wasEmpty !== record.isEmpty || hadOverflowed !== record.overflowed) this.#changed();
  }

  #get(channel: string): Known {
    let known = this.#known.get(channel);
    if (!known) {
      const record = new ChannelRecord(this.#limits);
      const whole = this.#knowsAll && !this.#tooMany;
      known = { callbacks: undefined, record, whole, last: new Map() };
      this.#known.set(channel, known);
      if (!whole) record.incomplete();
    }
    return known;
  }

  /** Makes a record of a channel that others use, unless there are too many. */
  #discover(channel: string): Known | undefined {
    if (this.#known.size < CHANNELS) return this.#get(channel);
    this.#tooMany = true;
    this.#changed();
    return undefined;
  }

  #changed(): void {
    const all = [...this.#known.values()];
    const unopened = all.filter(({ callbacks }) => !callbacks);
    this.#unopenedChars = unopened.reduce((sum, { record }) => sum + record.chars, 0);
    this.#gives =
      !this.#tooMany &&
      !all.some(({ record }) => record.overflowed) &&
      all.some(({ callbacks, record }) => (callbacks ? callbacks.gives : !record.isEmpty));
  }
}

/** Hands an open channel its part of a snapshot. */
function hand(
  channel: string,
  known: Known,
  { state, messages, whole }: Part,
  reason: Reason,
): { readonly about: Restoration; readonly messages: readonly Handed[] } {
  const restores = known.callbacks?.restores === true;
  // A page that has just joined has its first state already.
  const replaces = restores && (state !== undefined || (whole && reason !== "join"));
  if (replaces) known.last = new Map();
  const { last } = known;
  const first = messages[0];
  // The part begins with a message that the page has, so nothing is missing between the two.
  const goesOn =
    reason !== "replaced" && first !== undefined && first.n <= (last.get(first.from) ?? 0);
  const complete = whole || (state === undefined && goesOn);
  known.whole = whole || (complete && known.whole);
  const handed = messages.flatMap((message): Handed[] => {
    const { from, n, text } = message;
    const { purpose, payload } = unwrap(text) ?? bare(text);
    if (purpose !== PURPOSE.message || n <= (last.get(from) ?? 0)) return [];
    note(last, from, n);
    return [{ channel, message, payload }];
  });
  const via = state !== undefined ? "snapshot" : complete || handed.length > 0 ? "log" : "none";
  return { about: { channel, replaces, state, complete, via }, messages: handed };
}

function bare(text: string): { readonly purpose: string; channel: string; payload: string } {
  return { purpose: PURPOSE.message, channel: "", payload: text };
}

function note(last: Map<string, number>, from: string, n: number): void {
  if (last.size >= SENDERS && !last.has(from))
    for (const oldest of last.keys()) {
      last.delete(oldest);
      break;
    }
  last.set(from, n);
}
