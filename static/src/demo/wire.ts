// What the server tells a member of a page (docs/PROTOCOL.md), read from JSON that is not trusted to have any shape.

export type Assignment = {
  host: string;
  /** Grows with every change of host. */
  epoch: number;
  /** How many are on the page, me included. */
  members: number;
  /** Whether to dial the host; beyond the star's size the server says no. */
  p2p: boolean;
  /** Who is here; only the host is told. */
  roster?: string[];
  /** Why the host changed; an `OPEN` has none. */
  cause?: string;
};

export type FromServer =
  | { type: "assigned"; assignment: Assignment; ice?: RTCIceServer[] }
  | { type: "joined" | "left" | "absent"; id: string }
  | { type: "refused"; message: string; retry: boolean }
  | { type: "restarting"; retryMs: number };

/** The messages this page acts on; PeerJS handles its own (offers and the like) by itself. */
export function fromServer(message: unknown): FromServer | undefined {
  const { type, src, payload: inner } = record(message);
  const payload = record(inner);
  switch (type) {
    case "OPEN":
    case "HOST": {
      const assignment = assignmentIn(payload);
      if (!assignment) return undefined;
      const ice = Array.isArray(payload["ice"]) ? { ice: payload["ice"] as RTCIceServer[] } : {};
      return { type: "assigned", assignment, ...ice };
    }
    case "JOIN":
      return withId("joined", src);
    case "LEAVE":
      return withId("left", src);
    case "EXPIRE":
      return withId("absent", src);
    case "ERROR":
    case "ID-TAKEN":
    case "INVALID-KEY":
      return { type: "refused", message: text(payload["msg"]) ?? "", retry: payload["retry"] === true };
    case "RESTART":
      return { type: "restarting", retryMs: Number(payload["retryMs"]) || 1000 };
    default:
      return undefined;
  }
}

function assignmentIn(payload: Record<string, unknown>): Assignment | undefined {
  const { host, epoch, members, p2p, roster, cause } = payload;
  if (typeof host !== "string" || typeof epoch !== "number") return undefined; // a server without pages
  const ids = Array.isArray(roster) ? roster.map((entry) => text(record(entry)["id"])).filter((id) => id !== undefined) : undefined;
  return {
    host,
    epoch,
    members: typeof members === "number" ? members : 1,
    p2p: p2p !== false,
    ...(ids && { roster: ids }),
    ...(typeof cause === "string" && { cause }),
  };
}

function withId<T extends "joined" | "left" | "absent">(type: T, src: unknown) {
  return typeof src === "string" ? { type, id: src } : undefined;
}

/** Any value, as something whose fields can be asked for. */
export function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

export function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
