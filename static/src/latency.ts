// Measures the round trip to each member and knows the path it is reached by. Data channels measure
// themselves; over the relay, the host is pinged.

import type { Env, Timer } from "./env.ts";
import type { Path } from "./group/index.ts";

export interface LatencyHooks {
  host(): string | undefined;
  /**
   * Pings the host over the relay, if the WebSocket is open. `lastMs`: the last measurement, which
   * travels with it.
   */
  ping(id: string, lastMs: number | undefined): void;
  /** The round trip over the present path has changed by a fifth or more. */
  changed(id: string, path: Path, ms: number): void;
}

/** Interval between two pings of the host over the relay. */
const PING_MS = 5_000;

export class LatencyMeter {
  readonly #env: Env;
  readonly #hooks: LatencyHooks;
  readonly #rttMs = { p2p: new Map<string, number>(), relay: new Map<string, number>() };
  readonly #paths = new Map<string, Path | "none">();
  #timer: Timer;

  constructor(env: Env, hooks: LatencyHooks) {
    this.#env = env;
    this.#hooks = hooks;
  }

  /**
   * Notes the path by which a member is reached now. Returns the last round trip over it in ms, if
   * there is one.
   */
  setPath(id: string, path: Path | "none"): number | undefined {
    this.#paths.set(id, path);
    if (path === "relay" && id === this.#hooks.host()) this.#ping();
    return path === "none" ? undefined : this.#rttMs[path].get(id);
  }

  measured(id: string, ms: number, path: Path): void {
    const times = this.#rttMs[path];
    const old = times.get(id);
    const time = old === undefined ? ms : (old + ms) / 2;
    times.set(id, time);
    const changed = old === undefined || Math.abs(time - old) > Math.max(2, old * 0.2);
    if (changed && this.#paths.get(id) === path) this.#hooks.changed(id, path, time);
  }

  /** Forgets the round trip over a data channel that has closed. */
  channelClosed(id: string): void {
    this.#rttMs.p2p.delete(id);
  }

  /** Forgets a member that has left. */
  forget(id: string): void {
    this.#paths.delete(id);
    this.#rttMs.relay.delete(id);
  }

  stop(): void {
    this.#env.cancel(this.#timer);
  }

  #ping(): void {
    this.#env.cancel(this.#timer);
    const host = this.#hooks.host();
    if (host === undefined || this.#paths.get(host) !== "relay") return;
    this.#hooks.ping(host, this.#rttMs.relay.get(host));
    this.#timer = this.#env.after(PING_MS, () => this.#ping());
  }
}
