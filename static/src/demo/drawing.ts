// The star as SVG.
import { RING, SIZE, spots, type Spot } from "./layout.ts";
import type { Seat } from "./speech.ts";
import { shortId } from "./words.ts";

export type Picture = { seats: Seat[]; host: string; me: string; hands: string[] };

/** Below this radius a name does not fit. */
const NAMED = 22;

export function draw(svg: SVGSVGElement, { seats, host, me, hands }: Picture): void {
  const linked = new Map(seats.map((seat) => [seat.id, seat.linked]));
  const all = spots([...linked.keys()], host);
  const [middle, ...around] = all;
  if (!middle) return;
  const mine = all.find(({ id }) => id === me);

  const rays = around.map((spot) => line(spot, middle, linked.get(spot.id) ? "ray open" : "ray"));
  const arcs = all.filter(({ id }) => mine && hands.includes(id)).map((spot) => arc(mine!, spot));
  const people = all.map((spot) => person(spot, spot.id === host, spot.id === me));
  svg.setAttribute("viewBox", `0 0 ${SIZE} ${SIZE}`);
  svg.replaceChildren(title(around.length, host, me), ring(around.length), ...rays, ...arcs, ...people);
}

function title(others: number, host: string, me: string) {
  const who = host === me ? "you are the host" : `${shortId(host)} is the host, you are one of those around it`;
  return el("title", {}, `The star: ${who}; ${others === 1 ? "one member" : `${others} members`} around the host.`);
}

function ring(others: number) {
  return el("circle", { class: "ring", cx: SIZE / 2, cy: SIZE / 2, r: others === 0 ? 100 : RING });
}

const line = (a: Spot, b: Spot, name: string) => el("line", { class: name, x1: a.x, y1: a.y, x2: b.x, y2: b.y });

/** A connection by hand is bowed, so that it is seen beside a ray. */
function arc(a: Spot, b: Spot) {
  const bend = 0.18;
  const x = (a.x + b.x) / 2 + (b.y - a.y) * bend;
  const y = (a.y + b.y) / 2 - (b.x - a.x) * bend;
  return el("path", { class: "bow", d: `M${a.x} ${a.y}Q${x} ${y} ${b.x} ${b.y}` });
}

function person(spot: Spot, isHost: boolean, isMe: boolean) {
  const group = el("g", { class: ["person", isHost && "host", isMe && "me"].filter(Boolean).join(" "), "data-id": spot.id });
  group.append(el("circle", { cx: spot.x, cy: spot.y, r: spot.r }));
  if (isMe) group.append(el("circle", { class: "halo", cx: spot.x, cy: spot.y, r: spot.r + 5 }));
  const name = isMe ? "you" : shortId(spot.id);
  if (isHost) group.append(words(spot, -9, "host"), words(spot, 11, name));
  else if (spot.r >= NAMED) group.append(words(spot, 0, name));
  return group;
}

const words = ({ x, y }: Spot, lower: number, text: string) => el("text", { x, y: y + lower }, text);

function el(name: string, attributes: Record<string, string | number>, words?: string): SVGElement {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  if (words !== undefined) element.textContent = words;
  return element;
}
