// The chat as one member has it: lines in the order the host sent them, and one's own that are still on their way.
import type { Line, Speech } from "./speech.ts";

/** A newcomer is given this many. */
const KEPT = 100;
/** How far back a repeat is recognised. */
const KNOWN = 1000;

export class Chat {
  readonly lines: Line[] = [];
  /** Mine that have not come back from the host yet; each new host gets them again. */
  readonly waiting: Line[] = [];
  private readonly known = new Set<string>();
  private count = 0;

  constructor(private readonly me: string) {}

  /** A new line of mine. */
  write(text: string): Line {
    const line = { from: this.me, n: ++this.count, text };
    this.waiting.push(line);
    return line;
  }

  /** Takes a line in; false if it was there already, as after a change of host. */
  take(line: Line): boolean {
    const name = `${line.n} ${line.from}`;
    if (this.known.has(name)) return false;
    this.known.add(name);
    if (this.known.size > KNOWN) this.known.delete(this.known.values().next().value!);
    this.lines.push(line);
    if (this.lines.length > KEPT) this.lines.shift();
    const mine = this.waiting.findIndex(({ n }) => line.from === this.me && line.n === n);
    if (mine >= 0) this.waiting.splice(mine, 1);
    return true;
  }

  /** What to say to a host that may not have heard it. */
  unheard(): Speech[] {
    return this.waiting.map(({ n, text }) => ({ type: "say", n, text }));
  }
}
