// A small browser for tests: a clock that is moved by hand, sockets and data channels whose other
// side is the test, and a page that notes what it is told.

import type { Connection } from "../src/connection.ts";
import type { Env, SocketLike } from "../src/env.ts";
import type { HealthAnswer } from "../src/health-probe.ts";
import type { PageGroupEvents } from "../src/page-events.ts";
import type { Claim, PagePort } from "../src/page-port.ts";
import type { RestoreCallback } from "../src/restore-info.ts";
import type { Routes, ServerMessage } from "../src/socket-types.ts";

export class FakeSocket implements SocketLike {
  readyState = 0;
  bufferedAmount = 0;
  readonly sent: string[] = [];
  closedWith: number | undefined;
  /** Whether heartbeats are answered without the test's doing. */
  alive = false;
  onmessage: SocketLike["onmessage"] = null;
  onclose: SocketLike["onclose"] = null;

  constructor(readonly url: string) {}

  send(text: string): void {
    this.sent.push(text);
    if (this.alive && text.startsWith('{"type":"HEARTBEAT"'))
      queueMicrotask(() => this.says(JSON.parse(text) as object));
  }

  close(code?: number): void {
    this.readyState = 3;
    this.closedWith = code ?? 1005;
  }

  // --- the server's side ---

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

/** A DataConnection of PeerJS. */
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

/** A page that notes what the shell tells it. */
export class FakePage implements PagePort {
  /** All events with their arguments. */
  readonly events: NamedEvent[] = [];
  /** The events, one line each; "left" when the page was released. */
  readonly story: string[] = [];
  /** The messages of `error` events. */
  readonly errors: string[] = [];
  readonly claims: (Claim | undefined)[] = [];
  readonly signals: string[] = [];
  readonly ices: (readonly RTCIceServer[])[] = [];
  readonly ids: string[] = [];
  readonly dialled: FakeLink[] = [];
  /** Whether `dial` opens connections. */
  dials = false;
  visible = true;
  /** The browser's objection to ICE servers, in words. */
  iceProblem: string | undefined;
  onSnapshot: (() => unknown) | undefined;
  onRestore: RestoreCallback | undefined;
  /** Called for every `message` event, before the story goes on. */
  onMessage: ((data: unknown) => void) | undefined;

  routes(): Routes {
    return { health: "http://x/health", leave: "http://server/leave" };
  }

  socketUrl(claim: Claim | undefined): string {
    this.claims.push(claim);
    return "ws://x";
  }

  isVisible(): boolean {
    return this.visible;
  }

  emit<Name extends keyof PageGroupEvents>(name: Name, ...args: PageGroupEvents[Name]): void {
    const event = { name, args } as NamedEvent;
    this.events.push(event);
    this.story.push(this.#lineOf(event));
  }

  #lineOf({ name, args }: NamedEvent): string {
    switch (name) {
      case "message": {
        const [data, { from, epoch }] = args;
        this.onMessage?.(data);
        return `${from}: ${JSON.stringify(data)} @${epoch}`;
      }
      case "status": {
        const [{ state, server }] = args;
        return server ? state : `${state} (no server)`;
      }
      case "error": {
        const [{ code, message }] = args;
        this.errors.push(message);
        return `error ${code}`;
      }
      case "close": {
        const [{ code, reason }] = args;
        return `closed ${code} ${reason}`;
      }
      default:
        return name;
    }
  }

  release(): void {
    this.story.push("left");
  }

  setId(id: string): void {
    this.ids.push(id);
  }

  signallingOpened(): void {}

  useIce(ice: readonly RTCIceServer[]): string | undefined {
    this.ices.push(ice);
    return this.iceProblem;
  }

  signal({ type }: ServerMessage): void {
    this.signals.push(type);
  }

  dial(id: string): Connection | undefined {
    if (!this.dials) return undefined;
    const link = new FakeLink(id, `dc_${this.dialled.length}`);
    this.dialled.push(link);
    return link;
  }

  forget(): void {}
}

export type NamedEvent = {
  [Name in keyof PageGroupEvents]: {
    readonly name: Name;
    readonly args: PageGroupEvents[Name];
  };
}[keyof PageGroupEvents];

interface DueTimer {
  readonly at: number;
  readonly then: () => void;
}

export class FakeEnv implements Env {
  readonly sockets: FakeSocket[] = [];
  readonly beacons: string[] = [];
  chance = 0.5;
  alive = false;
  /**
   * The immediate answer of the server's `health` route. Undefined: the test answers by `probes`.
   */
  health: HealthAnswer["found"] | undefined = "there";
  readonly probes: {
    readonly url: string;
    answer(found: HealthAnswer["found"], why?: string): void;
    aborted: boolean;
  }[] = [];
  #now = 0;
  #due = new Set<DueTimer>();
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

  after(ms: number, then: () => void): DueTimer {
    const due = { at: this.#now + ms, then };
    this.#due.add(due);
    return due;
  }

  cancel(timer: unknown): void {
    this.#due.delete(timer as DueTimer);
  }

  soon(then: () => void): void {
    this.#soon.push(then);
  }

  /** Moves the clock and fires the timers that are due. */
  pass(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      let next: DueTimer | undefined;
      for (const due of this.#due) if (due.at <= end && (!next || due.at < next.at)) next = due;
      if (!next) break;
      this.#due.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.then();
    }
    this.#now = end;
  }

  /** Moves the clock without firing timers, as for a page that is frozen. */
  freeze(ms: number): void {
    this.#now += ms;
  }

  /** Runs microtasks, and what was put off with `soon`. */
  async settle(): Promise<void> {
    for (let i = 0; i < 20; i++) {
      await Promise.resolve();
      for (const then of this.#soon.splice(0)) then();
    }
  }
}
