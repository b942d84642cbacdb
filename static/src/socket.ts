// The way to the server: one WebSocket after another, until the server says that coming back is of no use.

import type { Env, SocketLike, Timer } from "./env.ts";
import { Health } from "./health.ts";
import { fetched, type Ticket } from "./ticket.ts";

export interface ServerMessage {
  readonly type: string;
  readonly src?: string;
  readonly payload?: unknown;
}

export interface End {
  readonly code: number;
  readonly reason: string;
}

/** A dial that came to nothing. */
export interface Failure {
  /** So many in a row. */
  readonly times: number;
  /** In words; empty where the browser tells none. */
  readonly why: string;
  /** It was waited for as long as one waits. */
  readonly late: boolean;
}

/** Addresses of the server's HTTP routes. */
export interface Routes {
  /** Says whether the server is there. */
  readonly health: string;
  /** Takes the goodbye of a page that has no WebSocket. */
  readonly leave: string;
}

export interface SocketHooks {
  readonly ticket?: Ticket | undefined;
  routes(): Routes;
  /** Where to, with the claim as of now. */
  url(ticket: string | undefined): string;
  /** Everything but heartbeats; OPEN means that we are in. */
  said(message: ServerMessage): void;
  /** We were in, and are no more. */
  lost(): void;
  /** For good. */
  ended(end: End): void;
  proved(token: number): void;
  /** Another try failed; the next will come. */
  failed(failure: Failure): void;
}

const CONNECT_MS = 10_000;
/** A dial that is held back or hangs is given up after this time, even while the server answers over HTTP. */
const HELD_MS = 30_000;
/** Somebody looks, or the network is back: a dial that has hung for so long was made into nothing. */
const HANGS_MS = 2_000;
/** A socket that is cut before it has been open for so long is one more failed try: the next is not hurried. */
const STAYED_MS = 2_000;
const FIRST_MS = 150;
/**
 * The longest pause, where the server does not say `recoveryMs`: whoever comes back with a history should be there by the
 * time a page that is opened anew decides.
 */
const MOST_MS = 5_000;
/** A server that waits less is not dialled more often for that. */
const LEAST_MOST_MS = 500;
/** The same between two questions whether the server is there: of several browsers none is to be back much later. */
const ASK_MOST_MS = 3_000;
/** The server may be waiting so long for one that lost its connection (`liveness.return_ms`, 3 s, may be set higher). */
const MISSED_MS = 30_000;
/** What came back from sleep has so long to show that it lives. */
const CHECK_MS = 2_500;
const EXPIRED = 4507;
/** Said by Firefox for a download: the server keeps our seat for a second, however many downloads follow each other. */
const GOING_AWAY = 1001;
/** After it the pause grows no further than after so many attempts: to between 0.2 and 0.4 s. */
const MOST_GOING_AWAY = 2;
/** Said by a client that dials again: to the server a lost socket, not a goodbye, as a close without a code would be. */
const AGAIN = 4000;

/** Whether a close says that trying again cannot help. */
export function isTerminal(code: number): boolean {
  if (code >= 4400 && code < 4500) return true;
  // 1005 and 1006 are no codes but the lack of one; 1001 is a proxy or server going away.
  return code >= 1002 && code <= 1009 && code !== 1005 && code !== 1006;
}

/** `attempt` counts from 0; the first try comes soon, since most outages are one lost connection. */
export function backoffMs(attempt: number, random: number, mostMs = MOST_MS): number {
  return Math.round(Math.min(mostMs, FIRST_MS * 1.6 ** attempt) * (0.5 + random / 2));
}

export class ServerSocket {
  readonly #env: Env;
  readonly #hooks: SocketHooks;
  readonly #health: Health;
  #ws: SocketLike | undefined;
  #up = false;
  #state: "paused" | "dialling" | "waiting" | "ended" = "paused";
  /** The last connection or dial ended without a word from the server: it is asked over HTTP before the next dial. */
  #asksFirst = false;
  /** Which ticket is asked for: an answer to an earlier question is of no use. */
  #asking = 0;
  /** Tries that came to nothing, or to little; how long the next waits. */
  #attempt = 0;
  /** Those of them in a row that did not get in. */
  #failures = 0;
  #dialledAt = 0;
  #openedAt = 0;
  /** When the last connection on which we were in was lost. */
  #lostAt = -Infinity;
  /** For the next dial, or for giving up on this one. */
  #timer: Timer;
  #pulse: Timer;
  #pulseDue = 0;
  #pingMs = 5000;
  #mostMs = MOST_MS;
  #heardAt = 0;
  #retryMs: number | undefined;
  /** A reason told before the close, for closes that come without their code. */
  #refusal: End | undefined;
  #asked = 0;
  #answered = 0;
  #proofs: { token: number; beat: number }[] = [];
  #askedAt = 0;
  rttMs: number | undefined;

  constructor(env: Env, hooks: SocketHooks) {
    this.#env = env;
    this.#hooks = hooks;
    this.#health = new Health(env, hooks.routes().health);
  }

  get up(): boolean {
    return this.#up;
  }

  get buffered(): number {
    return this.#ws?.bufferedAmount ?? 0;
  }

  dial(): void {
    if (this.#state === "ended") return;
    this.#drop();
    this.#state = "dialling";
    this.#dialledAt = this.#env.now();
    this.#refusal = undefined;
    const { ticket } = this.#hooks;
    if (typeof ticket !== "function") return this.#connect(ticket);
    const asking = this.#asking;
    const without = (why: string, late = false): void => {
      this.#asksFirst = false;
      this.#closed(1006, `no ticket could be had: ${why}`, late);
    };
    this.#set(CONNECT_MS, () => without(`nothing came in ${CONNECT_MS / 1000} s`, true));
    fetched(ticket).then(
      (text) => asking === this.#asking && this.#connect(text),
      (error: unknown) =>
        asking === this.#asking && without(error instanceof Error ? error.message : String(error)),
    );
  }

  #connect(ticket: string | undefined): void {
    let ws: SocketLike;
    try {
      ws = this.#env.dial(this.#hooks.url(ticket));
    } catch (error) {
      // An address no browser dials, such as ws: from an https page. Who made the group must be able to hear of it.
      const reason = error instanceof Error ? error.message : String(error);
      return this.#set(0, () => this.#end({ code: 4400, reason }));
    }
    this.#ws = ws;
    this.#health.dialled();
    ws.onmessage = ({ data }) => {
      if (ws === this.#ws) this.#heard(data);
    };
    ws.onclose = ({ code, reason }) => {
      if (ws !== this.#ws) return;
      this.#asksFirst = code === 1006 || code === 1012;
      this.#closed(code, reason);
    };
    this.#set(CONNECT_MS, () => this.#hung());
  }

  /** A dial has taken its time. Firefox may be holding it back: it goes on while the server answers over HTTP. */
  #hung(): void {
    const giveUp = (): void => {
      this.#asksFirst = true;
      this.#closed(1006, "no answer", true);
    };
    if (this.#env.now() - this.#dialledAt >= HELD_MS) return giveUp();
    this.#health.check((there) => {
      if (!there) return giveUp();
      this.#set(CONNECT_MS, () => this.#hung());
      this.#hooks.failed({ times: ++this.#failures, why: "no answer yet", late: true });
    });
  }

  /** Dials; after an end without a word from the server only if that answers over HTTP. */
  #try(): void {
    if (!this.#asksFirst) return this.dial();
    this.#health.ask(({ dial, why }) => {
      if (dial) return this.dial();
      this.#again(backoffMs(this.#attempt, this.#env.random(), ASK_MOST_MS), why);
    });
  }

  send(text: string): boolean {
    if (!this.#up || this.#ws?.readyState !== 1) return false;
    this.#ws.send(text);
    return true;
  }

  /** HEARTBEAT; its answer on this very socket is `proved(token)`. */
  prove(token: number): void {
    if (!this.#beat()) return;
    this.#proofs.push({ token, beat: this.#asked });
  }

  /** The network is back, or the tab is looked at: now is the time. */
  wake(): void {
    if (this.#up) return this.check();
    if (this.#state === "waiting") {
      if ((this.#health.askingMs ?? Infinity) <= HANGS_MS) return;
      this.#attempt = 0;
      this.#env.cancel(this.#timer);
      return this.#try();
    }
    if (this.#state !== "dialling" || this.#env.now() - this.#dialledAt <= HANGS_MS) return;
    this.#attempt = 0;
    this.dial();
  }

  /** Is it still alive? */
  check(): void {
    if (!this.#up || !this.#beat()) return;
    this.#env.cancel(this.#pulse);
    const asked = this.#env.now();
    this.#pulse = this.#env.after(CHECK_MS, () => {
      if (this.#heardAt >= asked) this.#schedule();
      else this.redial();
    });
  }

  /** Drop this one and dial again at once. */
  redial(): void {
    if (this.#state === "ended" || this.#state === "paused") return;
    this.#down();
    this.dial();
  }

  /** Goodbye: everybody is told at once. */
  leave(): void {
    if (this.#state === "ended") return;
    this.#goodbye();
    this.#state = "ended";
  }

  /** The same, but `dial` may follow: the page may come back. */
  pause(): void {
    if (this.#state === "ended") return;
    this.#goodbye();
    this.#state = "paused";
    this.#down();
    this.#lostAt = -Infinity;
  }

  #goodbye(): void {
    const ws = this.#ws;
    if (this.#up && ws?.readyState === 1) ws.send('{"type":"LEAVE"}');
    // Firefox closes a page's WebSockets before the page hears that it goes.
    else if (this.#up || this.#env.now() - this.#lostAt < MISSED_MS)
      this.#env.beacon(this.#hooks.routes().leave);
    this.#lostAt = -Infinity;
    this.#drop(1000);
    this.#clear();
  }

  #down(): void {
    this.#drop();
    if (!this.#up) return;
    this.#up = false;
    this.#lostAt = this.#env.now();
    this.#health.lost();
    if (this.#env.now() - this.#openedAt >= STAYED_MS) this.#attempt = 0;
    this.#hooks.lost();
  }

  #drop(code = AGAIN): void {
    this.#asking++;
    this.#health.cancel();
    const ws = this.#ws;
    this.#ws = undefined;
    if (!ws) return;
    ws.onmessage = ws.onclose = null;
    try {
      ws.close(code);
    } catch {
      // Closed already, in a way its browser minds.
    }
  }

  #clear(): void {
    this.#env.cancel(this.#timer);
    this.#env.cancel(this.#pulse);
    this.#proofs = [];
  }

  #set(ms: number, then: () => void): void {
    this.#env.cancel(this.#timer);
    this.#timer = this.#env.after(ms, then);
  }

  // --- what comes ---

  #heard(data: unknown): void {
    this.#heardAt = this.#env.now();
    const message = messageIn(data);
    if (!message) return;
    switch (message.type) {
      case "HEARTBEAT":
        return this.#beaten();
      case "PROBE":
        // Nobody but this page's code may answer, and at once: it is asked whether that still runs.
        this.send('{"type":"PROBE"}');
        break;
      case "OPEN":
        this.#opened(message.payload);
        break;
      case "RESTART":
        this.#retryMs = field(message.payload, "retryMs");
        break;
      case "ERROR":
      case "ID-TAKEN":
      case "INVALID-KEY":
        return this.#refused(message.payload);
      default:
        break;
    }
    this.#hooks.said(message);
  }

  #opened(payload: unknown): void {
    this.#up = true;
    this.#asksFirst = false;
    this.#health.opened();
    this.#openedAt = this.#env.now();
    this.#failures = 0;
    this.#retryMs = undefined;
    this.#refusal = undefined;
    this.#asked = this.#answered = 0;
    this.#proofs = [];
    this.#env.cancel(this.#timer);
    this.#pingMs = Math.max(field(payload, "pingMs") ?? this.#pingMs, 500);
    this.#mostMs = Math.min(
      MOST_MS,
      Math.max(field(payload, "recoveryMs") ?? MOST_MS, LEAST_MOST_MS),
    );
    this.#schedule();
  }

  #refused(payload: unknown): void {
    const { msg } = (payload ?? {}) as { msg?: unknown };
    this.#refusal = {
      code: field(payload, "code") ?? 1006,
      reason: typeof msg === "string" ? msg : "refused",
    };
  }

  // --- life ---

  #beat(): boolean {
    if (!this.send('{"type":"HEARTBEAT"}')) return false;
    this.#asked++;
    this.#askedAt = this.#env.now();
    return true;
  }

  #beaten(): void {
    this.#answered++;
    if (this.#answered === this.#asked) this.rttMs = this.#env.now() - this.#askedAt;
    while (this.#proofs[0] && this.#proofs[0].beat <= this.#answered)
      this.#hooks.proved((this.#proofs.shift() as { token: number }).token);
  }

  #schedule(): void {
    this.#env.cancel(this.#pulse);
    this.#pulseDue = this.#env.now() + this.#pingMs;
    this.#pulse = this.#env.after(this.#pingMs, () => this.#tick());
  }

  #tick(): void {
    const now = this.#env.now();
    // A page that slept has heard nothing either: what waits comes first.
    if (now - this.#pulseDue > this.#pingMs) return this.check();
    if (now - this.#heardAt > 2 * this.#pingMs) return this.redial();
    this.#beat();
    this.#schedule();
  }

  // --- the end of one ---

  #closed(code: number, reason: string, late = false): void {
    const told = this.#refusal;
    const end: End = told && !isTerminal(code) ? told : { code, reason: told?.reason ?? reason };
    this.#clear();
    if (isTerminal(end.code)) return this.#end(end);
    if (end.code === EXPIRED && typeof this.#hooks.ticket !== "function") {
      return this.#end({
        ...end,
        reason:
          "The ticket has run out. Give the option `ticket` a function, which is asked for a fresh one before every connection.",
      });
    }
    const wasUp = this.#up;
    this.#state = "waiting";
    this.#down();
    if (this.#state !== "waiting") return;
    if (told) this.#asksFirst = false;
    this.#again(this.#wait(end.code, wasUp), end.reason, late, wasUp);
  }

  /** The next try, after `ms`. */
  #again(ms: number, why: string, late = false, wasUp = false): void {
    this.#attempt++;
    this.#set(ms, () => this.#try());
    if (!wasUp) this.#hooks.failed({ times: ++this.#failures, why, late });
  }

  #wait(code: number, wasUp: boolean): number {
    const attempt =
      wasUp && code === GOING_AWAY ? Math.min(this.#attempt, MOST_GOING_AWAY) : this.#attempt;
    const backoff = backoffMs(attempt, this.#env.random(), this.#mostMs);
    // All of a server's clients are told at once: they must not come at once.
    if (this.#retryMs !== undefined)
      return this.#retryMs * (1 + this.#env.random() / 2) + (this.#attempt > 0 ? backoff : 0);
    // Full, or without a host: hurrying helps nobody.
    return code >= 4500 && ![4504, EXPIRED, 4508].includes(code)
      ? Math.max(backoff, 1000 * (1 + this.#env.random()))
      : backoff;
  }

  #end(end: End): void {
    this.#state = "ended";
    this.#clear();
    this.#down();
    this.#hooks.ended(end);
  }
}

function messageIn(data: unknown): ServerMessage | undefined {
  if (typeof data !== "string") return undefined;
  try {
    const message: unknown = JSON.parse(data);
    if (
      typeof message === "object" &&
      message !== null &&
      typeof (message as { type?: unknown }).type === "string"
    )
      return message as ServerMessage;
  } catch {
    // Not from a server we know.
  }
  return undefined;
}

function field(payload: unknown, name: string): number | undefined {
  const value =
    typeof payload === "object" && payload !== null
      ? (payload as Record<string, unknown>)[name]
      : undefined;
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}
