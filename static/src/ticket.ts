// The ticket for a server that asks for one: a text for good, or a function that is asked before every dial.

export type Ticket = string | (() => string | PromiseLike<string>);

/** Asked in a turn of its own: a page's function may speak of the group that is being made just now. */
export async function fetched(ticket: Exclude<Ticket, string>): Promise<string> {
  await undefined;
  const text: unknown = await ticket();
  const trimmed = typeof text === "string" ? text.trim() : "";
  if (trimmed === "")
    throw new TypeError(
      `the ticket function gave ${typeof text === "string" ? "an empty text" : typeof text}, not a ticket`,
    );
  return trimmed;
}

/** The one id that a ticket is for, if it names one. The signature is the server's to check. */
export function idIn(ticket: string): string | undefined {
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
    // No ticket that the server would take: it says so in words.
    return undefined;
  }
}
