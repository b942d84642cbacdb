// The connection to the server: one WebSocket after another, until a close says that dialling again
// cannot help.

import type { Env, SocketLike, Timer } from "./env.ts";
import { Health } from "./health.ts";
import { KeepAlive } from "./keep-alive.ts";
import { amountIn, numberIn } from "./payload.ts";
import {
  backoffMs,
  isTerminal,
  MAX_WAIT_MS,
  MIN_MAX_WAIT_MS,
  TICKET_EXPIRED,
  waitAfterClose,
} from "./retry.ts";
import {
  parseMessage,
  type Close,
  type ServerAddress,
  type SocketListener,
} from "./socket-types.ts";
import { fetchTicket } from "./ticket.ts";

/** Timeout of a dial. After it the server is asked over HTTP whether the dial can still succeed. */
const DIAL_MS = 10_000;
/** Timeout of a dial that the browser delays or that hangs, while the server answers over HTTP. */
const DIAL_MAX_MS = 30_000;
/**
 * When the page is looked at or the network is back, a dial that has taken longer than this is made
 * anew.
 */
const DIAL_HANGS_MS = 2_000;
/**
 * A connection that lasted for less than this counts as a failed attempt: the next dial is not
 * hurried.
 */
const LASTING_MS = 2_000;
/**
 * Longest wait between two questions whether the server is there. All browsers should return at
 * about the same time.
 */
const ASK_MAX_WAIT_MS = 3_000;
/**
 * How long after the loss of a connection the server may still wait for this page. The time is
 * longer if the server tells a long `returnMs`.
 */
const AWAITED_MS = 30_000;
/**
 * The server may notice the loss of a connection this much later than the page
 * (`liveness.timeout_ms`).
 */
const NOTICE_MS = 15_000;
/**
 * Close code of a client that dials again. To the server that is a lost socket; a close without
 * code would be a goodbye.
 */
const DIALS_AGAIN = 4000;

const TICKET_RAN_OUT = [
  "The ticket has run out. Give the option `ticket` a function, which is asked for a fresh one",
  "before every connection.",
].join(" ");

export class ServerSocket {
  readonly #env: Env;
  readonly #address: ServerAddress;
  readonly #listener: SocketListener;
  readonly #health: Health;
  readonly #keepAlive: KeepAlive;
  #ws: SocketLike | undefined;
  /** Whether the server has let this page in. */
  #isOpen = false;
  #state: "paused" | "dialling" | "waiting" | "ended" = "paused";
  /**
   * Whether the server is asked over HTTP before the next dial. So after an end without a word from
   * the server.
   */
  #asksFirst = false;
  /** Number of the present dial. The answer of a ticket function to an earlier dial is ignored. */
  #dialNumber = 0;
  /** Attempts that failed, or whose connection did not last. They determine the next wait. */
  #attempt = 0;
  /** Dials in a row that did not get in. */
  #failures = 0;
  #dialledAt = 0;
  #openedAt = 0;
  /** When the last connection of a page that was in was lost. */
  #lostAt = -Infinity;
  /** Timer for the next dial, or for the timeout of this one. */
  #timer: Timer;
  #maxWaitMs = MAX_WAIT_MS;
  #awaitedMs = AWAITED_MS;
  /** Wait that a RESTART asked for. */
  #restartMs: number | undefined;
  /** Reason that came in a message before the close. Some closes arrive without their code. */
  #refusal: Close | undefined;

  constructor(env: Env, address: ServerAddress, listener: SocketListener) {
    this.#env = env;
    this.#address = address;
    this.#listener = listener;
    this.#health = new Health(env, address.routes().health);
    this.#keepAlive = new KeepAlive(env, {
      send: (text) => this.send(text),
      proved: (epoch) => listener.proved(epoch),
      dead: () => this.redial(),
    });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Bytes that the WebSocket holds and has not sent yet. */
  get buffered(): number {
    return this.#ws?.bufferedAmount ?? 0;
  }

  /** Drops the present WebSocket and dials a new one. */
  dial(): void {
    if (this.#state === "ended") return;
    this.#drop();
    this.#state = "dialling";
    this.#dialledAt = this.#env.now();
    this.#refusal = undefined;
    const { ticket } = this.#address;
    if (typeof ticket !== "function") return this.#connect(ticket);
    const dialNumber = this.#dialNumber;
    const failed = (why: string, late = false): void => {
      this.#asksFirst = false;
      this.#closed(1006, `no ticket could be had: ${why}`, late);
    };
    this.#setTimer(DIAL_MS, () => failed(`nothing came in ${DIAL_MS / 1000} s`, true));
    fetchTicket(ticket).then(
      (text) => dialNumber === this.#dialNumber && this.#connect(text),
      (error: unknown) =>
        dialNumber === this.#dialNumber &&
        failed(error instanceof Error ? error.message : String(error)),
    );
  }

  /** Sends a text if the server has let this page in. Returns whether it was sent. */
  send(text: string): boolean {
    if (!this.#isOpen || this.#ws?.readyState !== 1) return false;
    this.#ws.send(text);
    return true;
  }

  /**
   * Asks the page whether this member hosts in `epoch`. If it answers on this very WebSocket, the
   * listener's `proved(epoch)` is called.
   */
  prove(epoch: number): void {
    this.#keepAlive.prove(epoch);
  }

  /**
   * Called when the network is back or the page is looked at. Checks the connection, or dials
   * without waiting.
   */
  wake(): void {
    if (this.#isOpen) return this.#keepAlive.check();
    if (this.#state === "waiting") {
      if ((this.#health.askingMs ?? Infinity) <= DIAL_HANGS_MS) return;
      this.#attempt = 0;
      this.#env.cancel(this.#timer);
      return this.#retry();
    }
    const hangs = this.#env.now() - this.#dialledAt > DIAL_HANGS_MS;
    if (this.#state !== "dialling" || !hangs) return;
    this.#attempt = 0;
    this.dial();
  }

  /** Drops the connection and dials again at once. */
  redial(): void {
    if (this.#state === "ended" || this.#state === "paused") return;
    this.#disconnect();
    this.dial();
  }

  /** Says goodbye, so that the others are told at once, and ends. */
  leave(): void {
    if (this.#state === "ended") return;
    this.#sayGoodbye();
    this.#state = "ended";
  }

  /** Says goodbye, but `dial` may follow: the page may come back. */
  pause(): void {
    if (this.#state === "ended") return;
    this.#sayGoodbye();
    this.#state = "paused";
    this.#disconnect();
    this.#lostAt = -Infinity;
  }

  // --- dialling ---

  #connect(ticket: string | undefined): void {
    let ws: SocketLike;
    try {
      ws = this.#env.dial(this.#address.url(ticket));
    } catch (error) {
      // The browser does not dial this address, such as ws: from an https page. The end is told in
      // a task of its own, because the group may still be under construction.
      const reason = error instanceof Error ? error.message : String(error);
      return this.#setTimer(0, () => this.#end({ code: 4400, reason }));
    }
    this.#ws = ws;
    this.#health.dialled();
    ws.onmessage = ({ data }) => {
      if (ws === this.#ws) this.#received(data);
    };
    ws.onclose = ({ code, reason }) => {
      if (ws !== this.#ws) return;
      this.#asksFirst = code === 1006 || code === 1012;
      this.#closed(code, reason);
    };
    this.#setTimer(DIAL_MS, () => this.#dialTimedOut());
  }

  /** Firefox may be delaying the dial, so it goes on while the server answers over HTTP. */
  #dialTimedOut(): void {
    const giveUp = (): void => {
      this.#asksFirst = true;
      this.#closed(1006, "no answer", true);
    };
    if (this.#env.now() - this.#dialledAt >= DIAL_MAX_MS) return giveUp();
    this.#health.check((isThere) => {
      if (!isThere) return giveUp();
      this.#setTimer(DIAL_MS, () => this.#dialTimedOut());
      this.#listener.failed({ times: ++this.#failures, why: "no answer yet", late: true });
    });
  }

  /**
   * Dials. After an end without a word from the server, dials only if the server answers over HTTP.
   */
  #retry(): void {
    if (!this.#asksFirst) return this.dial();
    this.#health.ask(({ dial, why }) => {
      if (dial) return this.dial();
      this.#retryAfter(backoffMs(this.#attempt, this.#env.random(), ASK_MAX_WAIT_MS), why);
    });
  }

  #retryAfter(ms: number, why: string, late = false, wasOpen = false): void {
    this.#attempt++;
    this.#setTimer(ms, () => this.#retry());
    if (!wasOpen) this.#listener.failed({ times: ++this.#failures, why, late });
  }

  // --- receiving ---

  #received(data: unknown): void {
    this.#keepAlive.heard();
    const message = parseMessage(data);
    if (!message) return;
    switch (message.type) {
      case "HEARTBEAT":
        return this.#keepAlive.answered(message.payload);
      case "PROBE":
        // The server asks whether this page's code runs. Only the code may answer, and at once.
        this.send('{"type":"PROBE"}');
        break;
      case "OPEN":
        this.#opened(message.payload);
        break;
      case "RESTART":
        this.#restartMs = numberIn(message.payload, "retryMs");
        break;
      case "ERROR":
      case "ID-TAKEN":
      case "INVALID-KEY":
        return this.#refused(message.payload);
      default:
        break;
    }
    this.#listener.message(message);
  }

  #opened(payload: unknown): void {
    this.#isOpen = true;
    this.#asksFirst = false;
    this.#health.opened();
    this.#openedAt = this.#env.now();
    this.#failures = 0;
    this.#restartMs = undefined;
    this.#refusal = undefined;
    this.#env.cancel(this.#timer);
    const recoveryMs = numberIn(payload, "recoveryMs") ?? MAX_WAIT_MS;
    this.#maxWaitMs = Math.min(MAX_WAIT_MS, Math.max(recoveryMs, MIN_MAX_WAIT_MS));
    const returnMs = amountIn(payload, "returnMs");
    this.#awaitedMs = Math.max(AWAITED_MS, (returnMs ?? 0) + NOTICE_MS);
    this.#keepAlive.start(numberIn(payload, "pingMs"));
  }

  #refused(payload: unknown): void {
    const { msg } = (payload ?? {}) as { msg?: unknown };
    this.#refusal = {
      code: numberIn(payload, "code") ?? 1006,
      reason: typeof msg === "string" ? msg : "refused",
    };
  }

  // --- closing ---

  #closed(code: number, reason: string, late = false): void {
    const refusal = this.#refusal;
    const close: Close =
      refusal && !isTerminal(code) ? refusal : { code, reason: refusal?.reason ?? reason };
    this.#clear();
    if (isTerminal(close.code)) return this.#end(close);
    if (close.code === TICKET_EXPIRED && typeof this.#address.ticket !== "function") {
      return this.#end({
        ...close,
        reason: TICKET_RAN_OUT,
      });
    }
    const wasOpen = this.#isOpen;
    this.#state = "waiting";
    this.#disconnect();
    if (this.#state !== "waiting") return;
    if (refusal) this.#asksFirst = false;
    const ms = waitAfterClose(
      {
        code: close.code,
        wasOpen,
        attempt: this.#attempt,
        restartMs: this.#restartMs,
        maxMs: this.#maxWaitMs,
      },
      () => this.#env.random(),
    );
    this.#retryAfter(ms, close.reason, late, wasOpen);
  }

  #end(close: Close): void {
    this.#state = "ended";
    this.#clear();
    this.#disconnect();
    this.#listener.ended(close);
  }

  #sayGoodbye(): void {
    const ws = this.#ws;
    const isAwaited = this.#env.now() - this.#lostAt < this.#awaitedMs;
    if (this.#isOpen && ws?.readyState === 1) ws.send('{"type":"LEAVE"}');
    // Firefox closes a page's WebSockets before it tells the page that the page is left.
    else if (this.#isOpen || isAwaited) this.#env.beacon(this.#address.routes().leave);
    this.#lostAt = -Infinity;
    this.#drop(1000);
    this.#clear();
  }

  /** Drops the WebSocket, and reports the loss if the server had let this page in. */
  #disconnect(): void {
    this.#drop();
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#lostAt = this.#env.now();
    this.#health.connectionLost();
    if (this.#env.now() - this.#openedAt >= LASTING_MS) this.#attempt = 0;
    this.#listener.lost();
  }

  #drop(code = DIALS_AGAIN): void {
    this.#dialNumber++;
    this.#health.cancel();
    const ws = this.#ws;
    this.#ws = undefined;
    if (!ws) return;
    ws.onmessage = ws.onclose = null;
    try {
      ws.close(code);
    } catch {
      // Some browsers throw if the WebSocket is closed already.
    }
  }

  #clear(): void {
    this.#env.cancel(this.#timer);
    this.#keepAlive.stop();
  }

  #setTimer(ms: number, then: () => void): void {
    this.#env.cancel(this.#timer);
    this.#timer = this.#env.after(ms, then);
  }
}
