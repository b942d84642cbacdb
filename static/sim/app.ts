// The page above the library. Its state is the list of all messages, so two states are equal only if every message came
// once and in one order.

import type { Place } from "../src/group/types.ts";

export interface AppState {
  readonly list: readonly string[];
  readonly hash: number;
}

/** Splits a message such as `a#7` into its sender, whose name is one letter, and its number. */
export function origin(message: string): readonly [sender: string, n: number] {
  return [message[0] as string, Number(message.slice(2))];
}

export class App {
  list: string[] = [];
  has = new Set<string>();
  /** Number of the last message seen of each sender. */
  last = new Map<string, number>();
  /** The other members with their profiles, as the page was told of them. */
  readonly members = new Map<string, unknown>();
  hash = 0;
  /** Messages that the page was told are lost, listed or not: the checks look for them no more. */
  readonly accounted = new Set<string>();
  /** Messages that the page was handed and gave up, and that its library is to send again. */
  readonly again = new Set<string>();
  /** The last message that the page was handed since it was restored or told that something is missing. */
  latest: { readonly message: string; readonly place: Place } | undefined;
  seq = -1;
  /** Whether the page lacks messages, as far as it knows: its state compares to no other. */
  partial = false;

  take(message: string, seq: number): void {
    this.#add(message);
    this.seq = seq;
  }

  snapshot(): AppState {
    return { list: this.list.slice(), hash: this.hash };
  }

  restore({ list }: AppState): void {
    this.list = [];
    this.has = new Set();
    this.last = new Map();
    this.hash = 0;
    for (const message of list) this.#add(message);
    this.seq = -1;
    this.latest = undefined;
    this.partial = false;
  }

  #add(message: string): void {
    this.list.push(message);
    this.has.add(message);
    const [sender, n] = origin(message);
    this.last.set(sender, n);
    let { hash } = this;
    for (let i = 0; i < message.length; i++)
      hash = Math.imul(hash ^ message.charCodeAt(i), 0x01000193);
    this.hash = hash ^ (hash >>> 15);
  }
}
