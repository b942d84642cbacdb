// One member's part in the page: what comes from the group, in its order, and what goes to it.
import type { GroupEvents, OrderedGroup } from "./group.ts";
import { Links } from "./links.ts";
import { messageIn, type LinkReport, type Message } from "./message.ts";
import { record } from "./model/read.ts";
import type { Outcome } from "./model/reduce.ts";
import type { Board } from "./model/types.ts";
import type { HostChange } from "./panel.ts";
import { distinct, People } from "./people.ts";
import { SharedBoard } from "./shared.ts";

export type SessionEvents = {
  /** Something to be shown anew. */
  changed(): void;
  /** The next change of the board, with its place in the order. */
  delivered(from: string, seq: number, outcome: Outcome, before: Board): void;
  /** Another hosts. */
  hostChanged(change: HostChange): void;
  /** The whole board has been replaced. */
  restored(): void;
  failed(error: unknown): void;
  resign(): void;
};

export class Session {
  readonly shared: SharedBoard;
  readonly people: People;
  readonly links = new Links();
  lastChange: HostChange | undefined;
  private host: string | undefined;
  private reach: GroupEvents["status"] = { state: "connecting", server: false };

  constructor(
    private readonly group: OrderedGroup,
    private readonly events: SessionEvents,
  ) {
    this.people = new People(group.id);
    this.people.profile(group.id, group.profile);
    this.shared = new SharedBoard(group, events);
  }

  /** `kept` is what this browser had: it counts only when nobody else was here. */
  opened({ host, first }: GroupEvents["open"], kept: Board | undefined): void {
    this.host = host;
    if (first && kept && this.shared.delivered.steps.size === 0)
      this.shared.do({
        do: "load",
        steps: [...kept.steps.values()],
        wires: [...kept.wires.values()],
        kept: true,
      });
    if (!first) void this.introduce(this.people.of(this.group.id));
    this.events.changed();
  }

  message(data: unknown, from: string, seq: number): void {
    const message = messageIn(data);
    switch (message?.type) {
      case "do": {
        const before = this.shared.delivered;
        this.events.delivered(
          from,
          seq,
          this.shared.deliver(from, message.n, message.operation),
          before,
        );
        break;
      }
      case "links":
        if (from === this.group.host) this.links.heard(message.links);
        break;
      case "drop":
        // Two who ask at once drop one host, not two.
        if (this.group.isHost && message.epoch === this.group.epoch) this.events.resign();
    }
    this.events.changed();
  }

  hostChanged({ host, cause, tookMs }: GroupEvents["host"]): void {
    const before = this.host;
    this.host = host;
    this.links.newHost();
    if (before !== undefined && before !== host) {
      this.lastChange = {
        host,
        before,
        cause,
        tookMs,
        at: new Date(),
        seen: (this.lastChange?.seen ?? 0) + 1,
      };
      this.events.hostChanged(this.lastChange);
    }
    this.events.changed();
  }

  member({ kind, id, profile }: GroupEvents["member"]): void {
    if (kind === "join") {
      this.people.profile(id, profile);
      this.links.forgetSaid();
    } else this.links.measured(id, "none", undefined);
    this.events.changed();
  }

  profile({ id, profile }: GroupEvents["profile"]): void {
    this.people.profile(id, profile);
    this.events.changed();
  }

  link({ id, path, rttMs }: GroupEvents["link"]): void {
    this.links.measured(id, path, rttMs);
    this.events.changed();
  }

  status(reach: GroupEvents["status"]): void {
    this.reach = reach;
    this.events.changed();
  }

  /** It names the hosts: without it none is dropped. */
  get server(): boolean {
    return this.reach.server;
  }

  /** The link between the host and `id`, as far as it is known here. What goes over the server goes with it. */
  linkOf(id: string): LinkReport | undefined {
    const link = this.links.of(id, this.group.id, this.group.host);
    return this.reach.state === "away" || (link?.path === "relay" && !this.server)
      ? undefined
      : link;
  }

  rename(name: string): void {
    this.group.profile = { name };
    this.profile({ id: this.group.id, profile: this.group.profile });
  }

  dropHost(): void {
    if (!this.server) return;
    if (this.group.isHost) this.events.resign();
    else void this.say({ type: "drop", epoch: this.group.epoch });
  }

  /** For a host, now and then. */
  tellLinks(): void {
    const links =
      this.group.isHost && this.group.members.length > 1
        ? this.links.news(this.group.members)
        : undefined;
    if (links) void this.say({ type: "links", links });
  }

  snapshot(): unknown {
    return { board: this.shared.snapshot() };
  }

  restore(state: unknown): void {
    this.shared.restore(record(state)["board"]);
    this.events.restored();
  }

  /** Who comes to one of the same name takes another, unless a person has chosen it meanwhile. */
  private async introduce(name: string): Promise<void> {
    const { id } = this.group;
    if (!(await this.say({ type: "here" })) || this.people.of(id) !== name) return;
    const others = this.group.members.filter((member) => member !== id);
    const free = distinct(name, new Set(others.map((member) => this.people.of(member))));
    if (free !== name) this.rename(free);
  }

  /** Whether it was delivered, in its time. */
  private say(message: Message): Promise<boolean> {
    return this.group.send(message).then(
      () => true,
      (error: unknown) => {
        this.events.failed(error);
        return false;
      },
    );
  }
}
