// `debug: true`: what happens, a line each, in the words of the documentation.

import type { Notice } from "./group/index.ts";

/** What the machine has to tell, but for the status, to which the shell adds what it knows of the WebSocket. */
export type Told = Exclude<Notice, { readonly kind: "status" }>;

export type Teller = (line: () => string) => void;

export function teller(on: boolean, id: () => string, now: () => number): Teller {
  if (!on) return () => {};
  const start = now();
  return (line) =>
    console.debug(`peerstar ${short(id())} +${((now() - start) / 1000).toFixed(3)} s: ${line()}`);
}

export function short(id: string | undefined): string {
  return id === undefined ? "nobody" : id.slice(0, 8);
}

export function tellNotice(notice: Told): string {
  switch (notice.kind) {
    case "open":
      return `in, host ${short(notice.host)} epoch ${notice.epoch}${notice.first ? ", the first" : ""}`;
    case "host":
      return `host ${notice.isHost ? "is this page" : short(notice.host)}, epoch ${notice.epoch}${notice.cause && ` (${notice.cause})`}, took ${Math.round(notice.tookMs)} ms`;
    case "member":
      return `${short(notice.id)} ${notice.change === "join" ? "came" : "left"}`;
    case "profile":
      return `${short(notice.id)} has another profile`;
    case "recovered": {
      const lost =
        notice.lost.length > 0 || notice.lostMore
          ? `, ${notice.lost.length}${notice.lostMore ? " and more" : ""} lost`
          : "";
      return `recovered by ${notice.via} (${notice.reason})${notice.complete ? "" : ", NOT complete"}${lost}, away ${Math.round(notice.awayMs)} ms`;
    }
    case "link":
      return `${short(notice.id)} over ${notice.path}`;
  }
}
