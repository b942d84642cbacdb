// The ordered group, a pure state machine. Read types, wire and io first, then group, member and host.

export { Group } from "./group.ts";
export { defaults, type Settings } from "./settings.ts";
export type { Effect, Event, HostPayload, Notice, OpenPayload, Reason, Status, Via } from "./io.ts";
export type { ErrorCode, Lost, MemberInfo, Path, PeerId, RosterEntry } from "./types.ts";
export { PROTOCOL, isWire, type Wire } from "./wire.ts";
