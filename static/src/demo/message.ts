// What the members of this page say to each other, in the group's order.
import { operationIn, record } from "./model/read.ts";
import type { Operation } from "./model/types.ts";

/** What the host says of its link to a member. */
export type LinkReport = {
  readonly id: string;
  readonly path: "p2p" | "relay";
  readonly rttMs?: number;
};

export type Message =
  /** `n`, the sender's own count, tells it which of its operations has come back. */
  | { readonly type: "do"; readonly n: number; readonly operation: Operation }
  | { readonly type: "links"; readonly links: readonly LinkReport[] }
  /** Asks the host of that epoch, and no later one, to hand over. */
  | { readonly type: "drop"; readonly epoch: number }
  /** Tells its sender, when it comes back, that everything before it has been delivered: all who were here are known. */
  | { readonly type: "here" };

/** More are neither drawn nor worth the bytes. */
export const MAX_LINKS = 64;

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
