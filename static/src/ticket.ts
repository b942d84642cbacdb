// The ticket for a server that asks for one: a text for good, or a function that is asked before every dial.

export type Ticket = string | (() => string | PromiseLike<string>);

/** Asked in a turn of its own: a page's function may speak of the group that is being made just now. */
export async function fetched(ticket: Exclude<Ticket, string>): Promise<string> {
  await undefined;
  const text: unknown = await ticket();
  if (typeof text !== "string" || text === "") throw new TypeError(`the ticket function gave ${text === "" ? "an empty text" : typeof text}, not a ticket`);
  return text;
}
