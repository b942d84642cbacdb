// The shell around the group's state machine: passes it the events of WebSocket, data channels,
// clock and page, and carries out its effects.

import type { ChannelApp } from "./channels/channel.ts";
import { DirectCalls } from "./channels/direct-calls.ts";
import { PURPOSE, wrap } from "./channels/envelope.ts";
import type { DirectOptions, RequestHandler, RequestOptions } from "./channels/requests.ts";
import { DataChannels } from "./data-channels.ts";
import { pack, type Packed } from "./codec.ts";
import type { Connection } from "./connection.ts";
import { describeNotice, shortId, type DebugLog } from "./debug-log.ts";
import type { Env } from "./env.ts";
import { PeerstarError, type PeerstarErrorCode } from "./errors.ts";
import type { Lane } from "./fair-queue.ts";
import {
  Group,
  type Effect,
  type Event,
  type Notice,
  type Status,
  type Wire,
} from "./group/index.ts";
import { LatencyMeter } from "./latency.ts";
import { MachineRunner } from "./machine-runner.ts";
import { MemberList } from "./members.ts";
import { PageCallbacks } from "./page-callbacks.ts";
import type { PagePort } from "./page-port.ts";
import { ServerLink, type MemberOptions } from "./server-link.ts";
import type { Close } from "./socket-types.ts";

/**
 * After this many failed dials of the host, a page that may not use the relay is told that the host
 * is unreachable.
 */
const UNREACHABLE_DIALS = 3;

export class Shell {
  /** The other members, as the page's events have told them. */
  readonly members = new MemberList();
  readonly #page: PagePort;
  readonly #options: MemberOptions;
  readonly #log: DebugLog;
  readonly #machine: Group;
  readonly #runner: MachineRunner;
  readonly #callbacks: PageCallbacks;
  readonly #direct: DirectCalls;
  readonly #latency: LatencyMeter;
  readonly #dataChannels: DataChannels;
  readonly #server: ServerLink;
  /** The JSON of messages, written once: the same message goes to many members. */
  readonly #texts = new WeakMap<Wire, string>();
  /** The status that the page was last told. */
  #state: Status = "connecting";
  #serverOpen = false;
  #isClosed = false;

  constructor(env: Env, options: MemberOptions, page: PagePort, log: DebugLog) {
    this.#page = page;
    this.#options = options;
    this.#log = log;
    this.#machine = new Group(options.id);
    this.#runner = new MachineRunner(env, this.#machine, {
      perform: (effect) => this.#perform(effect),
      stepped: () => this.#stepped(),
    });
    this.#callbacks = new PageCallbacks(env, page, log, (event) => this.#feed(event));
    this.#direct = new DirectCalls(page, (event) => this.#feed(event));
    this.#latency = new LatencyMeter(env, {
      host: () => (this.#isClosed ? undefined : this.#machine.host),
      ping: (id, lastMs) => {
        if (this.#server.isOpen) this.#server.relay.ping(id, lastMs);
      },
      changed: (id, path, rttMs) =>
        this.#callbacks.push(() => page.emit("link", { id, path, rttMs })),
    });
    this.#dataChannels = new DataChannels(env, {
      dial: (id) => page.dial(id),
      forget: (connectionId) => page.forget(connectionId),
      isOnline: () => this.#server.isOpen,
      feed: (event) => this.#channelEvent(event),
      measured: (id, ms) => this.#latency.measured(id, ms, "p2p"),
      dialFailed: (id, times) => this.#dialFailed(id, times),
    });
    const parts = {
      machine: this.#machine,
      channels: this.#dataChannels,
      latency: this.#latency,
      log,
    };
    this.#server = new ServerLink(env, page, options, parts, {
      feed: (event) => this.#feed(event),
      handled: () => this.#runner.checkDeadline(),
      deputyChanged: () => this.#followDialPlan(),
      error: (code, message) => this.#error(code, message),
      ended: (close) => this.#ended(close),
    });
  }

  // --- called by the page ---

  /** Dials the server for the first time. */
  start(): void {
    if (this.#isClosed) return;
    const { profile } = this.#options;
    if (profile !== undefined) this.#feed({ type: "profile", profile });
    this.#server.dial();
  }

  get host(): string | undefined {
    return this.#machine.host;
  }

  get epoch(): number {
    return this.#machine.epoch;
  }

  get profile(): unknown {
    return this.#server.status.profile;
  }

  /** Maximum size of a profile in bytes of JSON. */
  get profileBytes(): number {
    return this.#server.profileBytes;
  }

  /**
   * Sets this member's profile: JSON within `profileBytes`. While the WebSocket is closed, it is
   * sent after the next OPEN.
   */
  setProfile(profile: unknown): void {
    this.#feed({ type: "profile", profile });
    this.#server.status.setProfile(profile);
  }

  /**
   * Sends a message to the group on a channel. Rejects with a TypeError for what cannot be sent, else with a
   * PeerstarError.
   */
  send(channel: string, data: unknown): Promise<void> {
    if (this.#isClosed) return this.#callbacks.rejectedSend();
    let packed: Packed;
    try {
      packed = pack(data);
    } catch (error) {
      // A mistake of the page. If nobody handles the promise, the browser reports it.
      return Promise.reject(error);
    }
    const { token, promise } = this.#callbacks.addSend();
    const text = wrap(PURPOSE.message, channel, packed.text);
    this.#feed({ type: "send", token, data: text, size: packed.size });
    return promise;
  }

  /** Sends a message to one member on a channel. */
  sendTo(channel: string, id: string, data: unknown, options?: DirectOptions): Promise<void> {
    return this.#direct.sendTo(channel, id, data, options);
  }

  /** Asks the page of one member on a channel. */
  request(channel: string, id: string, data: unknown, options?: RequestOptions): Promise<unknown> {
    return this.#direct.request(channel, id, data, options);
  }

  /** Sets the function that answers requests on a channel. Returns one that removes it. */
  handle(channel: string, handler: RequestHandler): () => void {
    return this.#direct.handle(channel, handler);
  }

  /** Opens a channel: the page is handed what is kept of it, and what is said there from now on. */
  openChannel(name: string, app: ChannelApp): void {
    this.#direct.openChannel(name, app);
    this.#callbacks.openChannel(name, app);
  }

  /** Called when the page sets or removes its onSnapshot or onRestore on some channel. */
  callbacksChanged(channel: string): void {
    this.#callbacks.callbacksChanged(channel);
  }

  /** Hands over the host's role, to `to` if given. */
  resign(to?: string): void {
    this.#feed(to === undefined ? { type: "resign" } : { type: "resign", to });
  }

  leave(): void {
    this.#close({ code: 1000, reason: "left" });
  }

  /**
   * The page is being closed. Says goodbye even if a script was stopped in the middle of a step, or
   * of `leave`.
   */
  leaveNow(): void {
    this.leave();
    this.#server.leave();
  }

  /**
   * The page is left and may come back (pagehide with `persisted`). To the others it has left; here
   * all is kept.
   */
  pause(): void {
    if (this.#isClosed) return;
    this.#log(() => "the page is left, and may come back");
    this.#server.pause();
    this.#dataChannels.closeAll();
    this.#runner.flush();
  }

  resume(): void {
    if (this.#isClosed) return;
    this.#log(() => "the page is back");
    this.#server.dial();
    this.#followDialPlan();
  }

  /** The network is back, or the page runs again. */
  wake(): void {
    this.#server.wake();
    this.#runner.checkDeadline();
  }

  /** The page was hidden or shown. */
  visibilityChanged(): void {
    this.#server.status.sendVisible();
    if (this.#page.isVisible()) this.wake();
  }

  /** Takes a connection of the group that another member dialled. */
  accept(connection: Connection): void {
    if (this.#isClosed || !this.#options.p2p) connection.close();
    else this.#dataChannels.accept(connection);
  }

  /** Sends a signalling message of PeerJS. */
  signal(message: object): void {
    this.#server.signal(message);
  }

  // --- the state machine ---

  #feed(event: Event): void {
    this.#runner.feed(event);
  }

  #stepped(): void {
    if (this.#server.isOpen !== this.#serverOpen)
      this.#callbacks.push(() => this.#emitStatus(this.#state));
    // A server that does not believe this member's epoch must not name it host: it could not serve
    // the members.
    this.#server.status.setEligible(!this.#machine.disbelieved);
    this.#followDialPlan();
  }

  #perform(effect: Effect): void {
    const server = this.#server;
    switch (effect.type) {
      case "transmit":
        this.#transmit(effect);
        break;
      case "fanout":
        server.relay.send(undefined, this.#textOf(effect.message), laneOf(effect.message));
        break;
      case "deliver":
      case "settle":
      case "askSnapshot":
      case "restore":
        this.#callbacks.perform(effect);
        break;
      case "direct":
      case "request":
        this.#direct.expect(effect);
        this.#callbacks.push(() => this.#direct.hand(effect));
        break;
      case "requestEnded":
      case "settleDirect":
      case "answered":
        // These wait for no callback of the page: the callback may wait for them.
        this.#direct.perform(effect);
        break;
      case "suspect":
        this.#log(() => `the host ${shortId(effect.host)} is silent: SUSPECT`);
        server.send("SUSPECT", { host: effect.host, epoch: effect.epoch });
        break;
      case "trust":
        this.#log(() => `the host ${shortId(effect.host)} is heard again: TRUST`);
        server.send("TRUST", { host: effect.host, epoch: effect.epoch });
        break;
      case "resign": {
        const { epoch, to } = effect;
        server.send("RESIGN", to === undefined ? { epoch } : { epoch, to });
        break;
      }
      case "relayWanted":
        server.status.setRelayWanted(effect.wanted);
        break;
      case "prove":
        server.prove(effect.epoch);
        break;
      case "check":
        server.wake();
        break;
      case "redial":
        this.#log(() => "the server does not know the latest epoch: dialling again to tell it");
        server.redial();
        break;
      case "disbelieved":
        this.#error("Unreachable", clockSetBack(effect.behindMs));
        break;
      case "unlink":
        this.#dataChannels.close(effect.id);
        break;
      case "notice":
        this.#callbacks.push(() => this.#announce(effect.notice));
        break;
    }
  }

  #transmit({ to, via, message }: Extract<Effect, { type: "transmit" }>): void {
    const { relay } = this.#server;
    const lane = laneOf(message);
    // One snapshot on its way to a member is enough: another would be as good, and is asked for
    // again. One in a channel that is dead does not keep the relay from carrying another.
    const isUnderWay = (): boolean =>
      relay.hasSnapshot(to) || (via === "p2p" && this.#dataChannels.hasSnapshot(to));
    if (lane === "snapshots" && isUnderWay()) return;
    if (via === "p2p") this.#dataChannels.send(to, this.#textOf(message), lane);
    else relay.send(to, this.#textOf(message), lane);
  }

  #textOf(message: Wire): string {
    let text = this.#texts.get(message);
    if (text === undefined) this.#texts.set(message, (text = JSON.stringify(message)));
    return text;
  }

  // --- data channels ---

  #channelEvent(event: Event): void {
    if (event.type !== "link") return this.#feed(event);
    const { id, up } = event;
    this.#log(() => `data channel to ${shortId(id)} ${up ? "open" : "closed"}`);
    if (!up) this.#latency.channelClosed(id);
    this.#feed(event);
    this.#reportChannels();
  }

  #dialFailed(id: string, times: number): void {
    this.#log(() => `data channel to ${shortId(id)} failed ${times} times: dialling again later`);
    const isOnlyWay = !this.#server.relayAllowed && id === this.#machine.host;
    if (isOnlyWay && times === UNREACHABLE_DIALS)
      this.#error(
        "Unreachable",
        "No data channel to the host can be opened, and this server does not relay.",
      );
  }

  #followDialPlan(): void {
    const isNew = this.#dataChannels.follow(this.#server.dialPlan(!this.#isClosed));
    if (isNew) this.#reportChannels();
  }

  #reportChannels(): void {
    if (this.#serverOpen) this.#server.status.setChannels(this.#dataChannels.openTargets());
  }

  // --- the page's events ---

  #announce(notice: Notice): void {
    if (notice.kind === "status") return this.#emitStatus(notice.state);
    this.#log(() => describeNotice(notice));
    if (notice.kind === "member" && notice.change === "leave") this.#latency.forget(notice.id);
    if (notice.kind === "recovered") return this.#callbacks.recovered(notice);
    const rttMs =
      notice.kind === "link" ? this.#latency.setPath(notice.id, notice.path) : undefined;
    this.members.announce(notice, this.#server.id, rttMs, this.#page);
  }

  #emitStatus(state: Status): void {
    const server = this.#server.isOpen && state !== "closed";
    if (state === this.#state && server === this.#serverOpen) return;
    this.#state = state;
    this.#serverOpen = server;
    this.#log(() => `status ${state}${server ? "" : ", without the server"}`);
    this.#page.emit("status", { state, server });
  }

  #error(code: PeerstarErrorCode, message: string): void {
    this.#callbacks.error(new PeerstarError(code, message));
  }

  // --- the end ---

  #ended(close: Close): void {
    const wasReplaced = close.code === 4410;
    this.#close(
      close,
      wasReplaced
        ? undefined
        : new PeerstarError("Refused", `The server does not let this page in: ${close.reason}`),
    );
  }

  #close(close: Close, error = new PeerstarError("Closed")): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#log(() => `closed: ${close.code} ${close.reason}`);
    this.#callbacks.silence(error);
    this.#direct.close(error);
    // Messages of a step that is being delivered are settled as delivered, even if a listener of
    // them leaves.
    this.#runner.afterStep(() => {
      this.#runner.flush({ type: "leave" });
      this.#server.leave();
      this.#server.relay.close();
      this.#dataChannels.closeAll();
      this.#runner.stop();
      this.#latency.stop();
      this.#page.release();
      this.#callbacks.close(() => {
        this.#emitStatus("closed");
        this.#page.emit("close", { code: close.code, reason: close.reason });
      });
    });
  }
}

/**
 * Snapshots may be large. In whatever order they arrive among the messages, they are valid or
 * without effect.
 */
function laneOf({ t }: Wire): Lane {
  return t === "restore" || t === "snap" ? "snapshots" : "messages";
}

function clockSetBack(behindMs: number): string {
  return [
    `The server's clock was set back: it is at least ${minutes(behindMs)} behind what it said`,
    "before, so the server does not believe which host this page has. This page tries again, less",
    "and less often, until that clock is right to within 10 minutes, and delivers nothing until",
    "then. Reload the page to start anew with those who come now.",
  ].join(" ");
}

function minutes(ms: number): string {
  const whole = Math.max(1, Math.floor(ms / 60_000));
  return whole === 1 ? "1 minute" : `${whole} minutes`;
}
