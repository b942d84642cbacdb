// The status of the connection, as the page is told it.

import type { Status } from "./io.ts";
import type { Step } from "./step.ts";

export class ConnectionStatus {
  readonly #step: Step;
  #state: Status = "connecting";

  constructor(step: Step) {
    this.#step = step;
  }

  is(state: Status): boolean {
    return this.#state === state;
  }

  change(state: Status): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#step.notify({ kind: "status", state });
  }
}
