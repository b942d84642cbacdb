// A typed event emitter. A listener that throws is reported in the console and does not stop the
// others.

type Listener<Args extends readonly unknown[]> = (...args: Args) => void;

export class Emitter<Events extends { [name in keyof Events]: readonly unknown[] }> {
  readonly #listeners = new Map<keyof Events, Set<Listener<never>>>();

  on<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): void {
    let set = this.#listeners.get(name);
    if (!set) this.#listeners.set(name, (set = new Set()));
    set.add(listener as Listener<never>);
  }

  off<Name extends keyof Events>(name: Name, listener: Listener<Events[Name]>): void {
    this.#listeners.get(name)?.delete(listener as Listener<never>);
  }

  emit<Name extends keyof Events>(name: Name, ...args: Events[Name]): void {
    const set = this.#listeners.get(name);
    if (!set) return;
    // Iterates over a copy, because a listener may add and remove listeners.
    for (const listener of [...set]) {
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
