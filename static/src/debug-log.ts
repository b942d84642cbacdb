// Lines for the console with the option `debug`: one for each event, in the words of the
// documentation.

import type { Notice } from "./group/index.ts";

/**
 * A notice of the state machine to the page. The status is apart, because the shell adds the state
 * of the WebSocket to it.
 */
export type PageNotice = Exclude<Notice, { readonly kind: "status" }>;
/** Notices about the group itself, not about a channel of it. */
export type MemberNotice = Exclude<PageNotice, { readonly kind: "recovered" }>;

/** Writes one line. The line is made only if the log is on. */
export type DebugLog = (line: () => string) => void;

export function debugLog(on: boolean, id: () => string, now: () => number): DebugLog {
  if (!on) return () => {};
  const start = now();
  return (line) =>
    console.debug(`peerstar ${shortId(id())} +${((now() - start) / 1000).toFixed(3)} s: ${line()}`);
}

/** Returns the first 8 characters of an id, which tell members apart in a log. */
export function shortId(id: string | undefined): string {
  return id === undefined ? "nobody" : id.slice(0, 8);
}

export function describeNotice(notice: PageNotice): string {
  switch (notice.kind) {
    case "open":
      return `joined, host ${shortId(notice.host)} epoch ${notice.epoch}${notice.first ? ", first member" : ""}`;
    case "host": {
      const host = notice.isHost ? "is this page" : shortId(notice.host);
      const cause = notice.cause && ` (${notice.cause})`;
      return `host ${host}, epoch ${notice.epoch}${cause}, took ${Math.round(notice.tookMs)} ms`;
    }
    case "member":
      return `${shortId(notice.id)} ${notice.change === "join" ? "joined" : "left"}`;
    case "profile":
      return `${shortId(notice.id)} has a new profile`;
    case "recovered": {
      const { via, reason, complete, awayMs, lost, lostMore } = notice;
      const count = `, ${lost.length}${lostMore ? " and more" : ""} lost`;
      const losses = lost.length > 0 || lostMore ? count : "";
      const state = complete ? "" : ", NOT complete";
      return `recovered by ${via} (${reason})${state}${losses}, away ${Math.round(awayMs)} ms`;
    }
    case "link":
      return `${shortId(notice.id)} reached over ${notice.path}`;
  }
}
