// What a page keeps of a channel for other members, where the application gives no state of it: the
// last state that the page was given, and the messages since.

import { EMPTY, type LoggedMessage, type Part } from "./parts.ts";

/** Most that is kept of a channel that is whole or has a state, in characters. */
const KEPT_CHARS = 4 << 20;
/** Most that is kept of a channel without a state, whose oldest messages may go. */
const RECENT_CHARS = 16 << 20;
/** Time for which these are kept. The group's log keeps its entries for about as long. */
const RECENT_MS = 45_000;

export interface RecordLimits {
  readonly keptChars: number;
  readonly recentChars: number;
  readonly recentMs: number;
}

export const LIMITS: RecordLimits = {
  keptChars: KEPT_CHARS,
  recentChars: RECENT_CHARS,
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
    this.#chars += message.text.length;
    if (this.#isTrimmed) this.#trim(now);
    else if (this.#chars > this.#limits.keptChars) this.#overflow();
  }

  /** Replaces the record by a part that another page gave. */
  replace(part: Part, now: number): void {
    this.#overflowed = false;
    this.#state = part.state;
    this.#messages = part.messages.map((message) => ({ message, at: now }));
    this.#dropped = 0;
    this.#whole = part.whole;
    this.#chars = part.messages.reduce(
      (sum, { text }) => sum + text.length,
      part.state?.length ?? 0,
    );
    if (!this.#isTrimmed && this.#chars > this.#limits.keptChars) this.#overflow();
  }

  /** Forgets everything: the application gives the state itself. */
  clear(): void {
    this.replace(EMPTY, 0);
  }

  /** Something is missing, which others may have. */
  incomplete(): void {
    this.#whole = false;
  }

  #overflow(): void {
    this.replace({ ...EMPTY, whole: false }, 0);
    this.#overflowed = true;
  }

  #trim(now: number): void {
    const { recentMs, recentChars } = this.#limits;
    for (;;) {
      const oldest = this.#messages[this.#dropped];
      if (!oldest || (now - oldest.at <= recentMs && this.#chars <= recentChars)) break;
      this.#dropped++;
      this.#chars -= oldest.message.text.length;
      this.#whole = false;
    }
    if (this.#dropped > 64 && this.#dropped > this.#count) {
      this.#messages.splice(0, this.#dropped);
      this.#dropped = 0;
    }
  }
}
