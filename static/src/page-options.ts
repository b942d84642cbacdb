// The options of a group: their types, and their checks.

import { jsonText, utf8Length } from "./codec.ts";
import type { GroupTypes, ProfileOf, Untyped } from "./group-types.ts";
import { objection } from "./ice.ts";
import { loadedFrom } from "./loaded-from.ts";
import { PROFILE_BYTES } from "./payload.ts";
import { checkScope, pageIn, serverIn, type Scope } from "./scope.ts";
import type { Ticket } from "./ticket.ts";

/** Options of `new PageGroup()`. All are optional. */
export interface PageGroupOptions<T extends GroupTypes = Untyped> {
  /**
   * Name of what people look at together, 1 to 1024 bytes. Everyone with the same name meets.
   * Default: this page's address without query and hash. Required in a worker, and on a page
   * without an http(s) address of its own, such as `srcdoc`, `data:` or a sandbox.
   */
  readonly page?: string;
  /**
   * The server's address with its path, or a path on this origin. Default: the folder that
   * peerstar.js was loaded from; in a bundle, the root of this origin.
   */
  readonly server?: string;
  /** The server's `peerjs.key`. Default: "peerjs". */
  readonly key?: string;
  /**
   * A signed ticket, for servers that require one, or a function that returns one. The function is
   * called before every connection and may take 10 s. A text is used until it expires; then the
   * group ends. If the ticket names an id, this page has that id.
   */
  readonly ticket?: Ticket;
  /**
   * Data about this member for the others: any JSON except null, 1 KB at most. Their event `member`
   * carries it, and their event `profile` carries later ones.
   */
  readonly profile?: ProfileOf<T>;
  /** Whether to write what happens to the console. Default: false. */
  readonly debug?: boolean;
  /**
   * Configuration of every RTCPeerConnection of the group and of `peer`. Its `iceServers` come
   * before those of the server. `iceTransportPolicy: "relay"` hides this page's addresses behind
   * TURN.
   */
  readonly rtc?: RTCConfiguration;
  /**
   * Whether data channels may be used. `false`: all data goes over the server, and no other member
   * learns this page's address, unless the page makes or takes connections and calls over `peer`.
   * Default: true.
   */
  readonly p2p?: boolean;
}

/** The options after their checks, with their defaults. */
export interface Settings {
  readonly page: string;
  readonly server: URL;
  readonly key: string;
  readonly ticket: Ticket | undefined;
  readonly profile: unknown;
  readonly rtc: RTCConfiguration;
  /** Whether data channels may be used, and this browser has WebRTC. */
  readonly p2p: boolean;
}

/**
 * Checks the options. Throws a TypeError or RangeError that says what is wrong and what is allowed.
 */
export function checkOptions(options: PageGroupOptions<GroupTypes>): Settings {
  const scope = globalThis as unknown as Scope;
  checkScope(scope);
  return {
    profile: options.profile === undefined ? undefined : checkProfile(options.profile),
    page: pageIn(options.page, scope),
    server: serverIn(options.server, loadedFrom.url, scope),
    key: checkKey(options.key),
    ticket: checkTicket(options.ticket),
    rtc: checkRtc(options.rtc),
    p2p: options.p2p !== false && typeof RTCPeerConnection !== "undefined",
  };
}

/**
 * Returns a profile as the others will have it: a copy, through JSON. Throws a TypeError for what
 * is no JSON, and a RangeError above `maxBytes`.
 */
export function checkProfile(profile: unknown, maxBytes: number = PROFILE_BYTES): unknown {
  if (profile === undefined || profile === null)
    throw new TypeError(
      `a profile is anything JSON but null, and this is ${profile === null ? "null" : typeof profile}`,
    );
  const text = jsonText(profile);
  const bytes = utf8Length(text);
  if (bytes > maxBytes)
    throw new RangeError(`a profile is ${maxBytes} bytes of JSON at most, and this has ${bytes}`);
  return JSON.parse(text);
}

function checkKey(key: unknown): string {
  if (key === undefined) return "peerjs";
  if (typeof key !== "string")
    throw new TypeError(
      `the option \`key\` is a text, and this is ${key === null ? "null" : typeof key}`,
    );
  return key;
}

function checkRtc(rtc: RTCConfiguration | undefined): RTCConfiguration {
  if (rtc === undefined) return {};
  const why = typeof rtc !== "object" || rtc === null ? "it is no object" : objection(rtc);
  if (why !== undefined)
    throw new TypeError(
      `the option \`rtc\` is an RTCConfiguration, and this browser does not take this one: ${why}`,
    );
  return rtc;
}

function checkTicket(ticket: unknown): Ticket | undefined {
  if (typeof ticket === "string") return ticket.trim();
  if (ticket === undefined || typeof ticket === "function") return ticket as Ticket | undefined;
  throw new TypeError(
    `the option \`ticket\` is a text, or a function that gives one or a promise of one, and this is ${ticket === null ? "null" : typeof ticket}`,
  );
}
