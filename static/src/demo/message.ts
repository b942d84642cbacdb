// The messages that members of this page send each other.
import { operationIn, record } from "./model/read.ts";
import type { Operation } from "./model/types.ts";

/** The host's measurement of its link to a member. */
export type LinkReport = {
  readonly id: string;
  readonly path: "p2p" | "relay";
  readonly rttMs?: number;
};

export type Message =
  /**
   * An operation on the board. By `n`, its own count, the sender knows which operation was
   * delivered.
   */
  | { readonly type: "do"; readonly n: number; readonly operation: Operation }
  | { readonly type: "links"; readonly links: readonly LinkReport[] }
  /** Asks the host of this epoch, and no later one, to hand over. */
  | { readonly type: "drop"; readonly epoch: number }
  /**
   * Has no content. When it is delivered to its sender, so is everything before it, and all members
   * are known.
   */
  | { readonly type: "here" };

/** Maximum number of links in a message. More are not drawn. */
export const MAX_LINKS = 64;

/** Returns data of another member as a message. Undefined if it is none. */
export function messageIn(data: unknown): Message | undefined {
  const raw = record(data);
  switch (raw["type"]) {
    case "do": {
      const operation = operationIn(raw["operation"]);
      return operation && typeof raw["n"] === "number"
        ? { type: "do", n: raw["n"], operation }
        : undefined;
    }
    case "links":
      return Array.isArray(raw["links"])
        ? { type: "links", links: raw["links"].slice(0, MAX_LINKS).flatMap(linkIn) }
        : undefined;
    case "drop":
      return typeof raw["epoch"] === "number" ? { type: "drop", epoch: raw["epoch"] } : undefined;
    default:
      return undefined;
  }
}

function linkIn(value: unknown): LinkReport[] {
  const { id, path, rttMs } = record(value);
  if (typeof id !== "string" || (path !== "p2p" && path !== "relay")) return [];
  return [typeof rttMs === "number" && rttMs >= 0 ? { id, path, rttMs } : { id, path }];
}
