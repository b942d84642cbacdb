// Which way each is reached, and how long a word takes there and back. Data channels measure themselves; over the relay
// the host is asked.

import type { Env, Timer } from "./env.ts";
import type { Path } from "./group/types.ts";

export interface ReachHooks {
  host(): string | undefined;
  /** Ask it over the relay, if that can be. */
  ping(id: string, lastMs: number | undefined): void;
  /** The way is the same, and has become quicker or slower. */
  news(id: string, path: Path, ms: number): void;
}

const PING_MS = 5_000;

export class Reach {
  readonly #env: Env;
  readonly #hooks: ReachHooks;
  readonly #times = { p2p: new Map<string, number>(), relay: new Map<string, number>() };
  readonly #paths = new Map<string, Path | "none">();
  #timer: Timer;

  constructor(env: Env, hooks: ReachHooks) {
    this.#env = env;
    this.#hooks = hooks;
  }

  /** From now on this way; how long a word took by it last, in ms. */
  by(id: string, path: Path | "none"): number | undefined {
    this.#paths.set(id, path);
    if (path === "relay" && id === this.#hooks.host()) this.#ping();
    return path === "none" ? undefined : this.#times[path].get(id);
  }

  measured(id: string, ms: number, path: Path): void {
    const times = this.#times[path];
    const old = times.get(id);
    const time = old === undefined ? ms : (old + ms) / 2;
    times.set(id, time);
    const news = old === undefined || Math.abs(time - old) > Math.max(2, old * 0.2);
    if (news && this.#paths.get(id) === path) this.#hooks.news(id, path, time);
  }

  /** Its data channel is closed. */
  closed(id: string): void {
    this.#times.p2p.delete(id);
  }

  gone(id: string): void {
    this.#paths.delete(id);
    this.#times.relay.delete(id);
  }

  stop(): void {
    this.#env.cancel(this.#timer);
  }

  #ping(): void {
    this.#env.cancel(this.#timer);
    const host = this.#hooks.host();
    if (host === undefined || this.#paths.get(host) !== "relay") return;
    this.#hooks.ping(host, this.#times.relay.get(host));
    this.#timer = this.#env.after(PING_MS, () => this.#ping());
  }
}
