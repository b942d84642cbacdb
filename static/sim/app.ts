// The page above the library: its state is the list of all it was told, so that two states are equal only if
// everything came once and in one order.

import type { Place } from "../src/group/types.ts";

export interface AppState {
  readonly list: readonly string[];
  readonly hash: number;
}

/** Messages are `a#7`: whose, and its how manieth. A member's name is one letter. */
export function origin(message: string): readonly [sender: string, n: number] {
  return [message[0] as string, Number(message.slice(2))];
}

export class App {
  list: string[] = [];
  has = new Set<string>();
  /** The last count seen of each sender. */
  last = new Map<string, number>();
  /** The others, as it was told of them, with their profiles. */
  readonly members = new Map<string, unknown>();
  hash = 0;
  /** What it was told that is lost, or lost beyond what is listed: that is not looked for any more. */
  readonly accounted = new Set<string>();
  /** What it was handed and gave up, and its library is to send again. */
  readonly again = new Set<string>();
  /** The last it was handed, since it was restored or told that something is missing. */
  latest: { readonly message: string; readonly place: Place } | undefined;
  seq = -1;
  /** It came late where nobody gives snapshots, or was told that something is missing: comparable to nobody. */
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
