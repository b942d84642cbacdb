// The words beside the star: who is here, who hosts, my link, the last change of host.
import { html, need, put } from "./dom.ts";
import type { LinkReport } from "./message.ts";
import { hueOf, type People } from "./people.ts";
import { causeInWords, people as count, rtt, took } from "./words.ts";

export type HostChange = { readonly host: string; readonly before: string | undefined; readonly cause: string | undefined; readonly tookMs: number | undefined; readonly at: Date };

export type Facts = {
  readonly me: string;
  readonly host: string | undefined;
  readonly epoch: number;
  readonly members: readonly string[];
  readonly people: People;
  readonly lastChange: HostChange | undefined;
  link(id: string): LinkReport | undefined;
};

/** A page may have a thousand; nobody reads that many. */
const LISTED = 60;

export function showFacts(facts: Facts): void {
  const { me, host, epoch, members, people } = facts;
  const alone = members.length < 2;
  put("count", host === undefined ? "" : count(members.length));
  put("host", host === undefined ? "…" : host === me ? "you" : people.of(host));
  need("host").title = host ?? "";
  put("epoch", host === undefined ? "…" : String(epoch));
  put("link", myLink(facts));
  const drop = need<HTMLButtonElement>("drop");
  drop.disabled = alone;
  put("drop-words", alone ? "Nobody else is here yet who could take over." : host === me ? "You hand over, and another takes over at once." : `Asks ${people.of(host)} to hand over to another.`);
  list(facts);
  showChange(facts);
}

function myLink({ me, host, members, link }: Facts): string {
  if (host === undefined) return "…";
  if (host === me) return members.length < 2 ? "none needed" : "the others link to you";
  const mine = link(me);
  if (!mine) return "opening…";
  return inWords(mine);
}

const inWords = ({ path, rttMs }: LinkReport): string => `${path === "p2p" ? "direct (P2P)" : "relayed"}${rttMs === undefined ? "" : `, ${rtt(rttMs)}`}`;

function showChange({ me, people, lastChange }: Facts): void {
  if (!lastChange) return;
  const { host, before, cause, tookMs, at } = lastChange;
  const time = tookMs === undefined ? undefined : took(tookMs);
  put("took", time?.value ?? "–");
  put("took-unit", time?.unit ?? "");
  const who = people.said(host);
  const from = before === undefined || before === host ? "" : ` from ${people.said(before)}`;
  const text = `${who === "you" ? "You" : who} took over${from === " from you" ? " from you" : from}${cause ? `: ${causeInWords(cause)}` : ""}, ${at.toLocaleTimeString()}`;
  put("change", text);
  need("change").title = host === me ? "" : host;
}

function list({ me, host, members, people, link }: Facts): void {
  const first = [me, host].filter((id): id is string => id !== undefined && members.includes(id));
  const ids = [...new Set([...first, ...members])];
  const rows = ids.slice(0, LISTED).map((id) => {
    const report = id === host ? undefined : link(id);
    return { id, name: people.of(id), marks: [id === me && "you", id === host && "host"].filter(Boolean).join(", "), path: id === host ? "" : report ? inWords(report) : "…" };
  });
  const more = ids.length - rows.length;
  const target = need("members");
  const key = JSON.stringify([rows, more]);
  if (target.dataset["key"] === key) return;
  target.dataset["key"] = key;
  const items = rows.map(({ id, name, marks, path }) => {
    const item = html("li", "", html("i", "spot"), html("span", "who", html("b", "", name), marks ? ` ${marks}` : ""), html("span", "path", path));
    item.dataset["id"] = id;
    item.title = id;
    item.style.setProperty("--hue", String(hueOf(id)));
    return item;
  });
  target.replaceChildren(...items, ...(more > 0 ? [html("li", "more", `and ${more} more`)] : []));
  need("known").replaceChildren(...rows.filter(({ id }) => id !== me).map(({ id, name }) => new Option(name, id)));
}
