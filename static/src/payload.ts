// What the server says, which is not trusted to have any shape.

import { RELAY_LIMITS, type RelayLimits } from "./relay.ts";
import type { HostPayload, OpenPayload, RosterEntry } from "./group/index.ts";

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

export function entryIn(value: unknown): RosterEntry | undefined {
  const { id, group, relay, profile } = record(value);
  if (typeof id !== "string") return undefined;
  return {
    id,
    group: group === 1,
    ...(relay === false ? { relay } : {}),
    ...(profile === undefined ? {} : { profile }),
  };
}

function rosterIn(value: unknown): { readonly roster?: RosterEntry[] } {
  if (!Array.isArray(value)) return {};
  return { roster: value.map(entryIn).filter((entry) => entry !== undefined) };
}

/** Of a LEAVE: the server lost its socket, and knows no more. */
export function isLost(payload: unknown): boolean {
  return record(payload)["lost"] === true;
}

/** Of OPEN, HOST and DEPUTY: the member that is to host next. */
export function deputyIn(payload: unknown): string | undefined {
  const { deputy } = record(payload);
  return typeof deputy === "string" ? deputy : undefined;
}

/** Upper bound of what is believed of `fairMs`. */
const FAIR_MOST_MS = 60_000;

/** Of OPEN and HOST: how long a dial may fairly take on this page, in ms. */
export function fairIn(payload: unknown): number | undefined {
  const { fairMs } = record(payload);
  return typeof fairMs === "number" && fairMs >= 0 ? Math.min(fairMs, FAIR_MOST_MS) : undefined;
}

function fair(payload: unknown): { readonly fairMs?: number } {
  const fairMs = fairIn(payload);
  return fairMs === undefined ? {} : { fairMs };
}

export function hostIn(payload: unknown): HostPayload | undefined {
  const { host, epoch, cause, roster } = record(payload);
  if (typeof host !== "string" || typeof epoch !== "number") return undefined;
  return {
    host,
    epoch,
    cause: typeof cause === "string" ? cause : "",
    ...fair(payload),
    ...rosterIn(roster),
  };
}

export interface Opened {
  readonly open: OpenPayload;
  readonly p2p: boolean;
  readonly limits: RelayLimits;
  /** So long the server keeps signalling for one that is not there. */
  readonly expireMs: number;
  readonly ice: RTCIceServer[] | undefined;
}

const EXPIRE_MS = 5_000;

export function openIn(payload: unknown): Opened | undefined {
  const { host, epoch, members, roster, relay, recovering, resumeMs, upMs, expireMs, p2p, ice } =
    record(payload);
  if (typeof host !== "string" || typeof epoch !== "number") return undefined;
  const terms = record(relay);
  return {
    open: {
      host,
      epoch,
      members: typeof members === "number" ? members : 1,
      relay: relay !== false && relay !== undefined,
      recovering: recovering === true,
      resumeMs: typeof resumeMs === "number" ? resumeMs : 30_000,
      ...fair(payload),
      ...(typeof upMs === "number" && upMs >= 0 ? { upMs } : {}),
      ...rosterIn(roster),
    },
    p2p: p2p !== false,
    limits: {
      maxMessageBytes:
        typeof terms["maxMessageBytes"] === "number"
          ? terms["maxMessageBytes"]
          : RELAY_LIMITS.maxMessageBytes,
      queueBytes:
        typeof terms["queueBytes"] === "number" ? terms["queueBytes"] : RELAY_LIMITS.queueBytes,
    },
    expireMs: typeof expireMs === "number" ? expireMs : EXPIRE_MS,
    ice: Array.isArray(ice) ? (ice as RTCIceServer[]) : undefined,
  };
}
