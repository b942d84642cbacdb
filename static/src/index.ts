// The library, as a page imports it.

export type { Channel } from "./channels/channel.ts";
export type { RequestHandler, RequestInfo, RequestOptions } from "./channels/requests.ts";
export type { PeerstarErrorCode } from "./errors.ts";
export { PeerstarError } from "./errors.ts";
export type { GroupTypes } from "./group-types.ts";
export type { ListenerOptions } from "./events.ts";
export type { DirectInfo, MessageInfo, Opened, PageGroupEvents } from "./page-events.ts";
export { PageGroup } from "./page-group.ts";
export type { PageGroupOptions } from "./page-options.ts";
export type { LostMessage, RestoreInfo } from "./restore-info.ts";
export type { Ticket } from "./ticket.ts";
