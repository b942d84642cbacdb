// Asks over HTTP whether the server answers, so that no WebSocket is dialled in vain. After each
// WebSocket that failed, Firefox delays the page's next one, by up to 60 s. Firefox does not delay
// HTTP requests.

import type { Env, Timer } from "./env.ts";
import type { HealthAnswer } from "./health-probe.ts";

export interface Verdict {
  /** Whether to dial now. */
  readonly dial: boolean;
  /** Reason for not dialling, in words. Empty if the browser gives no details. */
  readonly why: string;
}

/** Timeout of one request. */
const ANSWER_MS = 8_000;
/**
 * How long after the last dial, or after the loss of the connection, a dial is made although the
 * route does not answer. The index is the number of dials since the loss.
 */
const BLIND_MS = [5_000, 15_000, 75_000] as const;
/** Same as `BLIND_MS`, for a page where the route has answered before. */
const PROVEN_BLIND_MS = 300_000;

export class Health {
  readonly #env: Env;
  readonly #url: string;
  /** Cancels the request that is under way. */
  #abort: (() => void) | undefined;
  #timer: Timer;
  #askedAt = -Infinity;
  /** The last answer since the connection was lost. */
  #last: HealthAnswer["found"] | undefined;
  /**
   * Whether the route has answered readably on this page. If so, silence means that the server is
   * away.
   */
  #proven = false;
  /** Whether an unreadable answer came from a server that then let this page in. */
  #trustsHidden = false;
  /** Whether this page cannot ask the route, although the server lets it in. */
  #useless = false;
  /** Dials since the connection was lost. */
  #dials = 0;
  /** When a dial may be made without an answer. */
  #blindAt = 0;
  /** Whether the last dial was made without an answer. */
  #blind = false;

  constructor(env: Env, url: string) {
    this.#env = env;
    this.#url = url;
  }

  /** How long the present request has been under way, in ms. Undefined if there is none. */
  get askingMs(): number | undefined {
    return this.#abort && this.#env.now() - this.#askedAt;
  }

  /** Called when the connection is lost. A new outage begins. */
  connectionLost(): void {
    this.#dials = 0;
    this.#last = undefined;
    this.#restartBlindWait();
  }

  /** Called when a WebSocket is dialled. */
  dialled(): void {
    this.#dials++;
    this.#restartBlindWait();
  }

  /** Asks the route whether to dial now. */
  ask(then: (verdict: Verdict) => void): void {
    if (this.#useless) return then({ dial: true, why: "" });
    this.#request((answer) => {
      const before = this.#last;
      const answered = this.#speaksForDialling(answer, before);
      this.#blind = !answered && this.#env.now() >= this.#blindAt;
      then({ dial: answered || this.#blind || this.#useless, why: answer.why ?? "" });
    });
  }

  /** Asks the route, while a dial is under way, whether the server answers. */
  check(then: (there: boolean) => void): void {
    if (this.#useless) return then(false);
    this.#request((answer) => then(this.#speaksForDialling(answer, "hidden")));
  }

  /**
   * Called when a dial has let the page in. Learns from it how far the route's answers can be
   * trusted.
   */
  opened(): void {
    this.cancel();
    if (this.#last === "hidden") this.#trustsHidden = true;
    if (!this.#blind) return;
    this.#blind = false;
    // The server may have come back just after the last request.
    this.#request((answer) => {
      this.#useless = !this.#speaksForDialling(answer, undefined);
    });
  }

  cancel(): void {
    this.#env.cancel(this.#timer);
    this.#abort?.();
    this.#abort = undefined;
  }

  /**
   * Notes an answer and returns whether it speaks for dialling. An unreadable answer does so if the
   * answer `before` was another: then somebody is there again.
   */
  #speaksForDialling({ found }: HealthAnswer, before: HealthAnswer["found"] | undefined): boolean {
    this.#last = found;
    if (found === "there") this.#proven = true;
    if (found === "blocked") this.#useless = true;
    return (
      found === "there" ||
      (found === "hidden" && (this.#trustsHidden || (!this.#proven && before !== "hidden")))
    );
  }

  #restartBlindWait(): void {
    const ms = this.#proven ? PROVEN_BLIND_MS : (BLIND_MS[this.#dials] ?? BLIND_MS[2]);
    this.#blindAt = this.#env.now() + ms * (1 + this.#env.random() / 2);
  }

  #request(then: (answer: HealthAnswer) => void): void {
    this.cancel();
    this.#askedAt = this.#env.now();
    const done = (answer: HealthAnswer): void => {
      this.cancel();
      then(answer);
    };
    let answered = false;
    const abort = this.#env.probe(this.#url, (answer) => {
      answered = true;
      done(answer);
    });
    if (answered) return;
    this.#abort = abort;
    this.#timer = this.#env.after(ANSWER_MS, () =>
      done({
        found: "nothing",
        why: `GET ${this.#url} was not answered within ${ANSWER_MS / 1000} s`,
      }),
    );
  }
}
