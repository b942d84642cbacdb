// Draws the star: the members, the host, each link and its round trip. A new host glides to the
// middle. Each change of the board is shown as a dot that runs along the links it took.
import { need, put, svg } from "./dom.ts";
import { calm, Glide } from "./glide.ts";
import { RTT_AT, spots, type Spot } from "./layout.ts";
import type { LinkReport } from "./message.ts";
import { hueOf } from "./people.ts";
import { rtt } from "./words.ts";

export type Picture = {
  readonly ids: readonly string[];
  readonly host: string | undefined;
  readonly me: string;
  name(id: string): string;
  link(id: string): LinkReport | undefined;
};

type Node = {
  readonly group: SVGGElement;
  readonly circle: SVGCircleElement;
  readonly letter: SVGTextElement;
  readonly name: SVGTextElement;
};
type Ray = {
  readonly group: SVGGElement;
  readonly line: SVGLineElement;
  readonly label: SVGGElement;
  readonly back: SVGRectElement;
  readonly words: SVGTextElement;
};

const GLIDE_MS = 140;
const LEG_MS = 300;
const PULSE_EVERY_MS = 240;
/** Maximum number of members with names and round trips. More do not fit. */
const NAMED = 8;
/** Size of a round trip's text: width of a letter, height of the line. */
const RTT = { letter: 7, height: 16 };

export class StarView {
  private readonly rays = svg("g");
  private readonly dots = svg("g");
  private readonly people = svg("g");
  private readonly nodes = new Map<string, Node>();
  private readonly lines = new Map<string, Ray>();
  private readonly pulsed = new Map<string, number>();
  private readonly glide = new Glide(() => this.draw(), GLIDE_MS);
  private host: string | undefined;

  constructor() {
    need<SVGSVGElement>("star").append(this.rays, this.dots, this.people);
  }

  render(picture: Picture): void {
    const all = spots(picture.ids, picture.host, picture.me);
    const here = new Set(all.map(({ id }) => id));
    this.host = picture.host;
    for (const id of [...this.nodes.keys()]) if (!here.has(id)) this.forget(id);
    for (const id of [...this.lines.keys()])
      if (!here.has(id) || id === picture.host) this.forgetRay(id);
    const named = all.length <= NAMED;
    for (const spot of all) {
      const isHost = spot.id === picture.host;
      this.person(spot, isHost, picture, named || isHost);
      if (!isHost && picture.host !== undefined) this.ray(spot.id, picture.link(spot.id), named);
    }
    this.draw();
  }

  /** Shows a change made by `from`: it runs to the host, and from there to all. */
  pulse(from: string): void {
    const host = this.host;
    const now = performance.now();
    if (
      calm.matches ||
      document.hidden ||
      host === undefined ||
      now - (this.pulsed.get(from) ?? -Infinity) < PULSE_EVERY_MS
    )
      return;
    this.pulsed.set(from, now);
    if (from !== host) this.run(from, host, 0, from);
    for (const to of this.lines.keys())
      if (to !== from) this.run(host, to, from === host ? 0 : LEG_MS, from);
  }

  private run(from: string, to: string, delay: number, by: string): void {
    const [a, b] = [this.glide.now(from), this.glide.now(to)];
    if (!a || !b || this.dots.childElementCount > 60) return;
    const dot = svg("circle", { r: 4, class: "dot" });
    dot.style.setProperty("--hue", String(hueOf(by)));
    this.dots.append(dot);
    const steps = [
      { transform: `translate(${a.x}px, ${a.y}px)`, opacity: 0.2 },
      { opacity: 1, offset: 0.3 },
      { transform: `translate(${b.x}px, ${b.y}px)`, opacity: 0.2 },
    ];
    const motion = dot.animate(steps, {
      duration: LEG_MS,
      delay,
      easing: "ease-in-out",
      fill: "both",
    });
    motion.onfinish = motion.oncancel = () => dot.remove();
  }

  private person(spot: Spot, isHost: boolean, { me, name }: Picture, named: boolean): void {
    const node = this.nodes.get(spot.id) ?? this.make(spot.id);
    node.group.setAttribute(
      "class",
      ["person", isHost && "host", spot.id === me && "me"].filter(Boolean).join(" "),
    );
    node.circle.setAttribute("r", String(spot.r));
    node.name.setAttribute("y", String(spot.name));
    const words = name(spot.id);
    put(node.letter, spot.r >= 12 ? initials(words) : "");
    put(node.name, named ? (spot.id === me ? "you" : shortened(words, spot.letters)) : "");
    // The host is drawn last: on its way to the middle it passes in front of the others.
    if (isHost && this.people.lastChild !== node.group) this.people.append(node.group);
    this.glide.to(spot.id, { x: spot.x, y: spot.y }, false);
  }

  private make(id: string): Node {
    const [circle, letter, name] = [
      svg("circle"),
      svg("text", { class: "letter" }),
      svg("text", { class: "name" }),
    ];
    const group = svg("g", { "data-id": id }, circle, letter, name);
    group.style.setProperty("--hue", String(hueOf(id)));
    this.people.append(group);
    const node = { group, circle, letter, name };
    this.nodes.set(id, node);
    return node;
  }

  private ray(id: string, link: LinkReport | undefined, named: boolean): void {
    const ray = this.lines.get(id) ?? this.makeRay(id);
    ray.line.setAttribute("class", `ray ${link?.path ?? "none"}`);
    const words = named && link?.rttMs !== undefined ? rtt(link.rttMs) : "";
    const width = words === "" ? 0 : (words.length + 1) * RTT.letter;
    put(ray.words, words);
    ray.back.setAttribute("width", String(width));
    ray.back.setAttribute("x", String(-width / 2));
  }

  private makeRay(id: string): Ray {
    const [line, words] = [svg("line"), svg("text", { class: "rtt" })];
    // Hides the line behind the text.
    const back = svg("rect", { class: "back", y: -RTT.height / 2, height: RTT.height });
    const label = svg("g", {}, back, words);
    const ray = { group: svg("g", { "data-id": id }, line, label), line, label, back, words };
    this.rays.append(ray.group);
    this.lines.set(id, ray);
    return ray;
  }

  private draw(): void {
    for (const [id, { group }] of this.nodes) {
      const at = this.glide.now(id);
      if (at) group.setAttribute("transform", `translate(${at.x} ${at.y})`);
    }
    const middle = this.host === undefined ? undefined : this.glide.now(this.host);
    for (const [id, { line, label }] of this.lines) {
      const at = this.glide.now(id);
      if (!at || !middle) continue;
      for (const [key, value] of Object.entries({ x1: at.x, y1: at.y, x2: middle.x, y2: middle.y }))
        line.setAttribute(key, String(value));
      label.setAttribute(
        "transform",
        `translate(${middle.x + (at.x - middle.x) * RTT_AT} ${middle.y + (at.y - middle.y) * RTT_AT})`,
      );
    }
  }

  private forget(id: string): void {
    this.nodes.get(id)?.group.remove();
    this.nodes.delete(id);
    this.pulsed.delete(id);
    this.glide.drop(id);
  }

  private forgetRay(id: string): void {
    this.lines.get(id)?.group.remove();
    this.lines.delete(id);
  }
}

function shortened(name: string, most: number): string {
  const letters = [...name];
  return letters.length <= most
    ? name
    : `${letters
        .slice(0, most - 1)
        .join("")
        .trimEnd()}…`;
}

function initials(name: string): string {
  const words = name.split(" ");
  const letters =
    words.length > 1
      ? [words[0], words.at(-1)].map((word) => [...(word ?? "")][0] ?? "")
      : [...name].slice(0, 2);
  return letters.join("").toUpperCase();
}
