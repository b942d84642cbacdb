// What the library takes from the browser around it, in one place, so that tests can give it something else.

import { probe, type HealthAnswer } from "./health.ts";

export interface SocketLike {
  readonly readyState: number;
  readonly bufferedAmount: number;
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

export type Timer = unknown;

export interface Env {
  dial(url: string): SocketLike;
  /** Asks the server's `health` route. Returns how to give up; nothing is answered after that. */
  probe(url: string, answered: (answer: HealthAnswer) => void): () => void;
  /** Sends a POST without a body that outlives the page. Whether it arrives is not known. */
  beacon(url: string): void;
  /** Milliseconds, never backwards, asleep or awake. */
  now(): number;
  random(): number;
  after(ms: number, then: () => void): Timer;
  cancel(timer: Timer): void;
  /** After what the browser has waiting already; never throttled. */
  soon(then: () => void): void;
}

/** The wall's clock gained so much on the other since it was last looked at: the device slept, or somebody set it. */
const SLEPT_MS = 2000;

/** `performance.now()` stands still while the device sleeps, in most browsers (w3c/hr-time#115): what the wall's clock gains at a stroke is added. */
export function wakefulClock(awake: () => number, wall: () => number): () => number {
  let slept = 0;
  let ahead = wall() - awake();
  return () => {
    const now = awake();
    const gained = wall() - now - ahead;
    ahead += gained;
    if (gained > SLEPT_MS) slept += gained;
    return now + slept;
  };
}

/** Opens nothing before it is used: a page may be rendered where nobody will ever close it. */
export function browserEnv(): Env {
  const waiting: (() => void)[] = [];
  let ring: (() => void) | undefined;
  const soon = (then: () => void): void => {
    waiting.push(then);
    ring ??= bell(() => waiting.shift()?.());
    ring();
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
      // A hidden tab's timers ring once a second.
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

/** A worker has no document, and its timers are not slowed as a hidden tab's are. */
const isHidden = (): boolean => typeof document !== "undefined" && document.hidden;

/** Gives a function that has `heard` called soon, once for each time it is called itself. */
function bell(heard: () => void): () => void {
  // jsdom has none.
  if (typeof MessageChannel === "undefined") return () => void setTimeout(heard, 0);
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = heard;
  // In Node an open port keeps the process from ending.
  (port1 as { unref?(): void }).unref?.();
  return () => port2.postMessage(null);
}

/** `crypto.randomUUID` is missing on plain http; this looks the same. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
