// What members and the host say to each other over WebRTC, read from data that is not trusted to have any shape.
import { record, text } from "./wire.ts";

/** One line of the chat. `from` and `n`, the sender's own count, name it for good, so repeats can be told. */
export type Line = { from: string; n: number; text: string };

/** Someone on the page, as the host sees them. */
export type Seat = { id: string; linked: boolean };

export type Speech =
  | { type: "say"; n: number; text: string }
  | { type: "said"; line: Line }
  /** `count` may be more than are named. */
  | { type: "roster"; seats: Seat[]; count: number }
  | { type: "ping" | "pong"; at: number }
  | { type: "hello"; text: string };

/** More would be neither told apart in a drawing nor fit into one message. */
export const MAX_SEATS = 100;

/** Keeps a line far below the 16,300 bytes at which PeerJS's JSON channel drops a message. */
export const MAX_TEXT = 1000;

export function speechIn(data: unknown): Speech | undefined {
  if (typeof data === "string") return { type: "hello", text: data.slice(0, MAX_TEXT) }; // another client, by hand
  const said = record(data);
  switch (said["type"]) {
    case "say": {
      const words = spoken(said);
      return words && { type: "say", ...words };
    }
    case "said": {
      const line = record(said["line"]);
      const words = spoken(line);
      const from = text(line["from"]);
      return words && from ? { type: "said", line: { from, ...words } } : undefined;
    }
    case "roster":
      if (!Array.isArray(said["seats"]) || typeof said["count"] !== "number") return undefined;
      return { type: "roster", seats: said["seats"].slice(0, MAX_SEATS).flatMap(seatIn), count: said["count"] };
    case "ping":
    case "pong":
      return typeof said["at"] === "number" ? { type: said["type"], at: said["at"] } : undefined;
    case "hello":
      return { type: "hello", text: (text(said["text"]) ?? "").slice(0, MAX_TEXT) };
    default:
      return undefined;
  }
}

function spoken(value: Record<string, unknown>): { n: number; text: string } | undefined {
  const words = text(value["text"]);
  return typeof value["n"] === "number" && words ? { n: value["n"], text: words.slice(0, MAX_TEXT) } : undefined;
}

function seatIn(value: unknown): Seat[] {
  const { id, linked } = record(value);
  return typeof id === "string" ? [{ id, linked: linked === true }] : [];
}
