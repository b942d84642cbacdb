// One member's session: handles the events of the group and sends this member's messages.
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
  /** Something has changed and must be drawn. */
  changed(): void;
  /** An operation was delivered. `seq`: its number in the group's order. */
  delivered(from: string, seq: number, outcome: Outcome, before: Board): void;
  /** The host has changed. */
  hostChanged(change: HostChange): void;
  /** The whole board was replaced. */
  restored(): void;
  /** A message could not be sent. */
  failed(error: unknown): void;
  /** This page is the host and was asked to hand over. */
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

  /** `kept`: the board that this browser has stored. It is used only if nobody else was here. */
  opened({ host, first }: GroupEvents["open"], kept: Board | undefined): void {
    this.host = host;
    if (first && kept && this.shared.delivered.steps.size === 0)
      this.shared.do({
        do: "load",
        steps: [...kept.steps.values()],
        wires: [...kept.wires.values()],
        kept: true,
      });
    if (!first) void this.introduce(this.people.nameOf(this.group.id));
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
        if (from === this.group.host) this.links.setReported(message.links);
        break;
      case "drop":
        // If two members ask at once, one host is dropped, not two.
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
      this.links.memberJoined();
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

  /**
   * Whether there is a connection to the server. The server names the hosts: without it none is
   * dropped.
   */
  get server(): boolean {
    return this.reach.server;
  }

  /**
   * Returns the link between the host and a member, if it is known here. Without the server there
   * are no relayed links.
   */
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
    else void this.send({ type: "drop", epoch: this.group.epoch });
  }

  /** Called at intervals. A host tells the others its links if they have changed. */
  tellLinks(): void {
    const links =
      this.group.isHost && this.group.members.length > 1
        ? this.links.takeChanges(this.group.members)
        : undefined;
    if (links) void this.send({ type: "links", links });
  }

  snapshot(): unknown {
    return { board: this.shared.snapshot() };
  }

  restore(state: unknown): void {
    this.shared.restore(record(state)["board"]);
    this.events.restored();
  }

  /**
   * Takes another name if a member here has the same, unless the person has chosen a name
   * meanwhile.
   */
  private async introduce(name: string): Promise<void> {
    const { id } = this.group;
    if (!(await this.send({ type: "here" })) || this.people.nameOf(id) !== name) return;
    const others = this.group.members.filter((member) => member !== id);
    const free = distinct(name, new Set(others.map((member) => this.people.nameOf(member))));
    if (free !== name) this.rename(free);
  }

  /** Sends a message. Resolves with whether it was delivered. */
  private send(message: Message): Promise<boolean> {
    return this.group.send(message).then(
      () => true,
      (error: unknown) => {
        this.events.failed(error);
        return false;
      },
    );
  }
}
