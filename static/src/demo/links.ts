// The links between host and members. A member measures its own link to the host; the host tells
// all what it measures.
import { MAX_LINKS, type LinkReport } from "./message.ts";

/** Interval at which the host tells its measurements. */
export const TELL_EVERY_MS = 2000;

export class Links {
  private readonly mine = new Map<string, LinkReport>();
  private reported = new Map<string, LinkReport>();
  private lastSent: readonly LinkReport[] = [];

  /** Notes a measurement of this page's own link to a member. */
  measured(id: string, path: "p2p" | "relay" | "none", rttMs: number | undefined): void {
    if (path === "none") this.mine.delete(id);
    else
      this.mine.set(
        id,
        rttMs === undefined ? { id, path } : { id, path, rttMs: Math.round(rttMs * 10) / 10 },
      );
  }

  /** Notes what the host tells. */
  setReported(links: readonly LinkReport[]): void {
    this.reported = new Map(links.map((link) => [link.id, link]));
  }

  /** Called when the host changes: every host measures for itself. */
  newHost(): void {
    this.reported.clear();
    this.lastSent = [];
  }

  /** Returns the link between the host and a member, if it is known here. */
  of(id: string, me: string, host: string | undefined): LinkReport | undefined {
    if (host === me) return this.mine.get(id);
    return id === me && host !== undefined
      ? (this.mine.get(host) ?? this.reported.get(me))
      : this.reported.get(id);
  }

  /** Returns what a host has to tell. Undefined if the others would hardly see the difference. */
  takeChanges(members: readonly string[]): readonly LinkReport[] | undefined {
    const links = members.flatMap((id) => this.mine.get(id) ?? []).slice(0, MAX_LINKS);
    const old = new Map(this.lastSent.map((link) => [link.id, link]));
    const same = links.length === old.size && links.every((link) => alike(link, old.get(link.id)));
    if (same) return undefined;
    this.lastSent = links;
    return links;
  }

  /** Called when a member joins: it has not been told anything yet. */
  memberJoined(): void {
    this.lastSent = [];
  }
}

function alike(a: LinkReport, b: LinkReport | undefined): boolean {
  if (!b || a.path !== b.path) return false;
  const [x, y] = [a.rttMs ?? -1, b.rttMs ?? -1];
  return Math.abs(x - y) <= Math.max(2, 0.3 * Math.max(x, y));
}
