// The library, as a page imports it.

export { PageGroup, type MessageInfo, type PageGroupEvents, type PageGroupOptions } from "./page-group.ts";
export type { LostMessage, RestoreInfo } from "./restore-info.ts";
export { PeerstarError, type PeerstarErrorCode } from "./errors.ts";
