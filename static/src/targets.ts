// Which peers this page keeps a data channel to, and when each is dialled again.

import type { Env, Timer } from "./env.ts";

export interface TargetHooks {
  /** Dial this peer now, unless a channel or a dial exists. */
  dial(id: string): void;
  /** The peer has not been a target for `KEEP_MS`. Returns false to be asked again after as long. */
  release(id: string): boolean;
  /** Dialling this peer failed `times` times in a row. */
  failed(id: string, times: number): void;
}

const AGAIN_MS = 1_000;
const AGAIN_MOST_MS = 30_000;
/** A former host often becomes the next host: its channel and its dial are kept so long. */
const KEEP_MS = 30_000;

interface Target {
  failures: number;
  timer: Timer;
  /** A dial is planned. */
  due: boolean;
}

export class Targets {
  readonly #env: Env;
  readonly #hooks: TargetHooks;
  readonly #targets = new Map<string, Target>();
  readonly #former = new Map<string, Timer>();

  constructor(env: Env, hooks: TargetHooks) {
    this.#env = env;
    this.#hooks = hooks;
  }

  has(id: string): boolean {
    return this.#targets.has(id);
  }

  ids(): string[] {
    return [...this.#targets.keys()];
  }

  /** Replaces the set of targets. A new target is dialled after `delayMs`. */
  set(ids: ReadonlySet<string>, delayMs: () => number): void {
    for (const [id, target] of this.#targets) {
      if (ids.has(id)) continue;
      this.#env.cancel(target.timer);
      this.#targets.delete(id);
      this.#keep(id);
    }
    for (const id of ids) {
      if (this.#targets.has(id)) continue;
      this.#env.cancel(this.#former.get(id));
      this.#former.delete(id);
      this.#targets.set(id, { failures: 0, timer: undefined, due: false });
      this.#plan(id, delayMs());
    }
  }

  /** Plans a dial of every target after `delayMs`, with its failures forgotten. */
  retry(delayMs: () => number): void {
    for (const [id, target] of this.#targets) {
      target.failures = 0;
      this.#plan(id, delayMs());
    }
  }

  /** A channel to this target opened. */
  reached(id: string): void {
    const target = this.#targets.get(id);
    if (target) target.failures = 0;
  }

  /** A dial of this target failed, or its channel ended: dials again, later each time and at no common moment. */
  again(id: string): void {
    const target = this.#targets.get(id);
    if (!target || target.due) return;
    const ms = Math.min(AGAIN_MOST_MS, AGAIN_MS * 2 ** target.failures);
    target.failures++;
    this.#hooks.failed(id, target.failures);
    this.#plan(id, ms * (0.5 + this.#env.random()));
  }

  /** Forgets all targets at once. */
  clear(): void {
    for (const { timer } of this.#targets.values()) this.#env.cancel(timer);
    for (const timer of this.#former.values()) this.#env.cancel(timer);
    this.#targets.clear();
    this.#former.clear();
  }

  #keep(id: string): void {
    this.#former.set(
      id,
      this.#env.after(KEEP_MS, () => {
        this.#former.delete(id);
        if (!this.#hooks.release(id)) this.#keep(id);
      }),
    );
  }

  #plan(id: string, ms: number): void {
    const target = this.#targets.get(id);
    if (!target) return;
    this.#env.cancel(target.timer);
    target.due = true;
    target.timer = this.#env.after(ms, () => {
      target.due = false;
      this.#hooks.dial(id);
    });
  }
}
