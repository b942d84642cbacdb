// The ordered group, a pure state machine: events and the time go in, effects come out.
//
// In reading order:
// - types, wire, io: entries and histories, messages between members, events and effects.
// - group: the entry, which chooses the role. context: the parts that outlive every role.
// - replica, log, dedupe-table, history, provisional: the history of this member, and comparisons.
// - freshness, server-view, claim: how recent the history is, and what the server says.
// - outbox, snapshots, page-delivery, recovery, given-up, retention: what concerns the page.
// - direct: messages and requests to one member, beside the log.
// - member, with reports, early-entries, relay-wish, suspicion and supply.
// - host, with takeover, late-answer, roster, follower, stamper, intake, heartbeat, distribution
//   (feed, backfill, restorer) and delivery-limit (proof).

export { Group } from "./group.ts";
export { defaults, type Settings } from "./settings.ts";
export type { Effect, Event, HostPayload, Notice, OpenPayload, Reason, Status, Via } from "./io.ts";
export type { ErrorCode, Lost, MemberInfo, Path, PeerId, RosterEntry } from "./types.ts";
export { CAN, PROTOCOL, isWire, type Wire } from "./wire.ts";
