// A schedule's trace: events and messages in words.

import type { Event, Wire } from "../src/group/index.ts";
import type { Place, Standing } from "../src/group/types.ts";
import type { Data } from "../src/group/wire.ts";

export function show(place: Place): string {
  return `${place.s}@${place.e % 100_000}${place.r === place.e ? "" : `/${place.r % 100_000}`}`;
}

function term({ host, epoch }: { readonly host: string; readonly epoch: number }): string {
  return `${host} epoch ${epoch % 100_000}`;
}

export function describeEvent(event: Event): string {
  if (event.type === "received")
    return `<- ${event.from} ${event.via} ${describe(event.message as Wire)}`;
  if (event.type === "open")
    return `OPEN host ${term(event.open)}${event.open.recovering ? " recovering" : ""}`;
  if (event.type === "host") return `HOST ${term(event.host)} (${event.host.cause})`;
  return JSON.stringify(event);
}

export function describe(message: Wire): string {
  const e = message.e % 100_000;
  switch (message.t) {
    case "at":
    case "pull":
      return `${message.t} e${e} ${describeStanding(message.at)}`;
    case "data":
    case "fill":
      return `${message.t} e${e} from ${message.s} after @${message.p % 100_000}: ${describeEntries(message.x)}`;
    case "beat":
      return `beat e${e} ${show(message.at)} sent ${message.sent} w ${message.w.join(",")}`;
    case "ack":
      return `ack e${e} ${show(message.at)}${message.gap ? " gap" : ""}`;
    case "send":
      return `send e${e} at ${show(message.at)} low ${message.low}: ${message.x.map((x) => x.n).join(" ")}`;
    case "restore":
      return `restore e${e} heal ${show(message.heal)} to ${show(message.snap)}`;
    case "snap":
      return `snap e${e} ${message.snap ? show(message.snap) : "none"}`;
    case "need":
      return `need e${e} ${message.n}`;
    case "fence":
      return `fence e${e} host ${message.host}`;
    case "ask":
      return `ask e${e} (${message.cause})`;
    case "want":
      return `want e${e}`;
    case "bye":
      return "bye";
    case "direct":
      return `direct key ${message.key} after ${message.after}: ${message.x.map(({ n, at }) => `${n} at ${show(at)}`).join(", ")}`;
    case "got":
      return `got ${message.n} key ${message.key} asked ${message.asked}`;
    case "reply":
    case "replied":
      return `${message.t} ${message.q}`;
    case "pass":
      return `pass to ${message.to}: ${describe(message.m)}`;
    case "passed":
      return `passed from ${message.from}: ${describe(message.m)}`;
    case "found":
      return `found ${message.id}${message.lacks ? ", which lacks it" : ""}`;
  }
}

function describeStanding(at: Standing): string {
  const stale = at.stale ? " stale" : "";
  const provisional = at.provisional === undefined ? "" : ` provisional ${at.provisional}`;
  return `${show(at)} done ${at.done} base ${at.base}${stale}${provisional}`;
}

function describeEntries(entries: Data["x"]): string {
  return entries
    .map(({ s, e, k, d, f }) => `${s}@${e % 100_000}=${k === "d" ? String(d) : k + f}`)
    .join(" ");
}
