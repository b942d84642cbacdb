// The receiving side: hands the page each message once, in the order of its sender, when the page
// was handed as much of the log as the sender's page had been.

import { lies } from "../history.ts";
import type { Replica } from "../replica.ts";
import type { Settings } from "../settings.ts";
import type { PeerId, Place } from "../types.ts";
import type { Route } from "./routes.ts";
import type { Direct, DirectItem, Got } from "./wire.ts";

/** Number of senders that are remembered. Of more, the one that was heard first is forgotten. */
const SENDERS = 1024;

interface Held extends DirectItem {
  readonly after: number;
  readonly bytes: number;
}

/** One load of a sender's page. */
interface Sender {
  readonly id: PeerId;
  readonly life: number;
  /** Key of this page for the sender. It changes if the sender was forgotten, or this page is new. */
  readonly key: number;
  /** The page was handed everything up to this `n`. */
  last: number;
  readonly held: Map<number, Held>;
  /** Way by which the sender is to be answered, and the key that it used last. */
  answer: { readonly route: Route; readonly asked: number } | undefined;
}

interface InboxParts {
  readonly replica: Replica;
  readonly settings: Settings;
}

interface InboxHooks {
  hand(from: PeerId, life: number, item: DirectItem): void;
  answer(to: PeerId, got: Omit<Got, "e">, route: Route): void;
}

export class Inbox {
  readonly #parts: InboxParts;
  readonly #hooks: InboxHooks;
  readonly #senders = new Map<string, Sender>();
  /** Senders that are to be answered at the end of the step. */
  readonly #unanswered = new Set<Sender>();
  /** Senders of which messages wait. */
  readonly #waiting = new Set<Sender>();
  #heldBytes = 0;
  #lastKey = 0;

  constructor(parts: InboxParts, hooks: InboxHooks) {
    this.#parts = parts;
    this.#hooks = hooks;
  }

  /** Keys are counted on from here, so that no earlier load of the page gave the same. */
  startAfter(key: number): void {
    this.#lastKey = key;
  }

  take(from: PeerId, { life, key, after, x }: Direct, route: Route): void {
    const sender = this.#sender(from, life);
    sender.answer = { route, asked: key };
    this.#unanswered.add(sender);
    if (key !== sender.key) return;
    let before = after;
    for (const item of x) {
      this.#keep(sender, item, before);
      before = item.n;
    }
  }

  /** Hands what can be handed by now, and answers the senders. */
  flush(): void {
    for (const sender of this.#waiting) this.#hand(sender);
    for (const sender of this.#unanswered) {
      const { id, life, key, last: n, answer } = sender;
      if (answer)
        this.#hooks.answer(id, { t: "got", life, key, asked: answer.asked, n }, answer.route);
    }
    this.#unanswered.clear();
  }

  #sender(id: PeerId, life: number): Sender {
    const name = `${life} ${id}`;
    let sender = this.#senders.get(name);
    if (sender) return sender;
    sender = { id, life, key: ++this.#lastKey, last: 0, held: new Map(), answer: undefined };
    this.#senders.set(name, sender);
    if (this.#senders.size > SENDERS) this.#forgetOne();
    return sender;
  }

  #forgetOne(): void {
    for (const [name, sender] of this.#senders) {
      for (const n of [...sender.held.keys()]) this.#release(sender, n);
      this.#senders.delete(name);
      this.#unanswered.delete(sender);
      return;
    }
  }

  /** Keeps a message until its turn. What finds no room is sent again. */
  #keep(sender: Sender, item: DirectItem, after: number): void {
    const { aheadBytes, aheadCount } = this.#parts.settings;
    if (item.n <= sender.last) return;
    const bytes = typeof item.d === "string" ? Math.max(item.z, item.d.length) : item.z;
    this.#release(sender, item.n);
    const isNext = after <= sender.last && this.#isReached(item.at);
    const isFull = this.#heldBytes + bytes > aheadBytes || sender.held.size >= aheadCount;
    if (isFull && !isNext) return;
    sender.held.set(item.n, { ...item, after, bytes });
    this.#heldBytes += bytes;
    this.#waiting.add(sender);
    if (isNext) this.#hand(sender);
  }

  #release(sender: Sender, n: number): void {
    this.#heldBytes -= sender.held.get(n)?.bytes ?? 0;
    sender.held.delete(n);
    if (sender.held.size === 0) this.#waiting.delete(sender);
  }

  #hand(sender: Sender): void {
    for (const item of [...sender.held.values()].sort((a, b) => a.n - b.n)) {
      // The sender has given up what was passed over.
      if (item.n <= sender.last) this.#release(sender, item.n);
      if (item.n <= sender.last || item.after > sender.last || !this.#isReached(item.at)) continue;
      this.#release(sender, item.n);
      sender.last = item.n;
      this.#unanswered.add(sender);
      this.#hooks.hand(sender.id, sender.life, item);
    }
  }

  /** Returns whether the page was handed the log up to a place. */
  #isReached(place: Place): boolean {
    const { replica } = this.#parts;
    return place.r === 0 || lies(place, { ...replica.position, line: replica.log.line });
  }
}
