// Which link is what. A member measures only its own, to the host; the host tells the others now and then what it measures.
import { MAX_LINKS, type LinkReport } from "./message.ts";

export const TELL_EVERY_MS = 2000;

export class Links {
  private readonly mine = new Map<string, LinkReport>();
  private told = new Map<string, LinkReport>();
  private lastSaid: readonly LinkReport[] = [];

  measured(id: string, path: "p2p" | "relay" | "none", rttMs: number | undefined): void {
    if (path === "none") this.mine.delete(id);
    else
      this.mine.set(
        id,
        rttMs === undefined ? { id, path } : { id, path, rttMs: Math.round(rttMs * 10) / 10 },
      );
  }

  heard(links: readonly LinkReport[]): void {
    this.told = new Map(links.map((link) => [link.id, link]));
  }

  /** Every host measures for itself. */
  newHost(): void {
    this.told.clear();
    this.lastSaid = [];
  }

  /** The link between the host and `id`, as far as known here. */
  of(id: string, me: string, host: string | undefined): LinkReport | undefined {
    if (host === me) return this.mine.get(id);
    return id === me && host !== undefined
      ? (this.mine.get(host) ?? this.told.get(me))
      : this.told.get(id);
  }

  /** What a host has to tell, or nothing if the others would hardly see the difference. */
  news(members: readonly string[]): readonly LinkReport[] | undefined {
    const links = members.flatMap((id) => this.mine.get(id) ?? []).slice(0, MAX_LINKS);
    const old = new Map(this.lastSaid.map((link) => [link.id, link]));
    const same = links.length === old.size && links.every((link) => alike(link, old.get(link.id)));
    if (same) return undefined;
    this.lastSaid = links;
    return links;
  }

  /** A newcomer has heard nothing yet. */
  forgetSaid(): void {
    this.lastSaid = [];
  }
}

function alike(a: LinkReport, b: LinkReport | undefined): boolean {
  if (!b || a.path !== b.path) return false;
  const [x, y] = [a.rttMs ?? -1, b.rttMs ?? -1];
  return Math.abs(x - y) <= Math.max(2, 0.3 * Math.max(x, y));
}
