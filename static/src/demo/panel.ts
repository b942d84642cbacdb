// Fills the card beside the star: the members, the host, this page's link, the last change of host.
import { enable, html, need, put } from "./dom.ts";
import type { LinkReport } from "./message.ts";
import { hueOf, type People } from "./people.ts";
import { capital, causeInWords, people as count, rtt, took } from "./words.ts";

/** A change of host. `seen`: number of changes that this page has seen, with this one. */
export type HostChange = {
  readonly host: string;
  readonly before: string;
  readonly cause: string;
  readonly tookMs: number;
  readonly at: Date;
  readonly seen: number;
};

export type Facts = {
  readonly me: string;
  readonly host: string | undefined;
  readonly epoch: number;
  readonly members: readonly string[];
  readonly people: People;
  readonly lastChange: HostChange | undefined;
  /** Whether there is a connection to the server. */
  readonly server: boolean;
  link(id: string): LinkReport | undefined;
};

/** Maximum number of members in the list. A page may have a thousand. */
const LISTED = 60;
/**
 * Digits shown of an epoch, which is a time in ms. Its last digits tell it from others; the title
 * has the whole.
 */
const EPOCH_DIGITS = 4;
const FLASH_MS = 1600;

export function showFacts(facts: Facts): void {
  const { me, host, epoch, members, people, lastChange, server } = facts;
  const alone = members.length < 2;
  put("count", host === undefined ? "" : count(members.length));
  put("host", host === undefined ? "…" : host === me ? "you" : people.nameOf(host));
  need("host").title = host ?? "";
  put("epoch", host === undefined ? "…" : `…${String(epoch).slice(-EPOCH_DIGITS)}`);
  need("epoch").title = host === undefined ? "" : String(epoch);
  put("changes", host === undefined ? "" : changes(lastChange?.seen ?? 0));
  put("link", myLink(facts));
  enable("drop", !alone && server);
  put("drop-words", dropWords(alone, server, host === me));
  list(facts);
  showChange(facts);
}

const changes = (seen: number): string =>
  seen === 0 ? "no change yet" : seen === 1 ? "1 change seen" : `${seen} changes seen`;

function dropWords(alone: boolean, server: boolean, mine: boolean): string {
  if (alone) return "Nobody else is here to take over.";
  if (!server) return "The server is out of reach; nobody can be chosen.";
  return mine ? "You hand over, and another takes over at once." : "Asks the host to hand over.";
}

function myLink({ me, host, members, server, link }: Facts): string {
  if (host === undefined) return "…";
  if (host === me) return members.length < 2 ? "none needed" : "the others link to you";
  const mine = link(me);
  if (mine) return inWords(mine);
  return server ? "opening…" : "none just now";
}

const inWords = ({ path, rttMs }: LinkReport): string =>
  `${path === "p2p" ? "direct (P2P)" : "relayed"}${rttMs === undefined ? "" : `, ${rtt(rttMs)}`}`;

function showChange({ people, lastChange }: Facts): void {
  if (!lastChange) return;
  const { host, before, cause, tookMs, at, seen } = lastChange;
  const time = took(tookMs);
  need("seen").hidden = false;
  put("took", time.value);
  put("took-unit", time.unit);
  put("change-who", `${capital(people.nameOrYou(host))}, from ${people.nameOrYou(before)}`);
  put(
    "change-why",
    [cause && causeInWords(cause), at.toLocaleTimeString([], { hourCycle: "h23" })]
      .filter(Boolean)
      .join(" · "),
  );
  const card = need("change");
  if (card.dataset["seen"] === String(seen)) return;
  card.dataset["seen"] = String(seen);
  card.animate([{ backgroundColor: "var(--host-fill)" }, {}], FLASH_MS);
}

function list({ me, host, members, people, link }: Facts): void {
  const first = [me, host].filter((id): id is string => id !== undefined && members.includes(id));
  const ids = [...new Set([...first, ...members])];
  const rows = ids.slice(0, LISTED).map((id) => {
    const report = id === host ? undefined : link(id);
    const marks = [id === me && "you", id === host && "host"].filter(Boolean).join(", ");
    return {
      id,
      name: people.nameOf(id),
      isHost: id === host,
      marks,
      path: id === host ? "" : report ? inWords(report) : "…",
    };
  });
  const more = ids.length - rows.length;
  const target = need("members");
  const key = JSON.stringify([rows, more]);
  if (target.dataset["key"] === key) return;
  target.dataset["key"] = key;
  const items = rows.map(({ id, name, isHost, marks, path }) => {
    const who = html("b", "who", name);
    who.dir = "auto";
    const item = html(
      "li",
      isHost ? "host" : "",
      html("i", "spot"),
      who,
      html("span", "marks", marks),
      html("span", "path", path),
    );
    item.dataset["id"] = id;
    item.style.setProperty("--hue", String(hueOf(id)));
    return item;
  });
  if (more > 0) items.push(html("li", "more", `and ${more} more`));
  if (ids.length === 1 && host !== undefined)
    items.push(html("li", "more", "Nobody else yet. Others join at ", linkHere()));
  target.replaceChildren(...items);
  need("known").replaceChildren(
    ...rows.filter(({ id }) => id !== me).map(({ id, name }) => new Option(name, id)),
  );
}

function linkHere(): HTMLAnchorElement {
  const link = html("a", "", location.href);
  link.href = location.href;
  link.target = "_blank";
  link.rel = "noopener";
  return link;
}
