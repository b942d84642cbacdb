// The page's own elements: writes what is known into them, and hears what a person does.
import { draw } from "./drawing.ts";
import type { SeatStatus } from "./seat.ts";
import type { Line } from "./speech.ts";
import type { Star } from "./star.ts";
import { causeInWords, people, seconds, shortId } from "./words.ts";

/** More lines than anyone scrolls back to would only cost memory. */
const MAX_LOG = 300;

export type Actions = {
  write(text: string): void;
  connect(id: string): void;
  retry(): void;
};

export class View {
  private readonly svg = document.querySelector<SVGSVGElement>("#star")!;
  private readonly log = need("log");
  private drawn = "";

  constructor(page: string, private readonly me: string, actions: Actions) {
    put("page", page);
    put("my-id", me);
    document.querySelectorAll<HTMLAnchorElement>("a.again").forEach((link) => (link.href = location.href));
    onSubmit("chat-form", "line", actions.write);
    onSubmit("hand-form", "hand-id", actions.connect);
    need("retry").addEventListener("click", () => actions.retry());
    need("copy").addEventListener("click", () => void this.copy());
  }

  status(status: SeatStatus): void {
    const words = {
      connecting: "Connecting to the server…",
      open: "Connected",
      away: "Server out of reach, trying again. Open links go on.",
      closed: status.state === "closed" ? status.why : "",
    };
    put("status", words[status.state]);
    document.body.dataset["server"] = status.state;
    need("retry").hidden = status.state !== "away" && status.state !== "closed";
    put("retry", status.state === "closed" ? "Reload" : "Try now");
  }

  show(star: Star): void {
    const { assignment, count } = star;
    if (!assignment) return;
    put("host", star.isHost ? "you" : shortId(assignment.host));
    need("host").title = assignment.host;
    put("epoch", String(assignment.epoch));
    put("count", people(count));
    put("link", linkInWords(star));
    put("change", changeInWords(star));
    put("waiting", waitingInWords(star.chat.waiting.length));
    document.body.dataset["role"] = star.isHost ? "host" : "member";
    document.body.dataset["alone"] = String(count === 1);
    this.draw(star);
  }

  /** Only when it has changed: a screen reader may be on it. */
  private draw(star: Star): void {
    const picture = { seats: star.seats, host: star.assignment!.host, me: this.me, hands: [...star.hands.keys()] };
    const key = JSON.stringify(picture);
    if (key === this.drawn) return;
    this.drawn = key;
    draw(this.svg, picture);
    need("members").replaceChildren(...picture.seats.map(({ id, linked }) => member(id, linked, picture.host, this.me)));
    need("known").replaceChildren(...picture.seats.filter(({ id }) => id !== this.me).map(({ id }) => new Option(id, id)));
  }

  line({ from, text }: Line): void {
    const who = element("b", from === this.me ? "you" : shortId(from));
    who.title = from;
    who.style.setProperty("--hue", String(parseInt(from.slice(0, 4), 16) % 360 || 0));
    this.append(element("li", who, " ", text));
  }

  note(text: string): void {
    const item = element("li", text);
    item.className = "note";
    this.append(item);
  }

  hand(text: string): void {
    put("hand-result", text);
  }

  private append(item: HTMLElement): void {
    const atEnd = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 40;
    this.log.append(item);
    while (this.log.childElementCount > MAX_LOG) this.log.firstElementChild!.remove();
    if (atEnd) this.log.scrollTop = this.log.scrollHeight;
  }

  /** The clipboard is closed to plain http; then the id is selected, ready to be copied by hand. */
  private async copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(this.me);
      put("copy-word", "Copied");
    } catch {
      getSelection()?.selectAllChildren(need("my-id"));
      put("copy-word", "Selected");
    }
    setTimeout(() => put("copy-word", "Copy"), 1500);
  }
}

function member(id: string, linked: boolean, host: string, me: string): HTMLElement {
  const item = element("li", element("code", shortId(id)));
  item.title = id;
  item.dataset["id"] = id;
  const marks = [id === me && "you", id === host ? "host" : linked ? "linked" : "no link yet"].filter(Boolean).join(", ");
  item.append(` ${marks}`);
  return item;
}

function linkInWords(star: Star): string {
  if (star.isHost) return "the others link to you";
  if (star.assignment?.p2p === false) return "none: more members are here than a star can carry";
  if (!star.linkedUp) return "opening…";
  return star.rttMs === undefined ? "open over WebRTC" : `open over WebRTC, ${Math.max(1, Math.round(star.rttMs))} ms`;
}

function changeInWords({ lastChange, me }: Star): string {
  if (!lastChange) return "none since you came";
  const { host, cause, at, linkedMs } = lastChange;
  const who = host === me ? "you took over" : `${shortId(host)} took over`;
  const why = cause ? `: ${causeInWords(cause)}` : "";
  const linked = host === me || linkedMs === undefined ? "" : `, linked after ${seconds(linkedMs)}`;
  return `${at.toLocaleTimeString()}, ${who}${why}${linked}`;
}

function waitingInWords(count: number): string {
  if (count === 0) return "";
  return count === 1 ? "1 line is on its way to the host…" : `${count} lines are on their way to the host…`;
}

function onSubmit(form: string, field: string, then: (text: string) => void): void {
  need(form).addEventListener("submit", (event) => {
    event.preventDefault();
    const input = need(field) as HTMLInputElement;
    const text = input.value.trim();
    if (!text) return;
    input.value = "";
    then(text);
  });
}

function element(name: string, ...children: (Node | string)[]): HTMLElement {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}

function need(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/** Writes only what differs, so that a live region says nothing twice. */
function put(id: string, text: string): void {
  const target = need(id);
  if (target.textContent !== text) target.textContent = text;
}
