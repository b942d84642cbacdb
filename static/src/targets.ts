// The members that this page keeps a data channel to, and when each of them is dialled.

import type { Env, Timer } from "./env.ts";

/** Opens and closes the data channels for `Targets`. */
export interface TargetHooks {
  /** Dials this member now, unless a channel or a dial exists. */
  dial(id: string): void;
  /**
   * Called when a member has not been a target for `KEEP_MS`. Returns false to be called again
   * after as long.
   */
  release(id: string): boolean;
  /** Called when dialling this member has failed `times` times in a row. */
  failed(id: string, times: number): void;
}

/** Retry interval after the first failure. It doubles with each failure, up to `RETRY_MAX_MS`. */
const RETRY_MS = 1_000;
const RETRY_MAX_MS = 30_000;
/**
 * How long the channel or dial to a former target is kept. A former host often becomes the next
 * host.
 */
const KEEP_MS = 30_000;

interface Target {
  failures: number;
  timer: Timer;
  /** Whether a dial is planned. */
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

  /** Replaces the set of targets. A new target is dialled after `delayMs()`. */
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

  /** Forgets the failures of all targets and dials each after `delayMs()`. */
  retryAll(delayMs: () => number): void {
    for (const [id, target] of this.#targets) {
      target.failures = 0;
      this.#plan(id, delayMs());
    }
  }

  /** Called when a channel to this member has opened. */
  reached(id: string): void {
    const target = this.#targets.get(id);
    if (target) target.failures = 0;
  }

  /**
   * Called when a dial of this member has failed or its channel has closed. Plans the next dial of
   * a target. The wait grows with each failure and is random, so that members do not dial together.
   */
  retry(id: string): void {
    const target = this.#targets.get(id);
    if (!target || target.due) return;
    const ms = Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** target.failures);
    target.failures++;
    this.#hooks.failed(id, target.failures);
    this.#plan(id, ms * (0.5 + this.#env.random()));
  }

  /** Forgets all targets and former targets. */
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
