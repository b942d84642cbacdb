// A browser in small: a clock that is moved by hand, and sockets and data channels whose other side is the test.

import type { Connection } from "../src/channels.ts";
import type { Env, SocketLike } from "../src/env.ts";
import type { HealthAnswer } from "../src/health.ts";

export class FakeSocket implements SocketLike {
  readyState = 0;
  bufferedAmount = 0;
  readonly sent: string[] = [];
  closedWith: number | undefined;
  /** Answers heartbeats by itself. */
  alive = false;
  onmessage: SocketLike["onmessage"] = null;
  onclose: SocketLike["onclose"] = null;

  constructor(readonly url: string) {}

  send(text: string): void {
    this.sent.push(text);
    if (this.alive && text === '{"type":"HEARTBEAT"}')
      queueMicrotask(() => this.says({ type: "HEARTBEAT" }));
  }

  close(code?: number): void {
    this.readyState = 3;
    this.closedWith = code ?? 1005;
  }

  // What the server does.

  says(message: object): void {
    this.readyState = 1;
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  opens(payload: object = {}): void {
    this.says({ type: "OPEN", payload: { host: "h", epoch: 1, pingMs: 5000, ...payload } });
  }

  ends(code: number, reason = ""): void {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }

  types(): string[] {
    return this.sent.map((text) => (JSON.parse(text) as { type: string }).type);
  }
}

/** A DataConnection of PeerJS's. */
export class FakeLink implements Connection {
  readonly listeners = new Map<string, ((data?: unknown) => void)[]>();
  readonly sent: string[] = [];
  open = false;
  closed = false;
  drain = (): void => {};
  readonly raw = {
    readyState: "open",
    bufferedAmount: 0,
    bufferedAmountLowThreshold: 0,
    send: (text: string) => void this.sent.push(text),
    addEventListener: (_: string, then: () => void) => (this.drain = then),
  };

  constructor(
    readonly peer: string,
    readonly connectionId: string,
  ) {}

  get dataChannel(): RTCDataChannel {
    return this.raw as unknown as RTCDataChannel;
  }

  on(name: string, listener: (data?: never) => void): void {
    this.listeners.set(name, [
      ...(this.listeners.get(name) ?? []),
      listener as (data?: unknown) => void,
    ]);
  }

  close(): void {
    this.closed = true;
  }

  happens(name: string, data?: unknown): void {
    for (const listener of this.listeners.get(name) ?? []) listener(data);
  }

  opens(): void {
    this.open = true;
    this.happens("open");
  }
}

interface Due {
  readonly at: number;
  readonly then: () => void;
}

export class FakeEnv implements Env {
  readonly sockets: FakeSocket[] = [];
  chance = 0.5;
  alive = false;
  /** What the server's `health` route answers at once; undefined: the test answers by `probes`. */
  health: HealthAnswer["found"] | undefined = "there";
  readonly probes: {
    readonly url: string;
    answer(found: HealthAnswer["found"], why?: string): void;
    aborted: boolean;
  }[] = [];
  #now = 0;
  #due = new Set<Due>();
  readonly #soon: (() => void)[] = [];

  get last(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error("nothing was dialled");
    return socket;
  }

  dial(url: string): FakeSocket {
    const socket = new FakeSocket(url);
    socket.alive = this.alive;
    this.sockets.push(socket);
    return socket;
  }

  readonly beacons: string[] = [];

  beacon(url: string): void {
    this.beacons.push(url);
  }

  probe(url: string, answered: (answer: HealthAnswer) => void): () => void {
    const probe = {
      url,
      aborted: false,
      answer: (found: HealthAnswer["found"], why?: string): void => {
        if (!probe.aborted) answered(why === undefined ? { found } : { found, why });
      },
    };
    this.probes.push(probe);
    if (this.health) probe.answer(this.health);
    return () => void (probe.aborted = true);
  }

  now(): number {
    return this.#now;
  }

  random(): number {
    return this.chance;
  }

  after(ms: number, then: () => void): Due {
    const due = { at: this.#now + ms, then };
    this.#due.add(due);
    return due;
  }

  cancel(timer: unknown): void {
    this.#due.delete(timer as Due);
  }

  soon(then: () => void): void {
    this.#soon.push(then);
  }

  /** Lets time pass, ringing what is due. */
  pass(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      let next: Due | undefined;
      for (const due of this.#due) if (due.at <= end && (!next || due.at < next.at)) next = due;
      if (!next) break;
      this.#due.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.then();
    }
    this.#now = end;
  }

  /** As a stopped page: the clock goes on, timers ring late. */
  freeze(ms: number): void {
    this.#now += ms;
  }

  /** Microtasks, and what was put off. */
  async settle(): Promise<void> {
    for (let i = 0; i < 20; i++) {
      await Promise.resolve();
      for (const then of this.#soon.splice(0)) then();
    }
  }
}
