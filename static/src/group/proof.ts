// The server's word that we are the host still: a HEARTBEAT sent after something was stamped, and answered on a socket
// that named us.

import type { Core } from "./core.ts";

/** So long ago the server may have said that we are the host; longer, where it takes longer to answer. */
const PROOF_MS = 1000;
const PROOF_MAX_MS = 16_000;

export class Proof {
  readonly #core: Core;
  /** Up to which entry an answer would be worth something now. */
  readonly #upTo: () => number;
  /** When everything up to here was stamped we were the host. */
  #seq = 0;
  #asked:
    | { readonly token: number; readonly seq: number; readonly at: number; readonly pauses: number }
    | undefined;
  /** An answer read later than this, or after a pause, is asked for again. */
  #patienceMs = PROOF_MS;
  /** So it was with the last. */
  #slept = false;

  constructor(core: Core, upTo: () => number) {
    this.#core = core;
    this.#upTo = upTo;
  }

  get seq(): number {
    return this.#seq;
  }

  get asking(): boolean {
    return this.#asked !== undefined;
  }

  /** Asked for something that was stamped. */
  get awaited(): boolean {
    return (this.#asked?.seq ?? 0) > 0;
  }

  ask(): void {
    this.#asked = {
      token: this.#core.token(),
      seq: this.#upTo(),
      at: this.#core.now,
      pauses: this.#core.pauses,
    };
    this.#core.out.push({ type: "prove", token: this.#asked.token });
  }

  /** True if that is an answer, and read in time. */
  answered(token: number): boolean {
    if (this.#asked?.token !== token) return false;
    const { seq, at, pauses } = this.#asked;
    this.#asked = undefined;
    const late = this.#core.now - at > this.#patienceMs;
    // Then we may have slept over it. Not said twice in a row, for some tabs are always late.
    const slept = this.#core.pauses > pauses && !this.#slept;
    this.#slept = slept;
    if (late || slept) {
      if (!slept) this.#patienceMs = Math.min(this.#patienceMs * 2, PROOF_MAX_MS);
      this.ask();
      return false;
    }
    this.#seq = Math.max(this.#seq, seq);
    return true;
  }

  /** Its answer will not come: that socket is gone. */
  forget(): void {
    this.#asked = undefined;
  }

  /** What was said, or will be, about the entries so far is worth nothing. */
  void(): void {
    this.#seq = 0;
    if (this.#asked) this.#asked = { ...this.#asked, seq: 0 };
  }
}
