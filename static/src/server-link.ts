// The shell's side towards the server: handles its messages, tells it what this member knows, and
// relays data over it.

import type { DataChannels, DialPlan } from "./data-channels.ts";
import { shortId, type DebugLog } from "./debug-log.ts";
import type { Env } from "./env.ts";
import type { PeerstarErrorCode } from "./errors.ts";
import type { Event, Group } from "./group/index.ts";
import type { LatencyMeter } from "./latency.ts";
import type { PagePort } from "./page-port.ts";
import {
  isSocketLost,
  parseAlone,
  parseDeputy,
  parseFairMs,
  parseHost,
  parseOpen,
  parseRosterEntry,
  PROFILE_BYTES,
} from "./payload.ts";
import { Relay } from "./relay.ts";
import { SignallingBuffer } from "./signalling-buffer.ts";
import { ServerSocket } from "./socket.ts";
import type { Close, DialFailure, ServerMessage } from "./socket-types.ts";
import { StatusReport } from "./status-report.ts";
import { idOfTicket, type Ticket } from "./ticket.ts";

export interface MemberOptions {
  /** This page's id, unless the ticket names one. */
  readonly id: string;
  /**
   * A number above the count of all messages that earlier loads of the page sent, for an id that a
   * ticket names and those loads had as well.
   */
  readonly counted?: number;
  readonly profile: unknown;
  /** Whether this page may open data channels. */
  readonly p2p: boolean;
  readonly ticket?: Ticket | undefined;
}

/** Parts of the shell that the server's messages concern. */
export interface ServerLinkParts {
  readonly machine: Group;
  readonly channels: DataChannels;
  readonly latency: LatencyMeter;
  readonly log: DebugLog;
}

/** Receives the reports of the server link. */
export interface ServerLinkHooks {
  /** Passes events to the state machine. */
  feed(event: Event): void;
  /** A message was handled. A timer of the machine may be overdue. */
  handled(): void;
  /** The server named another deputy. */
  deputyChanged(): void;
  error(code: PeerstarErrorCode, message: string): void;
  /** The server does not let this page in any more. */
  ended(close: Close): void;
}

/**
 * After this many failed dials, or one that took its whole time, the page is told that the server
 * is unreachable.
 */
const UNREACHABLE_DIALS = 4;

export class ServerLink {
  readonly relay: Relay;
  readonly status: StatusReport;
  readonly #env: Env;
  readonly #page: PagePort;
  readonly #options: MemberOptions;
  readonly #parts: ServerLinkParts;
  readonly #hooks: ServerLinkHooks;
  readonly #socket: ServerSocket;
  readonly #signalling = new SignallingBuffer();
  #id: string;
  /** Whether a ticket named the id. */
  #isIdFromTicket = false;
  /** Whether this member dials the host, as the server says. */
  #dialsHost = false;
  #deputy: string | undefined;
  #relayAllowed = true;
  /** Maximum size of a profile in bytes of JSON. */
  #profileBytes = PROFILE_BYTES;
  /** Whether the page was told that the server is unreachable, and has not been in since. */
  #isUnreachableReported = false;

  constructor(
    env: Env,
    page: PagePort,
    options: MemberOptions,
    parts: ServerLinkParts,
    hooks: ServerLinkHooks,
  ) {
    this.#env = env;
    this.#page = page;
    this.#options = options;
    this.#parts = parts;
    this.#hooks = hooks;
    this.#id = options.id;
    this.#socket = new ServerSocket(
      env,
      { ticket: options.ticket, routes: () => page.routes(), url: (ticket) => this.#url(ticket) },
      {
        message: (message) => this.#handle(message),
        lost: () => this.#lost(),
        ended: (close) => hooks.ended({ ...close, reason: this.#reasonOf(close) }),
        proved: (epoch) => hooks.feed({ type: "proved", epoch }),
        failed: (failure) => this.#failed(failure),
      },
    );
    this.relay = new Relay(env, this.#socket, {
      feed: (event) => hooks.feed(event),
      measured: (id, ms) => parts.latency.measured(id, ms, "relay"),
    });
    this.status = new StatusReport(
      options.profile,
      { p2p: options.p2p, isVisible: () => page.isVisible() },
      (type, payload) => this.send(type, payload),
    );
  }

  get id(): string {
    return this.#id;
  }

  /** Whether the server has let this page in. */
  get isOpen(): boolean {
    return this.#socket.isOpen;
  }

  /** Whether the server relays data for this page. */
  get relayAllowed(): boolean {
    return this.#relayAllowed;
  }

  get profileBytes(): number {
    return this.#profileBytes;
  }

  dial(): void {
    this.#socket.dial();
  }

  redial(): void {
    this.#socket.redial();
  }

  /** Checks the connection, or dials without waiting. */
  wake(): void {
    this.#socket.wake();
  }

  /** Says goodbye; `dial` may follow. */
  pause(): void {
    this.#socket.pause();
  }

  /** Says goodbye for good. */
  leave(): void {
    this.#socket.leave();
  }

  prove(epoch: number): void {
    this.#socket.prove(epoch);
  }

  /** Sends a message to the server. While the WebSocket is closed it is dropped. */
  send(type: string, payload: unknown): void {
    this.#socket.send(JSON.stringify({ type, payload }));
  }

  /**
   * Sends a signalling message of PeerJS. While the WebSocket is closed it waits for as long as the
   * server would keep it.
   */
  signal(message: object): void {
    const text = JSON.stringify(message);
    if (!this.#socket.send(text)) this.#signalling.push(text, this.#env.now());
  }

  /** Returns whom this page dials. `mayDial`: false when the group has ended. */
  dialPlan(mayDial: boolean): DialPlan {
    const { host } = this.#parts.machine;
    const isHost = host === this.#id;
    const isDeputy = this.#deputy === this.#id;
    const dials = this.#options.p2p && mayDial && !isHost;
    return {
      host: dials && this.#dialsHost ? host : undefined,
      deputy: dials && !isDeputy ? this.#deputy : undefined,
      isServing: isHost || isDeputy,
      isRelayed: this.#relayAllowed,
    };
  }

  // --- dialling ---

  #url(ticket: string | undefined): string {
    this.#takeIdOf(ticket);
    const { host, epoch } = this.#parts.machine;
    return this.#page.socketUrl(host === undefined ? undefined : { epoch, host }, ticket);
  }

  /**
   * Takes the id that a ticket names. After the first OPEN the id stays: the server refuses a
   * ticket for another.
   */
  #takeIdOf(ticket: string | undefined): void {
    const id = ticket === undefined ? undefined : idOfTicket(ticket);
    const { machine, log } = this.#parts;
    if (id === undefined || (this.#isIdFromTicket && id === this.#id)) return;
    if (machine.host !== undefined) return;
    log(() => `the ticket names the id ${id}`);
    this.#id = id;
    this.#isIdFromTicket = true;
    machine.identify(id, this.#options.counted ?? 0);
    this.#page.setId(id);
  }

  #lost(): void {
    this.#parts.log(() => "the WebSocket is lost");
    this.relay.close();
    this.#hooks.feed({ type: "offline" });
  }

  #failed({ times, why, late }: DialFailure): void {
    this.#parts.log(() => `dial ${times} failed${why && `: ${why}`}`);
    if (this.#isUnreachableReported || (times < UNREACHABLE_DIALS && !late)) return;
    this.#isUnreachableReported = true;
    this.#hooks.error(
      "Unreachable",
      `The server cannot be reached${why && ` (${why})`}; trying on.`,
    );
  }

  #reasonOf({ code, reason }: Close): string {
    if (code === 4426)
      return "This page's version of the library is not this server's: reload the page.";
    if (code === 4409 && this.#isIdFromTicket)
      return [
        "Another page, such as a second tab, is here with the id that this ticket names",
        `(${this.#id}). A ticket that names an id is for one page at a time.`,
      ].join(" ");
    return reason;
  }

  // --- messages of the server ---

  #handle(message: ServerMessage): void {
    const { channels } = this.#parts;
    const { type, src, payload } = message;
    switch (type) {
      case "OPEN":
        this.#opened(payload);
        break;
      case "HOST":
        this.#hostNamed(payload);
        break;
      case "ALONE":
        this.#aloneSaid(payload);
        break;
      case "DEPUTY":
        this.#deputy = parseDeputy(payload);
        this.#hooks.deputyChanged();
        break;
      case "JOIN": {
        const member = parseRosterEntry(payload);
        if (member) this.#hooks.feed({ type: "joined", member });
        break;
      }
      case "LEAVE":
        if (src !== undefined) this.#memberLeft(src, message);
        break;
      case "RELAY":
        if (src !== undefined) this.relay.received(src, payload);
        break;
      case "EXPIRE":
        if (src !== undefined && channels.isDialling(src)) channels.endDials(src);
        this.#page.signal(message);
        break;
      case "OFFER":
      case "ANSWER":
      case "CANDIDATE":
        this.#page.signal(message);
        break;
      case "ICE": {
        const { ice } = (payload ?? {}) as { ice?: unknown };
        if (Array.isArray(ice)) this.#reportIce(this.#page.useIce(ice as RTCIceServer[]));
        break;
      }
      default:
        break;
    }
    this.relay.drain();
    this.#hooks.handled();
  }

  #opened(payload: unknown): void {
    const { machine, channels, log } = this.#parts;
    const parsed = parseOpen(payload);
    if (!parsed)
      return this.#hooks.ended({
        code: 4400,
        reason: "This server has no pages: it is not Peerstar.",
      });
    const { open, p2p, limits, expireMs, profileBytes, ice } = parsed;
    log(() => {
      const recovering = open.recovering ? ", recovering" : "";
      return `OPEN host ${shortId(open.host)} epoch ${open.epoch}, ${open.members} members${recovering}`;
    });
    this.#isUnreachableReported = false;
    this.#profileBytes = profileBytes;
    this.#dialsHost = p2p;
    this.#takeDialInfo(payload);
    this.#relayAllowed = open.relay;
    this.relay.open(limits);
    if (open.epoch > machine.epoch) channels.dropSnapshots();
    this.status.sendAll(!machine.disbelieved, channels.openTargets());
    const problem = ice && this.#page.useIce(ice);
    this.#page.signallingOpened();
    const since = this.#env.now() - expireMs;
    for (const text of this.#signalling.takeSince(since)) this.#socket.send(text);
    this.#hooks.feed({ type: "open", open });
    channels.online();
    this.#reportIce(problem);
  }

  #hostNamed(payload: unknown): void {
    const { channels, log, machine } = this.#parts;
    const host = parseHost(payload);
    if (!host) return;
    log(() => `HOST ${shortId(host.host)} epoch ${host.epoch} (${host.cause})`);
    this.#dialsHost = (payload as { p2p?: unknown }).p2p !== false;
    this.#takeDialInfo(payload);
    // A host of the present epoch goes on, and so does all that is on its way.
    if (host.epoch > machine.epoch) {
      this.relay.hostChanged();
      channels.dropSnapshots();
    }
    this.#hooks.feed({ type: "host", host });
  }

  #aloneSaid(payload: unknown): void {
    const alone = parseAlone(payload);
    if (alone === undefined) return;
    this.#parts.log(() => `ALONE ${alone}`);
    this.#hooks.feed({ type: "alone", alone });
  }

  #memberLeft(id: string, message: ServerMessage): void {
    const { channels, latency } = this.#parts;
    this.relay.forget(id);
    // A member that only lost its socket may still be there, on its data channel.
    if (!isSocketLost(message.payload)) {
      latency.forget(id);
      channels.close(id);
    }
    this.#page.signal(message);
    this.#hooks.feed({ type: "left", id });
  }

  /** Takes what OPEN and HOST say of dialling. */
  #takeDialInfo(payload: unknown): void {
    this.#deputy = parseDeputy(payload);
    const fairMs = parseFairMs(payload);
    if (fairMs !== undefined) this.#parts.channels.setDialTimeout(fairMs);
  }

  #reportIce(problem: string | undefined): void {
    if (problem !== undefined)
      this.#hooks.error(
        "Unreachable",
        [
          `This browser refuses a part of the server's ICE configuration, which is left out`,
          `(${problem}). Members that cannot be reached without it are served over the server.`,
        ].join(" "),
      );
  }
}
