// Asks over HTTP whether the server is there, so that no WebSocket is dialled in vain. Firefox makes a page wait for its
// next WebSocket after every one that failed, each time longer and up to 60 s; it does not hold back HTTP requests.

import type { Env, Timer } from "./env.ts";

export interface HealthAnswer {
  /**
   * - `there`: an answer that says nothing against dialling.
   * - `hidden`: an answer that the page may not read. It may come from the server or from a proxy without one.
   * - `nothing`: no answer, or one of a proxy or server in trouble.
   * - `blocked`: the page's own policy (CSP) forbids the request.
   */
  readonly found: "there" | "hidden" | "nothing" | "blocked";
  /** What was answered, in words; absent where the browser tells nothing. */
  readonly why?: string;
}

export interface Verdict {
  readonly dial: boolean;
  /** Why not, in words; empty where the browser tells nothing. */
  readonly why: string;
}

/** Time limit of one request. */
const ANSWER_MS = 8_000;
/** How long after the last dial, or the loss of the connection, the next dial is made without an answer: by number of dials since. */
const BLIND_MS = [5_000, 15_000, 75_000] as const;
/** The same on a page where the route has answered before. */
const PROVEN_BLIND_MS = 300_000;

export class Health {
  readonly #env: Env;
  readonly #url: string;
  #abort: (() => void) | undefined;
  #timer: Timer;
  #askedAt = -Infinity;
  /** The last answer since the connection was lost. */
  #last: HealthAnswer["found"] | undefined;
  /** The route has been read on this page, so its silence means that the server is away. */
  #proven = false;
  /** An unreadable answer came from a server that then let this page in. */
  #trustsHidden = false;
  /** The route cannot be asked from this page, though the server lets it in. */
  #useless = false;
  /** Dials since the connection was lost. */
  #dials = 0;
  #blindAt = 0;
  /** The last dial was made without an answer. */
  #blind = false;

  constructor(env: Env, url: string) {
    this.#env = env;
    this.#url = url;
  }

  /** For how long a request has been under way. */
  get askingMs(): number | undefined {
    return this.#abort && this.#env.now() - this.#askedAt;
  }

  /** The connection was lost: a new outage begins. */
  lost(): void {
    this.#dials = 0;
    this.#last = undefined;
    this.#wait();
  }

  dialled(): void {
    this.#dials++;
    this.#wait();
  }

  /** Whether to dial now. */
  ask(then: (verdict: Verdict) => void): void {
    if (this.#useless) return then({ dial: true, why: "" });
    this.#request((answer) => {
      const before = this.#last;
      const answered = this.#answers(answer, before);
      this.#blind = !answered && this.#env.now() >= this.#blindAt;
      then({ dial: answered || this.#blind || this.#useless, why: answer.why ?? "" });
    });
  }

  /** Whether the server answers while a dial is under way. */
  check(then: (there: boolean) => void): void {
    if (this.#useless) return then(false);
    this.#request((answer) => then(this.#answers(answer, "hidden")));
  }

  /** A dial got in: what the answers before it were worth. */
  opened(): void {
    this.cancel();
    if (this.#last === "hidden") this.#trustsHidden = true;
    if (!this.#blind) return;
    this.#blind = false;
    // The server may have come back just after it was asked.
    this.#request((answer) => {
      this.#useless = !this.#answers(answer, undefined);
    });
  }

  cancel(): void {
    this.#env.cancel(this.#timer);
    this.#abort?.();
    this.#abort = undefined;
  }

  /** `before`: the answer before this one. An unreadable one counts where it is new: somebody is there again. */
  #answers({ found }: HealthAnswer, before: HealthAnswer["found"] | undefined): boolean {
    this.#last = found;
    if (found === "there") this.#proven = true;
    if (found === "blocked") this.#useless = true;
    return (
      found === "there" ||
      (found === "hidden" && (this.#trustsHidden || (!this.#proven && before !== "hidden")))
    );
  }

  #wait(): void {
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
    let abort: (() => void) | undefined;
    let answered = false;
    abort = this.#env.probe(this.#url, (answer) => {
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

/** One request, without the browser's cache. */
export async function probe(url: string, signal: AbortSignal): Promise<HealthAnswer> {
  const policy = watchPolicy();
  const options: RequestInit = { cache: "no-store", signal };
  try {
    // A proxy in trouble answers 5xx for a server that is away. Any other answer, such as 404, says nothing about the server.
    const { status } = await fetch(url, { ...options, redirect: "manual" });
    return status < 500
      ? { found: "there" }
      : { found: "nothing", why: `GET ${url} is answered ${status}` };
  } catch {
    // Nobody is there, or the page may not read the answer, or may not ask.
  }
  try {
    await fetch(url, { ...options, mode: "no-cors" });
    return { found: "hidden", why: `GET ${url} is answered, and this page may not read it` };
  } catch {
    return policy.has(url) ? { found: "blocked" } : { found: "nothing" };
  }
}

/** Addresses that the page's Content Security Policy has kept from being fetched. */
let forbidden: Set<string> | undefined;

function watchPolicy(): ReadonlySet<string> {
  if (forbidden) return forbidden;
  const seen = (forbidden = new Set<string>());
  globalThis.document?.addEventListener(
    "securitypolicyviolation",
    ({ disposition, blockedURI }) => {
      if (disposition === "enforce" && seen.size < 64) seen.add(blockedURI);
    },
  );
  return seen;
}
