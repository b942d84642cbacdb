// The browser's clock, timers, sockets and requests behind one interface, which tests replace.

import { probe, type HealthAnswer } from "./health-probe.ts";

export interface SocketLike {
  readonly readyState: number;
  readonly bufferedAmount: number;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

export type Timer = unknown;

/** The parts of the browser that the library uses, apart from the page itself. */
export interface Env {
  /** Opens a WebSocket. Throws for an address that no browser dials. */
  dial(url: string): SocketLike;
  /**
   * Asks the server's `health` route. Returns a function that cancels: after it, `answered` is not
   * called.
   */
  probe(url: string, answered: (answer: HealthAnswer) => void): () => void;
  /** Sends a POST without a body that outlives the page. Whether the POST arrives is unknown. */
  beacon(url: string): void;
  /** Returns a time in milliseconds that never goes backwards and counts the device's sleep. */
  now(): number;
  /** Returns a number from 0 to below 1. */
  random(): number;
  /** Calls `then` after `ms` milliseconds. */
  after(ms: number, then: () => void): Timer;
  cancel(timer: Timer): void;
  /** Calls `then` after the browser's waiting tasks. Not throttled in a hidden tab. */
  soon(then: () => void): void;
}

/**
 * If the wall clock gains more than this between two readings, the device slept or the clock was
 * set.
 */
const SLEEP_MS = 2000;

/**
 * Returns a clock that counts sleep. In most browsers `performance.now()` stands still while the
 * device sleeps (w3c/hr-time#115), so a sudden gain of the wall clock is added to it.
 */
export function wakefulClock(awake: () => number, wall: () => number): () => number {
  let slept = 0;
  let ahead = wall() - awake();
  return () => {
    const now = awake();
    const gained = wall() - now - ahead;
    ahead += gained;
    if (gained > SLEEP_MS) slept += gained;
    return now + slept;
  };
}

/**
 * Returns the browser's `Env`. It opens nothing before its first use: a page may be rendered where
 * nobody closes it.
 */
export function browserEnv(): Env {
  const waiting: (() => void)[] = [];
  let schedule: (() => void) | undefined;
  const soon = (then: () => void): void => {
    waiting.push(then);
    schedule ??= taskScheduler(() => waiting.shift()?.());
    schedule();
  };
  return {
    dial: (url) => new WebSocket(url) as unknown as SocketLike,
    probe(url, answered) {
      const controller = new AbortController();
      const { signal } = controller;
      void probe(url, signal).then((answer) => signal.aborted || answered(answer));
      return () => controller.abort();
    },
    beacon: (url) => void navigator.sendBeacon?.(url),
    now: wakefulClock(
      () => performance.now(),
      () => Date.now(),
    ),
    random: () => Math.random(),
    after(ms, then) {
      if (ms > 1 || !isHidden()) return setTimeout(then, Math.min(ms, 0x7fffffff));
      // The timers of a hidden tab fire only once a second.
      const timer: { then?: () => void } = { then };
      soon(() => timer.then?.());
      return timer;
    },
    cancel(timer) {
      if (typeof timer === "object" && timer !== null && "then" in timer)
        delete (timer as { then?: () => void }).then;
      else clearTimeout(timer as number | undefined);
    },
    soon,
  };
}

/** A worker has no document, and its timers are not slowed down like those of a hidden tab. */
const isHidden = (): boolean => typeof document !== "undefined" && document.hidden;

/**
 * Returns a function that, each time it is called, schedules one call of `run` in a task of its
 * own.
 */
function taskScheduler(run: () => void): () => void {
  // jsdom has no MessageChannel.
  if (typeof MessageChannel === "undefined") return () => void setTimeout(run, 0);
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = run;
  // In Node an open port keeps the process from ending.
  (port1 as { unref?(): void }).unref?.();
  return () => port2.postMessage(null);
}

/** Returns a random UUID. `crypto.randomUUID` is missing on pages without https. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
