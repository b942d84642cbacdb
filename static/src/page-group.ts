// The public class: the page's events and methods over the shell, and the page's life over both.

import type { Peer } from "peerjs";
import { base64url, jsonText, utf8Length } from "./codec.ts";
import { teller, type Told } from "./debug.ts";
import { browserEnv, randomId } from "./env.ts";
import type { PeerstarError } from "./errors.ts";
import { Emitter } from "./events.ts";
import { PROTOCOL } from "./group/index.ts";
import { home } from "./home.ts";
import { objection } from "./ice.ts";
import { lostIn } from "./lost.ts";
import { isLost } from "./payload.ts";
import { checkScope, pageIn, serverIn, type Scope } from "./place.ts";
import { createPeer, Signalling, type GroupPeer, type PeerAddress } from "./peer.ts";
import type { RestoreInfo } from "./restore-info.ts";
import { Shell } from "./shell.ts";
import type { Routes, ServerMessage } from "./socket.ts";
import { idIn, type Ticket } from "./ticket.ts";

export interface PageGroupOptions {
  /**
   * What people look at together; everyone with the same one meets. Default: this page's address without query and hash.
   * Needed in a worker, and on a page without an http(s) address of its own, such as `srcdoc`, `data:` or a sandbox.
   */
  readonly page?: string;
  /** The server's address, with its path. Default: where peerstar.js came from; in a bundle, the root of this origin. */
  readonly server?: string;
  /** The server's key. Default "peerjs". */
  readonly key?: string;
  /**
   * For servers that let in only those with a signed ticket. A function is asked before every connection, and may take
   * 10 s; a text is good until it expires, and then the group ends. The id that a ticket names is this page's.
   */
  readonly ticket?: Ticket;
  /** Anything JSON of at most 1 KB; the others are told with `member`, and of a later one with `profile`. */
  readonly profile?: unknown;
  /** Tell in the console what happens. */
  readonly debug?: boolean;
  /**
   * For every RTCPeerConnection of the group and of `peer`. `iceServers` come before those of the server;
   * `iceTransportPolicy: "relay"` hides addresses behind TURN.
   */
  readonly rtc?: RTCConfiguration;
  /**
   * `false`: everything goes over the server, and no other member learns this one's address, unless the page makes
   * connections and calls over `peer`, or takes them. Default true.
   */
  readonly p2p?: boolean;
}

export interface MessageInfo {
  /** The sender's id; one's own messages come as well. */
  readonly from: string;
  /** Place in the order that all share. */
  readonly seq: number;
  /** Of the host that put it in order. */
  readonly epoch: number;
}

export interface PageGroupEvents {
  open: [
    event: {
      readonly id: string;
      readonly host: string;
      readonly epoch: number;
      readonly first: boolean;
    },
  ];
  message: [data: unknown, info: MessageInfo];
  host: [
    event: {
      readonly host: string;
      readonly epoch: number;
      readonly isHost: boolean;
      readonly cause: string;
      readonly tookMs: number;
    },
  ];
  member: [
    event: { readonly kind: "join" | "leave"; readonly id: string; readonly profile: unknown },
  ];
  profile: [event: { readonly id: string; readonly profile: unknown }];
  recovered: [
    event: RestoreInfo & {
      readonly complete: boolean;
      readonly via: "log" | "snapshot" | "none";
      readonly awayMs: number;
    },
  ];
  link: [
    event: {
      readonly id: string;
      readonly path: "p2p" | "relay" | "none";
      readonly rttMs: number | undefined;
    },
  ];
  status: [
    event: { readonly state: "connecting" | "open" | "away" | "closed"; readonly server: boolean },
  ];
  error: [error: PeerstarError];
  close: [event: { readonly code: number; readonly reason: string }];
}

/** The server closes who says more. */
const PROFILE_BYTES = 1024;
/** More messages than a page can send in a millisecond; times the clock's, within what a number holds until the year 2248. */
const COUNT_PER_MS = 1024;

export class PageGroup {
  #id: string;
  readonly #events = new Emitter<PageGroupEvents>();
  readonly #peer: GroupPeer;
  readonly #shell: Shell;
  readonly #unwatch: () => void;
  /** Of the others, as the page was told that they are here. */
  readonly #profiles = new Map<string, unknown>();
  #onSnapshot: (() => unknown) | undefined;
  #onRestore: ((state: unknown, about: RestoreInfo) => unknown) | undefined;

  constructor(options: PageGroupOptions = {}) {
    const scope = globalThis as unknown as Scope;
    checkScope(scope);
    const profile = options.profile === undefined ? undefined : profileIn(options.profile);
    const page = pageIn(options.page, scope);
    const address = addressOf(serverIn(options.server, home.from, scope), page, keyIn(options.key));
    const ticket = ticketIn(options.ticket);
    const rtc = rtcIn(options.rtc);
    // Fresh for each load of the page, and never stored: a copied tab must not speak as this one.
    this.#id = (typeof ticket === "string" ? idIn(ticket) : undefined) ?? randomId();
    const token = randomId();
    const p2p = options.p2p !== false && typeof RTCPeerConnection !== "undefined";
    const env = browserEnv();
    const signalling = new Signalling((message) => this.#shell.signal(message));
    this.#peer = createPeer(this.#id, address, token, rtc, signalling, (connection) =>
      this.#shell.accept(connection),
    );
    this.#shell = new Shell(
      env,
      { id: this.#id, counted: Date.now() * COUNT_PER_MS, profile, p2p, ticket },
      {
        routes: () => routesOf(address, { id: this.#id, token }),
        url: (claim, ticket) => socketUrl(address, { id: this.#id, token, page, ticket, ...claim }),
        named: (id) => {
          this.#id = id;
          this.#peer.rename(id);
        },
        visible: () => typeof document === "undefined" || document.visibilityState !== "hidden",
        notice: (notice, rttMs) => this.#notice(notice, rttMs),
        status: (state, server) => this.#events.emit("status", { state, server }),
        message: (data, info) => this.#events.emit("message", data, info),
        snapshot: () => this.#onSnapshot,
        restore: (state, about) => this.#onRestore?.(state, about),
        error: (error) => this.#events.emit("error", error),
        left: () => {
          this.#unwatch();
          this.#peer.destroy();
        },
        closed: ({ code, reason }) => this.#events.emit("close", { code, reason }),
        signal: (message) => this.#signal(signalling, message, p2p),
        opened: (ice) => {
          const problem = ice && this.#peer.useIce(ice);
          signalling.opened();
          return problem;
        },
        ice: (ice) => this.#peer.useIce(ice),
        connect: (to) => this.#peer.dialGroup(to),
        over: (connectionId) => this.#peer.over(connectionId),
      },
      teller(options.debug === true, () => this.#id, env.now),
    );
    this.#unwatch = watch(this.#shell);
    whenShown(() => this.#shell.start());
  }

  /**
   * This page's id: new with every load, the same through every reconnection. A ticket that names an id gives that one;
   * if the ticket comes from a function, it is known with `open`.
   */
  get id(): string {
    return this.#id;
  }

  on<Name extends keyof PageGroupEvents>(
    name: Name,
    listener: (...args: PageGroupEvents[Name]) => void,
  ): this {
    this.#events.on(name, listener);
    return this;
  }

  off<Name extends keyof PageGroupEvents>(
    name: Name,
    listener: (...args: PageGroupEvents[Name]) => void,
  ): this {
    this.#events.off(name, listener);
    return this;
  }

  /**
   * Resolves when delivered, in order, to this page too. Rejects with a PeerstarError, or a TypeError for what cannot be
   * sent at all.
   */
  send(data: unknown): Promise<void> {
    return this.#shell.send(data);
  }

  /** Asked when someone joins late, between two deliveries: everything delivered so far, as anything `send` takes. */
  get onSnapshot(): (() => unknown) | undefined {
    return this.#onSnapshot;
  }

  set onSnapshot(give: (() => unknown) | null | undefined) {
    this.#onSnapshot = give ?? undefined;
    this.#shell.able(this.#onSnapshot !== undefined);
  }

  /** Given what a member's `onSnapshot` gave, and what this page loses by that; then only later messages follow. */
  get onRestore(): ((state: unknown, about: RestoreInfo) => unknown) | undefined {
    return this.#onRestore;
  }

  set onRestore(take: ((state: unknown, about: RestoreInfo) => unknown) | null | undefined) {
    this.#onRestore = take ?? undefined;
  }

  /** This member's own. Another one is told to the others, in the group's order; it cannot be taken back. */
  get profile(): unknown {
    return this.profileOf(this.id);
  }

  set profile(profile: unknown) {
    this.#shell.introduce(profileIn(profile));
  }

  /** Of a member that is here, a copy; undefined if it has none. */
  profileOf(id: string): unknown {
    // What the group hands on to others is not the page's to change.
    return structuredClone(id === this.id ? this.#shell.profile : this.#profiles.get(id));
  }

  get host(): string | undefined {
    return this.#shell.host;
  }

  get epoch(): number {
    return this.#shell.epoch;
  }

  get isHost(): boolean {
    return this.#shell.host === this.id;
  }

  /** Everybody's ids, one's own included: as the events have told so far. */
  get members(): string[] {
    return [this.id, ...this.#profiles.keys()];
  }

  /** The stock Peer: `call()` and `connect()` as ever. The group's own connections do not show in its events. */
  get peer(): Peer {
    return this.#peer as unknown as Peer;
  }

  /** Hand over, to `to` or, where that is not here, whoever is best. Does nothing unless this page hosts. */
  resign(to?: string): void {
    if (to !== undefined && typeof to !== "string")
      throw new TypeError(
        `resign() takes the id of a member, or nothing, and this is ${to === null ? "null" : typeof to}`,
      );
    this.#shell.resign(to !== undefined && this.#profiles.has(to) ? to : undefined);
  }

  /** For good; the others are told at once. */
  leave(): void {
    this.#shell.leave();
  }

  #notice(notice: Told, rttMs: number | undefined): void {
    switch (notice.kind) {
      case "open":
        return this.#events.emit("open", {
          id: this.id,
          host: notice.host,
          epoch: notice.epoch,
          first: notice.first,
        });
      case "host": {
        const { host, epoch, isHost, cause, tookMs } = notice;
        return this.#events.emit("host", { host, epoch, isHost, cause, tookMs });
      }
      case "member": {
        const { change: kind, id } = notice;
        if (kind === "join") this.#profiles.set(id, notice.profile);
        const profile = this.profileOf(id);
        if (kind === "leave") this.#profiles.delete(id);
        return this.#events.emit("member", { kind, id, profile });
      }
      case "profile":
        this.#profiles.set(notice.id, notice.profile);
        return this.#events.emit("profile", { id: notice.id, profile: this.profileOf(notice.id) });
      case "recovered": {
        const { complete, via, awayMs, reason, lost, lostMore } = notice;
        return this.#events.emit("recovered", {
          complete,
          via,
          awayMs,
          reason,
          lost: lostIn(lost),
          lostMore,
        });
      }
      case "link":
        return this.#events.emit("link", { id: notice.id, path: notice.path, rttMs });
    }
  }

  #signal(signalling: Signalling, message: ServerMessage, p2p: boolean): void {
    if (!p2p && this.#peer.isUnwanted(message))
      return this.#peer.over((message.payload as { connectionId?: unknown }).connectionId);
    if (this.#peer.isStale(message)) return;
    // An absent host is the group's business, unless the app has dialled it as well.
    if (
      message.type === "EXPIRE" &&
      message.src !== undefined &&
      !this.#peer.hasOthers(message.src)
    )
      return;
    // The group's own channel goes on without the server.
    if (message.type === "LEAVE" && message.src !== undefined && isLost(message.payload))
      return this.#peer.closeOthers(message.src);
    signalling.said(message);
  }
}

/** As the others will have it, whatever becomes of the original. */
function profileIn(profile: unknown): unknown {
  if (profile === undefined || profile === null)
    throw new TypeError(
      `a profile is anything JSON but null, and this is ${profile === null ? "null" : typeof profile}`,
    );
  const text = jsonText(profile);
  const bytes = utf8Length(text);
  if (bytes > PROFILE_BYTES)
    throw new RangeError(
      `a profile is ${PROFILE_BYTES} bytes of JSON at most, and this has ${bytes}`,
    );
  return JSON.parse(text);
}

function keyIn(key: unknown): string {
  if (key === undefined) return "peerjs";
  if (typeof key !== "string")
    throw new TypeError(
      `the option \`key\` is a text, and this is ${key === null ? "null" : typeof key}`,
    );
  return key;
}

function rtcIn(rtc: RTCConfiguration | undefined): RTCConfiguration {
  if (rtc === undefined) return {};
  const why = typeof rtc !== "object" || rtc === null ? "it is no object" : objection(rtc);
  if (why !== undefined)
    throw new TypeError(
      `the option \`rtc\` is an RTCConfiguration, and this browser does not take this one: ${why}`,
    );
  return rtc;
}

function ticketIn(ticket: unknown): Ticket | undefined {
  if (typeof ticket === "string") return ticket.trim();
  if (ticket === undefined || typeof ticket === "function") return ticket as Ticket | undefined;
  throw new TypeError(
    `the option \`ticket\` is a text, or a function that gives one or a promise of one, and this is ${ticket === null ? "null" : typeof ticket}`,
  );
}

/** A page that is prerendered is not there yet: it may never be shown, and its browser holds its WebSocket back. */
function whenShown(start: () => void): void {
  const isPrerendered =
    typeof document !== "undefined" &&
    (document as { prerendering?: boolean }).prerendering === true;
  if (isPrerendered) document.addEventListener("prerenderingchange", start, { once: true });
  else start();
}

/** The page's own life: hidden, frozen, left, back again. A worker hears only of the network. */
function watch(shell: Shell): () => void {
  const listeners: [EventTarget, string, (event: Event) => void][] = [
    [globalThis, "online", () => shell.wake()],
  ];
  if (typeof document !== "undefined")
    listeners.push(
      [
        globalThis,
        "pagehide",
        (event) => ((event as PageTransitionEvent).persisted ? shell.pause() : shell.leave()),
      ],
      // Firefox stops the script that runs, or would run next, when a tab is closed (dom.ipc.cancel_content_js_when_navigating).
      // That may be the listener above, so a second one sees to it that the goodbye is said.
      [
        globalThis,
        "pagehide",
        (event) => !(event as PageTransitionEvent).persisted && shell.part(),
      ],
      [
        globalThis,
        "pageshow",
        (event) => (event as PageTransitionEvent).persisted && shell.resume(),
      ],
      [document, "visibilitychange", () => shell.looked()],
      [document, "resume", () => shell.wake()],
    );
  for (const [target, name, listener] of listeners) target.addEventListener(name, listener);
  return () => {
    for (const [target, name, listener] of listeners) target.removeEventListener(name, listener);
  };
}

interface Address extends PeerAddress {
  /** Of the WebSocket, without query. */
  readonly socket: string;
  /** Of the server's HTTP routes, up to their names. */
  readonly base: string;
}

function addressOf(server: URL, page: string, key: string): Address {
  const secure = server.protocol === "https:" || server.protocol === "wss:";
  const base = server.pathname.endsWith("/") ? server.pathname : `${server.pathname}/`;
  return {
    host: server.hostname,
    port: Number(server.port) || (secure ? 443 : 80),
    path: `${base}pages/~${base64url(page)}/`,
    secure,
    key,
    socket: `${secure ? "wss" : "ws"}://${server.host}${base}peerjs`,
    base: `${secure ? "https" : "http"}://${server.host}${base}`,
  };
}

function routesOf(
  { base, path }: Address,
  { id, token }: { readonly id: string; readonly token: string },
): Routes {
  const origin = new URL(base).origin;
  return {
    health: `${base}health`,
    leave: `${origin}${path}peers/${encodeURIComponent(id)}/leave?token=${encodeURIComponent(token)}`,
  };
}

interface Handshake {
  readonly id: string;
  readonly token: string;
  readonly page: string;
  readonly ticket: string | undefined;
  /** What we were last told, so that a server that has lost its memory keeps host and epoch. */
  readonly epoch?: number;
  readonly host?: string;
}

function socketUrl(address: Address, { id, token, page, ticket, epoch, host }: Handshake): string {
  const query = new URLSearchParams({ key: address.key, id, token, page, group: String(PROTOCOL) });
  if (ticket !== undefined) query.set("ticket", ticket);
  if (epoch !== undefined && host !== undefined) {
    query.set("epoch", String(epoch));
    query.set("host", host);
  }
  return `${address.socket}?${query}`;
}
