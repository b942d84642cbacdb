// The ticket for a server that requires one.

/**
 * A signed ticket: a text that is used for every connection, or a function that is called before
 * each one.
 */
export type Ticket = string | (() => string | PromiseLike<string>);

/**
 * Calls a page's ticket function and returns the ticket without white space around it. The call is
 * made in a microtask, because the function may use the group that is being constructed. Throws a
 * TypeError for an empty ticket.
 */
export async function fetchTicket(ticket: Exclude<Ticket, string>): Promise<string> {
  await undefined;
  const text: unknown = await ticket();
  const trimmed = typeof text === "string" ? text.trim() : "";
  if (trimmed === "")
    throw new TypeError(
      `the ticket function gave ${typeof text === "string" ? "an empty text" : typeof text}, not a ticket`,
    );
  return trimmed;
}

/** Returns the id that a ticket names, if it names one. Only the server can check the signature. */
export function idOfTicket(ticket: string): string | undefined {
  const [, payload, signature] = ticket.trim().split(".");
  if (payload === undefined || signature === undefined) return undefined;
  try {
    const binary = atob(payload.replaceAll("-", "+").replaceAll("_", "/"));
    const claims: unknown = JSON.parse(
      new TextDecoder().decode(Uint8Array.from(binary, (c) => c.charCodeAt(0))),
    );
    const id =
      typeof claims === "object" && claims !== null ? (claims as { id?: unknown }).id : undefined;
    return typeof id === "string" && id !== "" ? id : undefined;
  } catch {
    // The server refuses such a ticket and says why.
    return undefined;
  }
}
