// The star: both roles of a member, switched by what the server says. The host answers who dials; everyone else keeps
// one link, to the host.
import type { DataConnection } from "peerjs";
import { backoffMs } from "./backoff.ts";
import { Chat } from "./chat.ts";
import { Link } from "./link.ts";
import { MAX_SEATS, type Line, type Seat, type Speech } from "./speech.ts";
import type { Assignment } from "./wire.ts";

/** Says which connections are rays of the star; others were made by hand. */
const LABEL = "star";
const HAND_LABEL = "by-hand";
/** A line that the host has not sent back by then is said again; repeats are recognised. */
const AGAIN_MS = 4_000;

export type Change = {
  host: string;
  cause: string | undefined;
  at: Date;
  heardAt: number;
  /** From hearing of the new host to having a link with it. */
  linkedMs?: number;
};

export type StarEvents = {
  /** Something to draw has changed. */
  changed(): void;
  /** A line of the chat came in; it is in `chat.lines`. */
  line(line: Line): void;
  /** Something a person should read beside the chat. */
  note(text: string): void;
  hello(from: string, text: string): void;
  /** A connection made by hand from here has opened, or ended: why. */
  hand(id: string, end?: "closed" | "unanswered" | "absent"): void;
};

export class Star {
  assignment: Assignment | undefined;
  lastChange: Change | undefined;
  readonly chat: Chat;
  readonly hands = new Map<string, Link>();

  /** My link to the host, while that is someone else. */
  private up: Link | undefined;
  private attempt = 0;
  private redial: ReturnType<typeof setTimeout> | undefined;
  /** Links of those who dialled me as the host. */
  private readonly down = new Map<string, Link>();
  /** Who is here, by the server's word; only the host knows. */
  private present = new Set<string>();
  /** The same by the host's word, for everyone else. */
  private told: { seats: Seat[]; count: number } = { seats: [], count: 0 };

  constructor(
    readonly me: string,
    private readonly connect: (id: string, label: string) => DataConnection | undefined,
    private readonly events: StarEvents,
  ) {
    this.chat = new Chat(me);
    setInterval(() => this.sayAgain(), AGAIN_MS);
  }

  get isHost(): boolean {
    return this.assignment?.host === this.me;
  }

  /** Those the host sees, the host and me first; not all of them on a crowded page. */
  get seats(): Seat[] {
    const { assignment, me, linkedUp } = this;
    if (!assignment) return [];
    const near = [{ id: assignment.host, linked: linkedUp }];
    if (!this.isHost) near.push({ id: me, linked: linkedUp });
    const others = this.isHost
      ? [...this.present].map((id) => ({ id, linked: this.down.get(id)?.state === "open" }))
      : this.told.seats;
    return [...near, ...others.filter(({ id }) => id !== assignment.host && id !== me)].slice(0, MAX_SEATS);
  }

  /** How many are here, as far as I was told. */
  get count(): number {
    if (this.isHost) return this.present.size;
    return this.told.count || Math.max(2, this.assignment?.members ?? 0);
  }

  get linkedUp(): boolean {
    return this.isHost || this.up?.state === "open";
  }

  get rttMs(): number | undefined {
    return this.up?.rttMs;
  }

  // === what the server says ===

  assign(next: Assignment): void {
    const last = this.assignment;
    this.assignment = next;
    const moved = last?.host !== next.host;
    if (moved) {
      this.attempt = 0;
      this.told = { seats: [], count: 0 };
      this.hangUp();
      // Only links to a host are rays: a deposed one drops its own.
      if (!this.isHost) for (const link of this.down.values()) link.close();
      if (last) this.lastChange = { host: next.host, cause: next.cause, at: new Date(), heardAt: performance.now() };
    }
    if (this.isHost) this.preside(next.roster ?? [this.me]);
    else if (moved || this.up === undefined) this.dialHost();
    this.events.changed();
  }

  joined(id: string): void {
    if (!this.isHost) return;
    this.present.add(id);
    this.tellRoster();
  }

  /** From the server: this one is gone. Only the host is told of everyone. */
  left(id: string): void {
    this.down.get(id)?.close();
    this.hands.get(id)?.close();
    this.present.delete(id);
    this.tellRoster();
  }

  /** An offer of mine found nobody. */
  absent(id: string): void {
    const hand = this.hands.get(id);
    if (hand?.state === "opening") {
      this.hands.delete(id);
      hand.close();
      this.events.hand(id, "absent");
    }
    if (this.up?.id === id && this.up.state === "opening") this.up.close();
  }

  // === the host's side ===

  private preside(ids: string[]): void {
    this.present = new Set([this.me, ...ids]);
    if (this.lastChange?.host === this.me) this.lastChange.linkedMs ??= 0;
    // Nobody else will send my waiting lines back now.
    for (const line of [...this.chat.waiting]) this.announce(line);
    this.tellRoster();
  }

  answer(connection: DataConnection): void {
    if (connection.label !== LABEL) return this.shakeHands(connection);
    const id = connection.peer;
    this.down.get(id)?.close(); // one ray each: who dials again has lost the old one
    const link: Link = new Link(
      connection,
      {
        opened: () => {
          for (const line of this.chat.lines) link.send({ type: "said", line });
          this.tellRoster();
        },
        heard: (said) => {
          if (said.type === "say" && this.isHost) this.announce({ from: id, n: said.n, text: said.text });
        },
        closed: () => {
          if (this.down.get(id) === link) this.down.delete(id);
          this.tellRoster();
        },
      },
      false,
    );
    this.down.set(id, link);
    this.events.changed();
  }

  /** Everyone sees a line in the order in which it passes here. */
  private announce(line: Line): void {
    if (!this.chat.take(line)) return this.tell({ type: "said", line }); // its sender may have missed it
    this.tell({ type: "said", line });
    this.events.line(line);
  }

  private tell(said: Speech): void {
    for (const link of this.down.values()) link.send(said);
  }

  private tellRoster(): void {
    if (this.isHost) this.tell({ type: "roster", seats: this.seats, count: this.count });
    this.events.changed();
  }

  // === a member's side ===

  private dialHost(): void {
    clearTimeout(this.redial);
    if (!this.assignment || this.isHost || !this.assignment.p2p || this.up) return;
    const connection = this.connect(this.assignment.host, LABEL);
    if (!connection) return; // away from the server: its next OPEN comes back here
    const link: Link = new Link(
      connection,
      {
        opened: () => this.reached(link),
        heard: (said) => this.follow(link, said),
        beat: () => this.events.changed(),
        closed: (why) => {
          if (this.up !== link) return; // hung up by us
          this.up = undefined;
          if (why === "silent") this.events.note("The host has stopped answering; dialling it again.");
          this.redial = setTimeout(() => this.dialHost(), backoffMs(this.attempt++, Math.random()));
          this.events.changed();
        },
      },
      true,
    );
    this.up = link;
  }

  private reached(link: Link): void {
    this.attempt = 0;
    const change = this.lastChange;
    if (change?.host === link.id) change.linkedMs ??= performance.now() - change.heardAt;
    for (const said of this.chat.unheard()) link.send(said);
    this.events.changed();
  }

  private follow(link: Link, said: Speech): void {
    if (link !== this.up) return;
    if (said.type === "said" && this.chat.take(said.line)) this.events.line(said.line);
    if (said.type === "roster") this.told = said;
    this.events.changed();
  }

  private hangUp(): void {
    clearTimeout(this.redial);
    const link = this.up;
    this.up = undefined;
    link?.close();
  }

  // === the chat ===

  write(text: string): void {
    const line = this.chat.write(text);
    if (this.isHost) this.announce(line);
    else if (this.linkedUp) this.up?.send({ type: "say", n: line.n, text });
    this.events.changed();
  }

  private sayAgain(): void {
    if (this.up?.state === "open") for (const said of this.chat.unheard()) this.up.send(said);
  }

  // === connections by hand ===

  connectByHand(id: string): boolean {
    this.hands.get(id)?.close();
    const connection = this.connect(id, HAND_LABEL);
    if (!connection) return false;
    this.shakeHands(connection, true);
    return true;
  }

  private shakeHands(connection: DataConnection, mine = false): void {
    const id = connection.peer;
    const link: Link = new Link(
      connection,
      {
        opened: () => {
          if (mine) this.events.hand(id);
          this.events.changed();
        },
        heard: (said) => {
          if (said.type === "hello") this.events.hello(id, said.text);
        },
        closed: (why) => {
          if (this.hands.get(id) !== link) return;
          this.hands.delete(id);
          if (mine) this.events.hand(id, why === "unanswered" ? why : "closed");
          this.events.changed();
        },
      },
      mine,
    );
    this.hands.set(id, link);
    if (mine) link.send({ type: "hello", text: "hello" });
    this.events.changed();
  }
}
