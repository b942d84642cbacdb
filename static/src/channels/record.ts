// Record of a channel whose state the application does not give, kept for other members: the last
// state that the page was given, and the messages since.

import { EMPTY, type LoggedMessage, type Part } from "./parts.ts";

/** Most that is kept of a channel that is whole or has a state, in characters. */
const KEPT_CHARS = 4 << 20;
/** Most that is kept of all channels together that the application has not opened. */
const UNOPENED_CHARS = 32 << 20;
/** Most that is kept of a channel without a state, whose oldest messages may go. */
const RECENT_CHARS = 16 << 20;
/** Most messages of it, and the time for which they are kept: about as in the group's log. */
const RECENT_COUNT = 32_768;
const RECENT_MS = 45_000;
/** Characters that a message counts beside its text. */
const MESSAGE_CHARS = 128;

export interface RecordLimits {
  readonly keptChars: number;
  readonly unopenedChars: number;
  readonly recentChars: number;
  readonly recentCount: number;
  readonly recentMs: number;
}

export const LIMITS: RecordLimits = {
  keptChars: KEPT_CHARS,
  unopenedChars: UNOPENED_CHARS,
  recentChars: RECENT_CHARS,
  recentCount: RECENT_COUNT,
  recentMs: RECENT_MS,
};

interface Timed {
  readonly message: LoggedMessage;
  readonly at: number;
}

export class ChannelRecord {
  /** Whether the application is handed the messages. The oldest may then go where there is no state. */
  isRead = false;
  readonly #limits: RecordLimits;
  #state: string | undefined;
  #messages: Timed[] = [];
  /** Number of messages at the front of the list that are dropped. */
  #dropped = 0;
  #chars = 0;
  #whole = true;
  #overflowed = false;

  constructor(limits: RecordLimits) {
    this.#limits = limits;
  }

  /**
   * Whether more came than is kept, so that this page knows too little of the channel to start
   * others.
   */
  get overflowed(): boolean {
    return this.#overflowed;
  }

  /** Characters that the record takes, about. */
  get chars(): number {
    return this.#chars;
  }

  /** Whether the record is that of a channel on which nobody has said anything. */
  get isEmpty(): boolean {
    return this.#state === undefined && this.#count === 0 && this.#whole;
  }

  /** Whether the oldest messages go, as they do in the log. */
  get #isTrimmed(): boolean {
    return this.#state === undefined && (this.isRead || !this.#whole);
  }

  get #count(): number {
    return this.#messages.length - this.#dropped;
  }

  /** Returns the channel as far as the record has it. */
  part(now: number): Part {
    if (this.#isTrimmed) this.#trim(now);
    const messages = this.#messages.slice(this.#dropped).map(({ message }) => message);
    return { state: this.#state, messages, whole: this.#whole };
  }

  add(message: LoggedMessage, now: number): void {
    if (this.#overflowed) return;
    this.#messages.push({ message, at: now });
    this.#chars += costOf(message);
    if (this.#isTrimmed) this.#trim(now);
    else if (this.#chars > this.#limits.keptChars) this.overflow();
  }

  /** Replaces the record by a part that another page gave. */
  replace(part: Part, now: number): void {
    this.#overflowed = false;
    this.#state = part.state;
    this.#messages = part.messages.map((message) => ({ message, at: now }));
    this.#dropped = 0;
    this.#whole = part.whole;
    this.#chars = part.messages.reduce(
      (sum, message) => sum + costOf(message),
      part.state?.length ?? 0,
    );
    if (!this.#isTrimmed && this.#chars > this.#limits.keptChars) this.overflow();
  }

  /** Forgets everything: the application gives the state itself. */
  clear(): void {
    this.replace(EMPTY, 0);
  }

  /** Forgets everything, since it is more than this page keeps. */
  overflow(): void {
    this.replace({ ...EMPTY, whole: false }, 0);
    this.#overflowed = true;
  }

  /** Something is missing, which others may have. */
  incomplete(): void {
    this.#whole = false;
  }

  #trim(now: number): void {
    const { recentMs, recentCount, recentChars } = this.#limits;
    for (;;) {
      const oldest = this.#messages[this.#dropped];
      const isCrammed = this.#chars > recentChars || this.#count > recentCount;
      if (!oldest || (now - oldest.at <= recentMs && !isCrammed)) break;
      this.#dropped++;
      this.#chars -= costOf(oldest.message);
      this.#whole = false;
    }
    if (this.#dropped > 64 && this.#dropped > this.#count) {
      this.#messages.splice(0, this.#dropped);
      this.#dropped = 0;
    }
  }
}

function costOf({ text }: LoggedMessage): number {
  return text.length + MESSAGE_CHARS;
}
