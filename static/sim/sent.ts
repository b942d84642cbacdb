// The messages that a node's page has sent: their sizes, promises and fates.

import type { Group } from "../src/group/index.ts";
import { origin } from "./app.ts";
import type { World } from "./world.ts";

export class Sent {
  readonly #id: string;
  readonly #world: World;
  readonly #machine: Group;
  /** When the machine said that a message came back. */
  readonly resolvedAt = new Map<string, number>();
  /** Messages that were not given back with an error. */
  readonly owed = new Set<string>();
  /** Messages whose promise is open, by token. */
  readonly #open = new Map<number, string>();
  readonly #sizes: number[] = [];
  readonly #sentAt: number[] = [];
  /** The machine's own count of each message that it took. */
  readonly #counts = new Map<string, number>();
  /** Messages that the machine did not take. */
  readonly #refused = new Set<string>();
  #token = 0;

  constructor(id: string, world: World, machine: Group) {
    this.#id = id;
    this.#world = world;
    this.#machine = machine;
  }

  /** Number of messages that the page has sent. */
  get count(): number {
    return this.#token;
  }

  /** Sends the next message by `feed`. */
  send(feed: (token: number, message: string, size: number) => void): void {
    const { random, now } = this.#world;
    const token = ++this.#token;
    const message = `${this.#id}#${token}`;
    this.#open.set(token, message);
    this.owed.add(message);
    const size = random.int(8, random.chance(0.02) ? 120 : 60);
    this.#sizes.push(size);
    this.#sentAt.push(now);
    feed(token, message, size);
    if (!this.#refused.has(message)) this.#counts.set(message, this.#counts.size + 1);
  }

  /** Closes a promise and returns its message and when it was sent. `error`: it was rejected. */
  settle(
    token: number,
    error: string | undefined,
  ): { readonly message: string; readonly at: number } {
    const message = this.#open.get(token) as string;
    this.#open.delete(token);
    if (error === undefined) this.resolvedAt.set(message, this.#world.now);
    else {
      this.owed.delete(message);
      if (error !== "Uncertain") this.#refused.add(message);
    }
    return { message, at: this.#sentAt[token - 1] as number };
  }

  /** Returns whether the history that `follower` is in has this message, by its table. */
  isCountedBy(follower: Group, message: string): boolean {
    return follower.holds(this.#id, this.#counts.get(message) ?? 0);
  }

  /** Returns whether the library has this message to send, to send again, or to tell as lost. */
  owes(message: string): boolean {
    return this.#machine.owes(this.#counts.get(message) ?? 0);
  }

  /** Number of bytes from this message to the `last`. */
  bytes(message: string, last: number): number {
    const [, n] = origin(message);
    return this.#sizes.slice(n - 1, last).reduce((sum, size) => sum + size, 0);
  }
}
