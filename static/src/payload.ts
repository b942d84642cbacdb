// Parses the payloads of the server's messages. They are data from outside, so every field is
// checked.

import type { HostPayload, OpenPayload, RosterEntry } from "./group/index.ts";

/** Limits of the server's relay, in bytes. */
export interface RelayLimits {
  /** Maximum size of one message as the server delivers it. */
  readonly maxMessageBytes: number;
  /**
   * Bytes that the server queues for one member that reads slowly. Other members may fill half of
   * them; what they send beyond that is dropped.
   */
  readonly queueBytes: number;
}

/** OPEN as the library uses it. Fields that an older server leaves out have its defaults. */
export interface ParsedOpen {
  /** The part for the group's state machine. */
  readonly open: OpenPayload;
  /** Whether this member dials the host. */
  readonly p2p: boolean;
  readonly limits: RelayLimits;
  /** How long the server keeps signalling for a member that is absent, in ms. */
  readonly expireMs: number;
  /** Maximum size of a profile in bytes of JSON. */
  readonly profileBytes: number;
  readonly ice: RTCIceServer[] | undefined;
}

/** Defaults of the server's settings, for servers that do not tell them. */
const EXPIRE_MS = 5_000;
const RESUME_MS = 30_000;
export const RELAY_LIMITS: RelayLimits = { maxMessageBytes: 65_536, queueBytes: 1 << 20 };
export const PROFILE_BYTES = 1024;

/** Maximum number of names of what a library can do. */
const CAN_COUNT = 16;

/** Upper bound of what is believed of `fairMs`. */
const FAIR_MAX_MS = 60_000;

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

/** Returns a field if it is a finite number. */
export function numberIn(payload: unknown, name: string): number | undefined {
  const value = fieldsOf(payload)[name];
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

/** Returns a field if it is a finite number and not negative. */
export function amountIn(payload: unknown, name: string): number | undefined {
  const value = numberIn(payload, name);
  return value !== undefined && value >= 0 ? value : undefined;
}

export function parseRosterEntry(value: unknown): RosterEntry | undefined {
  const { id, group, relay, profile, can } = fieldsOf(value);
  if (typeof id !== "string") return undefined;
  return {
    id,
    group: typeof group === "number" && group > 0,
    ...parseCan(can),
    ...(relay === false ? { relay } : {}),
    ...(profile === undefined ? {} : { profile }),
  };
}

/** Returns the names of what a member's library can do. Those that are no text are left out. */
function parseCan(value: unknown): { readonly can?: string[] } {
  if (!Array.isArray(value)) return {};
  const can = value.filter((name) => typeof name === "string").slice(0, CAN_COUNT);
  return can.length > 0 ? { can } : {};
}

/** Returns whether the server is alone, as an ALONE says. */
export function parseAlone(payload: unknown): boolean | undefined {
  const { alone } = fieldsOf(payload);
  return typeof alone === "boolean" ? alone : undefined;
}

function parseRoster(value: unknown): { readonly roster?: RosterEntry[] } {
  if (!Array.isArray(value)) return {};
  return { roster: value.map(parseRosterEntry).filter((entry) => entry !== undefined) };
}

/**
 * Returns whether a LEAVE says that the server only lost the member's socket. The member may still
 * be there.
 */
export function isSocketLost(payload: unknown): boolean {
  return fieldsOf(payload)["lost"] === true;
}

/** Returns the deputy that an OPEN, HOST or DEPUTY names. */
export function parseDeputy(payload: unknown): string | undefined {
  const { deputy } = fieldsOf(payload);
  return typeof deputy === "string" ? deputy : undefined;
}

/** Returns how long a dial may take on this page, in ms, as an OPEN or HOST says. */
export function parseFairMs(payload: unknown): number | undefined {
  const fairMs = fieldsOf(payload)["fairMs"];
  return typeof fairMs === "number" && fairMs >= 0 ? Math.min(fairMs, FAIR_MAX_MS) : undefined;
}

function fairMsOf(payload: unknown): { readonly fairMs?: number } {
  const fairMs = parseFairMs(payload);
  return fairMs === undefined ? {} : { fairMs };
}

export function parseHost(payload: unknown): HostPayload | undefined {
  const { host, epoch, cause, roster } = fieldsOf(payload);
  if (typeof host !== "string" || typeof epoch !== "number") return undefined;
  return {
    host,
    epoch,
    cause: typeof cause === "string" ? cause : "",
    ...fairMsOf(payload),
    ...parseRoster(roster),
  };
}

/** Returns undefined for the OPEN of a server without pages. */
export function parseOpen(payload: unknown): ParsedOpen | undefined {
  const { host, epoch, members, roster, relay, recovering, resumeMs, upMs, expireMs, p2p, ice } =
    fieldsOf(payload);
  if (typeof host !== "string" || typeof epoch !== "number") return undefined;
  const { maxMessageBytes, queueBytes } = fieldsOf(relay);
  const alone = parseAlone(payload);
  const returnMs = amountIn(payload, "returnMs");
  return {
    open: {
      host,
      epoch,
      members: typeof members === "number" ? members : 1,
      relay: relay !== false && relay !== undefined,
      recovering: recovering === true,
      resumeMs: typeof resumeMs === "number" ? resumeMs : RESUME_MS,
      ...fairMsOf(payload),
      ...(typeof upMs === "number" && upMs >= 0 ? { upMs } : {}),
      ...(returnMs === undefined ? {} : { returnMs }),
      ...(alone ? { alone } : {}),
      ...parseRoster(roster),
    },
    p2p: p2p !== false,
    limits: {
      maxMessageBytes:
        typeof maxMessageBytes === "number" ? maxMessageBytes : RELAY_LIMITS.maxMessageBytes,
      queueBytes: typeof queueBytes === "number" ? queueBytes : RELAY_LIMITS.queueBytes,
    },
    expireMs: typeof expireMs === "number" ? expireMs : EXPIRE_MS,
    profileBytes: amountIn(payload, "profileBytes") ?? PROFILE_BYTES,
    ice: Array.isArray(ice) ? (ice as RTCIceServer[]) : undefined,
  };
}
