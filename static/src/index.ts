// The library, as a page imports it.

export { PageGroup } from "./page-group.ts";
export type { MessageInfo, PageGroupEvents, PageGroupOptions } from "./page-group.ts";
export { PeerstarError } from "./errors.ts";
export type { PeerstarErrorCode } from "./errors.ts";
export type { Ticket } from "./ticket.ts";
