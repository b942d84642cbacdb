// A typed event emitter. A listener that throws is reported in the console and does not stop the
// others.

type Listener<Args extends readonly unknown[]> = (...args: Args) => void;

/** Options of a listener. */
export interface ListenerOptions {
  /** Removes the listener when it aborts. An aborted signal adds no listener. */
  readonly signal?: AbortSignal | undefined;
  /** Removes the listener before its first call. */
  readonly once?: boolean | undefined;
}

interface Added {
  readonly once: boolean;
  /** Stops waiting for the listener's signal. */
  readonly forgetSignal: () => void;
}

export class Emitter<Events extends { [name in keyof Events]: readonly unknown[] }> {
  readonly #listeners = new Map<keyof Events, Map<Listener<never>, Added>>();

  /** Adds a listener. A listener that is there already is not added again. */
  on<Name extends keyof Events>(
    name: Name,
    listener: Listener<Events[Name]>,
    { signal, once = false }: ListenerOptions = {},
  ): void {
    let added = this.#listeners.get(name);
    if (!added) this.#listeners.set(name, (added = new Map()));
    if (signal?.aborted || added.has(listener as Listener<never>)) return;
    const abort = (): void => this.off(name, listener);
    signal?.addEventListener("abort", abort, { once: true });
    const forgetSignal = (): void => signal?.removeEventListener("abort", abort);
    added.set(listener as Listener<never>, { once, forgetSignal });
  }

  off<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): void {
    const added = this.#listeners.get(name);
    added?.get(listener as Listener<never>)?.forgetSignal();
    added?.delete(listener as Listener<never>);
  }

  emit<Name extends keyof Events>(name: Name, ...args: Events[Name]): void {
    const added = this.#listeners.get(name);
    if (!added) return;
    // Iterates over a copy, because a listener may add and remove listeners.
    for (const [listener, { once }] of [...added]) {
      if (once) this.off(name, listener as Listener<Events[Name]>);
      try {
        const done: unknown = (listener as unknown as (...args: readonly unknown[]) => unknown)(
          ...args,
        );
        if (done instanceof Promise) done.catch((error: unknown) => report(String(name), error));
      } catch (error) {
        report(String(name), error);
      }
    }
  }
}

function report(name: string, error: unknown): void {
  console.error(`peerstar: a listener for "${name}" failed:`, error);
}
