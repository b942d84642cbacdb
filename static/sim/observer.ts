// Watches every step of every node and checks the guarantees, in the words of docs/delivery/GUARANTEES.md.

import { epochAt, isEmpty, isProvisional } from "../src/group/history.ts";
import type { Notice } from "../src/group/index.ts";
import type { Line, Place, Snapshot, Standing } from "../src/group/types.ts";
import type { Data, Fill } from "../src/group/wire.ts";
import { origin, type App } from "./app.ts";
import { Directs } from "./directs.ts";
import type { Node } from "./node.ts";
import type { Server } from "./server.ts";
import { show } from "./story.ts";
import { Failure, type World } from "./world.ts";

/** Longest time that the news of a change of host may be on its way. */
const ON_THE_WAY_MS = 1500;
/** Longest time until a member that has what another lacks was asked for it, again and again. */
const HANDED_ON_MS = 3000;

export class Observer {
  readonly directs: Directs;
  /** The message of each entry, for ever. */
  readonly #message = new Map<number, string>();
  /** The message of each entry that was sent on, whether a page was handed it there or had it already. */
  readonly #sent = new Map<number, string>();
  /** Hash of a page's state after each entry: the same for all pages. */
  readonly #state = new Map<number, number>();
  /** The node that has an entry in its log; `*` for more than one. */
  readonly #holder = new Map<number, string>();
  /** When each entry was stamped. */
  readonly #stamped = new Map<number, number>();
  /** When each history was founded, by its root. */
  readonly #foundedAt = new Map<number, number>();
  /** The members at each entry: every node is told the same of the others. */
  readonly #here = new Map<
    number,
    { readonly by: string; readonly members: ReadonlyMap<string, unknown> }
  >();
  /** The last message before each entry, of those that any page was handed. */
  readonly #before = new Map<number, { readonly message: string; readonly place: Place }>();
  /** Nodes that were told that something is missing, and how much each had sent by then. */
  readonly #told = new Map<Node, number>();
  /** Hosts of provisional histories that heard of one from before the server began. */
  readonly #overruled: {
    readonly by: string;
    readonly host: Node;
    readonly root: number;
    /** Root of the history from before. */
    readonly older: number;
    readonly at: number;
  }[] = [];
  /** Roots that a member still marked as provisional after the server had begun again. */
  readonly #marksKept = new Set<number>();

  constructor(
    readonly world: World,
    readonly server: Server,
    readonly nodes: () => readonly Node[],
    readonly stock: () => readonly string[],
  ) {
    this.directs = new Directs(world);
  }

  /** Returns one number for root, epoch and seq, since entries are looked up by the million. */
  #key(r: number, e: number, s: number): number {
    if (r !== this.#lastRoot || e !== this.#lastEpoch) {
      const pair = r * 0x1000_0000 + (e % 0x1000_0000);
      let id = this.#lines.get(pair);
      if (id === undefined) this.#lines.set(pair, (id = this.#lines.size));
      this.#lastRoot = r;
      this.#lastEpoch = e;
      this.#lastLine = id;
    }
    return this.#lastLine * 0x10_0000 + s;
  }

  readonly #lines = new Map<number, number>();
  #lastRoot = -1;
  #lastEpoch = -1;
  #lastLine = 0;

  // --- while it runs ---

  delivered(node: Node, message: string, place: Place): void {
    const key = this.#key(place.r, place.e, place.s);
    const known = this.#message.get(key);
    if (known === undefined) this.#first(node, key, message, place);
    else if (known !== message)
      this.#fail(
        "1 same order",
        `${node.id} delivers ${message} at ${show(place)}, others ${known}`,
      );
    const { app } = node;
    if (place.s <= app.seq)
      this.#fail(
        "1 same order",
        `${node.id} delivers ${message} at seq ${place.s} after ${app.seq}`,
      );
    if (app.has.has(message))
      this.#fail("2 exactly once", `${node.id} delivers ${message} twice, at ${show(place)}`);
    const [sender, n] = origin(message);
    if (n <= (app.last.get(sender) ?? 0))
      this.#fail("1 per sender", `${node.id} delivers ${message} after #${app.last.get(sender)}`);
    app.take(message, place.s);
    if (!app.partial) {
      const state = this.#state.get(key);
      if (state === undefined) this.#state.set(key, app.hash);
      else if (state !== app.hash)
        this.#fail(
          "5 no gap, no overlap",
          `${node.id} has another state than others at ${show(place)}, after ${message}`,
        );
    }
    if (this.#rejected.has(message))
      this.#fail("6 rejected is not delivered", `${node.id} delivers ${message}`);
    this.#members(node, key, message, place);
    this.#follows(node, key, message, place);
    this.#runsAhead(node, key, message, place);
  }

  /** Checks that members join and leave between the same messages for every node. */
  #members({ id, app }: Node, key: number, message: string, place: Place): void {
    const here = this.#here.get(key);
    if (!here) return void this.#here.set(key, { by: id, members: new Map(app.members) });
    for (const other of new Set([...here.members.keys(), ...app.members.keys()])) {
      if (
        other === id ||
        other === here.by ||
        (here.members.has(other) === app.members.has(other) &&
          here.members.get(other) === app.members.get(other))
      )
        continue;
      this.#fail(
        "1 members",
        `at ${message} (${show(place)}) ${id} sees ${other} as ` +
          `${JSON.stringify(app.members.get(other))}, ${here.by} saw it as ` +
          JSON.stringify(here.members.get(other)),
      );
    }
  }

  /**
   * Checks that no message is left out that another page was handed in between, also where states cannot be
   * compared.
   */
  #follows(node: Node, key: number, message: string, place: Place): void {
    const { app } = node;
    const last = app.latest;
    app.latest = { message, place };
    if (!last) return;
    const before = this.#before.get(key);
    if (!before || before.place.s < last.place.s) this.#before.set(key, last);
    else if (
      before.place.r === last.place.r &&
      before.place.s > last.place.s &&
      !had(node, before.message)
    ) {
      this.#fail(
        "5 no gap, no overlap",
        `${node.id} is handed ${message} at ${show(place)} after ${last.message}, ` +
          `others after ${before.message}, which it has not got`,
      );
    }
  }

  #first({ id }: Node, key: number, message: string, place: Place): void {
    const [sender, n] = origin(message);
    const sent = this.nodes().find((node) => node.id === sender)?.sent.count ?? 0;
    if (n > sent)
      this.#fail(
        "4 nobody speaks but the host",
        `${id} delivers ${message} at ${show(place)}, which nobody sent`,
      );
    this.#message.set(key, message);
  }

  readonly #rejected = new Set<string>();

  rejected(message: string, code: string): void {
    if (code === "Backpressure" || code === "TooLarge") this.#rejected.add(message);
  }

  resolved(node: Node, message: string): void {
    if (!node.app.has.has(message) && !node.app.partial)
      this.#fail("2 resolved is delivered", `${node.id} resolves ${message} and has not got it`);
  }

  /** Checks that only the host hands its page what nobody else has. The news of a change of host may be on its way. */
  #runsAhead(node: Node, key: number, message: string, place: Place): void {
    const holder = this.#holder.get(key);
    if (holder !== undefined && holder !== node.id) return;
    const { epoch, host } = node.machine;
    const ended = this.server.ended.get(epoch);
    if (host === node.id && (ended === undefined || this.world.now - ended <= ON_THE_WAY_MS))
      return;
    this.#fail(
      "4 runs ahead",
      `${node.id} hands ${message} (${show(place)}) to its page, is not the host, and nobody else has it`,
    );
  }

  /** Notes entries that go from one node to another. */
  sent({ r, x }: Data | Fill): void {
    for (const { e, s, k, d } of x) if (k === "d") this.#sent.set(this.#key(r, e, s), d as string);
  }

  /** Checks a node after each of its steps. */
  stepped(node: Node, before: Place, old: boolean): void {
    const { place } = node.machine;
    if (place.s > before.s || place.e !== before.e || place.r !== before.r) {
      if (!this.#foundedAt.has(place.r)) this.#foundedAt.set(place.r, this.world.now);
      if (old && node.machine.host !== node.id)
        this.#fail("4 older epoch", `${node.id} takes entries from an older epoch`);
      const grown =
        place.r === before.r &&
        place.s >= before.s &&
        epochAt(node.machine.line, before.s) === before.e;
      const from = grown ? before.s + 1 : 1;
      for (let s = from; s <= place.s; s++) {
        const key = this.#key(place.r, epochAt(node.machine.line, s), s);
        const holder = this.#holder.get(key);
        if (holder === undefined) {
          this.#holder.set(key, node.id);
          this.#stamped.set(key, this.world.now);
        } else if (holder !== node.id) this.#holder.set(key, "*");
      }
    }
    const { settings } = this.world.profile;
    const { load } = node.machine;
    if (
      settings.outboxBytes !== undefined &&
      load.outbox > settings.outboxBytes + (settings.logBytes ?? 0)
    )
      this.#fail("6 bounded", `${node.id} outbox ${load.outbox}`);
    if (settings.logBytes !== undefined && load.log > settings.logBytes * 2 + 2000)
      this.#fail("6 bounded", `${node.id} log ${load.log}`);
  }

  /** Checks that something is missing, as a node was told whose page stood at `stood`. */
  incomplete(
    node: Node,
    stood: Place,
    { via, lost, lostMore }: Extract<Notice, { kind: "recovered" }>,
  ): void {
    this.#told.set(node, node.sent.count);
    const { place, line } = node.machine;
    const on =
      stood.r !== 0 &&
      stood.r === place.r &&
      stood.s <= place.s &&
      epochAt(line, stood.s) === stood.e;
    if (!on) return;
    // A state that continues the history is complete. Entries that a member still has are handed on, unless the
    // host had them and trimmed them: as too old, or (under the smallest limits only) as too much.
    const { now, profile } = this.world;
    const told =
      `${node.id} is told that something is missing (${via}), and stood at ${show(stood)}, ` +
      `which its history continues`;
    // Messages that were lost with an earlier history may be told only now.
    if (lost.length > 0 || lostMore) return;
    if (via === "snapshot") this.#fail("5 complete", told);
    if (profile.small || !node.wellSince(now - HANDED_ON_MS)) return;
    const others = this.nodes().filter(
      (other) => other !== node && other.wellSince(now - HANDED_ON_MS),
    );
    for (let s = stood.s + 1; s <= place.s; s++) {
      const next: Place = { r: place.r, e: epochAt(line, s), s };
      const key = this.#key(next.r, next.e, next.s);
      const keeper = others.find((other) => other.keeps(next));
      if (!keeper || now - (this.#stamped.get(key) ?? 0) >= profile.resumeMs * 1.5) return;
      const message = this.#message.get(key);
      if (message !== undefined && !had(node, message))
        this.#fail(
          "5 complete",
          `${told}, and ${keeper.id} has ${message}, which follows at ${show(next)}`,
        );
    }
  }

  /**
   * Checks the losses that a page was told of. A message is listed if the page had it before and the history that
   * the page goes on in does not hold it, unless it is sent again or more is said to be lost. No other message is
   * listed. `had` is what the page had before it was given a state; a page without a state has its messages still.
   */
  lost(
    node: Node,
    had: readonly string[] | undefined,
    starts: Snapshot | undefined,
    { lost, lostMore, reason, via }: Extract<Notice, { kind: "recovered" }>,
  ): void {
    const { app, machine, id } = node;
    const before = new Set(had ?? app.list);
    const history = starts ? { place: starts, line: starts.line } : machine;
    const now = had ? app.has : this.#messagesOf(history);
    const fail = (what: string): never =>
      this.#fail(
        "7 lost is told",
        `${id} (${reason}, ${via}): ${what}; listed ` +
          `${lost.map(({ data }) => data).join(" ")}${lostMore ? " and more" : ""}`,
      );
    let last = 0;
    for (const { data, from, mine, seq } of lost) {
      const message = data as string;
      // An own message may have come back with a place to start from, without a state: its send was resolved then.
      if (
        !before.has(message) &&
        !app.again.has(message) &&
        !(mine && node.sent.resolvedAt.has(message))
      )
        fail(`${message} was never handed to it`);
      if (now.has(message)) fail(`${message} is in what it goes on with`);
      if (mine !== (from === id) || origin(message)[0] !== from)
        fail(`${message} is said to be of ${from}, ${mine ? "" : "not "}its own`);
      if (mine && node.sent.owes(message)) fail(`${message} is sent again, or told again`);
      if (seq < last) fail("not in order");
      last = seq;
      app.accounted.add(message);
      app.again.delete(message);
    }
    let missing = false;
    // Entries that follow may have come before their turn, and in the same step.
    const further = this.#messagesOf(machine);
    for (const message of before) {
      if (now.has(message) || further.has(message) || app.accounted.has(message)) continue;
      // The message was stamped by a host whose page had it already. It went to nobody before all were restored
      // beyond it.
      if (
        !had &&
        this.nodes().some(
          (sender) =>
            sender.id === origin(message)[0] && sender.sent.isCountedBy(node.machine, message),
        )
      )
        continue;
      if (origin(message)[0] === id && node.sent.owes(message)) app.again.add(message);
      else if (lostMore) {
        missing = true;
        app.accounted.add(message);
      } else fail(`${message} is neither listed nor in what it goes on with`);
    }
    // Own messages that were to be sent again, given up and trimmed: the page can only be told that there were more.
    for (const message of lostMore ? [...app.again] : []) {
      if (node.sent.owes(message)) continue;
      app.again.delete(message);
      app.accounted.add(message);
    }
    if (lost.length > 0)
      this.world.count(`lost: listed${lost.some(({ mine }) => mine) ? ", one's own" : ""}`);
    if (lostMore) this.world.count(`lost: more than is listed${missing ? "" : ", perhaps"}`);
  }

  /**
   * Returns whether history `a` was founded later than `b`, when the time of provisional histories was just over
   * for its founder. Roots tell, unless the clock was set back.
   */
  isLater(a: Place, b: Place): boolean {
    return this.world.server.backMs === 0 && a.r > b.r;
  }

  /** Notes that a host with a provisional history hears of one from before the server began. */
  overrules(by: string, host: Node, root: number, older: number): void {
    this.world.count("a history from before overrules a provisional one");
    this.#overruled.push({ by, host, root, older, at: this.world.now });
  }

  /** Notes that a member says where it stands. It may have missed a restart, and mark its history still. */
  marked({ r, provisional = 0 }: Standing): void {
    if (provisional > 0 && this.#isFromBeforeServer(r)) this.#marksKept.add(r);
  }

  /**
   * Returns whether the server has begun again since a history was founded. Members that know it have dropped the
   * history's mark, and compare it by root and use.
   */
  #isFromBeforeServer(root: number): boolean {
    return (this.#foundedAt.get(root) ?? Infinity) < this.world.server.beganAt;
  }

  /** Checks what a page is told of another member: first that it joined, then its profiles, until it leaves. */
  member({ id, app }: Node, notice: Extract<Notice, { kind: "member" | "profile" }>): void {
    const here = app.members.has(notice.id);
    const comes = notice.kind === "member" && notice.change === "join";
    if (here === comes)
      this.#fail(
        "1 members",
        `${id} is told of ${notice.id}: ${JSON.stringify(notice)}, and it was ${here ? "" : "not "}here`,
      );
    if (notice.kind === "member" && notice.change === "leave") app.members.delete(notice.id);
    else app.members.set(notice.id, notice.profile);
  }

  /** Checks a host that begins to stamp: its log has what those that answered it had delivered. */
  took(node: Node): void {
    const { place, line } = node.machine;
    for (const at of node.naming.answers.values()) {
      if (at.r === place.r && epochAt(line, at.done) !== epochAt(at.line, at.done))
        this.world.count("take-over: an answer was overtaken before");
    }
    const since = node.naming.at;
    if (!node.wellSince(since)) return;
    const { relay, loss, reorder, latencyMs } = this.world.profile;
    const owed = new Map<string, Place>();
    // What went on without the server's word gives way to what has it.
    const hasWord =
      (!node.naming.wasAlone && node.naming.stood.r !== 0) ||
      [...node.naming.answers.values()].some((at) => !at.alone && !at.stale && !isEmpty(at));
    for (const [id, at] of node.naming.answers) {
      const peer = node.peerOf(id);
      // A member that has moved on to a later epoch owes this host nothing.
      if (!peer?.wellSince(since) || peer.machine.epoch > node.machine.epoch || isEmpty(at))
        continue;
      // A provisional history gives way to every other one.
      if (isProvisional(at) && node.machine.provisional === undefined) continue;
      if (
        at.r !== place.r &&
        at.provisional === undefined &&
        (node.machine.provisional ?? 0) > 0 &&
        !this.isLater(at, place)
      ) {
        this.#fail(
          "8 provisional",
          `host ${node.id} begins at ${show(place)}, which is provisional, though ${id} has a ` +
            `history from before the server began, ${show(at)}`,
        );
      }
      if (at.stale || (at.alone && hasWord)) continue;
      owed.set(id, { r: at.r, e: epochAt(at.line, at.done), s: at.done });
    }
    // Where answers cannot take long, a member that is well answers in time: its log counts, not only its answer.
    if (relay && node.mayRelay && loss <= 0.02 && reorder === 0 && latencyMs <= 20) {
      for (const id of node.naming.known) {
        const peer = node.peerOf(id);
        if (
          !peer?.wellSince(since) ||
          !peer.mayRelay ||
          !this.server.connects(node.id, id) ||
          owed.has(id) ||
          isEmpty({ ...peer.machine.place, line: peer.machine.line }) ||
          id === node.naming.deposed ||
          peer.machine.stale ||
          peer.machine.alone ||
          peer.machine.epoch > node.machine.epoch
        )
          continue;
        if (isProvisional(peer.machine) && node.machine.provisional === undefined) continue;
        owed.set(id, {
          r: peer.machine.place.r,
          e: epochAt(peer.machine.line, peer.machine.delivered),
          s: peer.machine.delivered,
        });
      }
    }
    for (const [id, at] of owed) {
      const on =
        at.r === 0 || (at.r === place.r && at.s <= place.s && epochAt(line, at.s) === at.e);
      if (on || at.r > place.r) continue;
      // Only entries that a page was handed in a later epoch excuse a loss of what another was handed before.
      const later = [...node.naming.answers.values()].some(
        ({ r, line: l, done, alone }) =>
          r === at.r && epochAt(l, done) > at.e && !(alone && hasWord),
      );
      const { stood, wasAlone } = node.naming;
      const stoodLater = stood.r === at.r && stood.e > at.e && !(wasAlone && hasWord);
      if (at.r !== place.r || !(later || stoodLater)) {
        this.#fail(
          "3 nothing delivered is lost",
          `host ${node.id} begins at ${show(place)} though ${id} had delivered up to ${show(at)}`,
        );
      }
    }
  }

  /**
   * Returns whether a sender whose history was given up no longer kept a message to send it again, because it had
   * sent too many since. How long ago that was, or whether the page was in halves, excuses nothing.
   */
  #beyondKeeping(sender: Node, message: string): boolean {
    const sends = this.#told.get(sender);
    const { outboxBytes = Infinity } = this.world.profile.settings;
    return sends !== undefined && sender.sent.bytes(message, sends) > outboxBytes;
  }

  /** Returns the messages of a history, as far as any node was handed them or sent them on. */
  #messagesOf({
    place,
    line,
  }: {
    readonly place: Place;
    readonly line: Line;
  }): ReadonlySet<string> {
    const messages = new Set<string>();
    for (let s = 1; s <= place.s; s++) {
      const key = this.#key(place.r, epochAt(line, s), s);
      const message = this.#message.get(key) ?? this.#sent.get(key);
      if (message !== undefined) messages.add(message);
    }
    return messages;
  }

  #fail(guarantee: string, detail: string): never {
    throw new Failure(guarantee, detail);
  }

  // --- at the end ---

  converged(nodes: readonly Node[]): boolean {
    const first = nodes[0];
    if (!first || !this.server.steady) return first === undefined;
    const { place } = first.machine;
    const stock = this.stock();
    const here = names([...stock, ...nodes.map((node) => node.id)]);
    return nodes.every((node) => {
      const { id, machine, online, app } = node;
      if ([...app.again].some((message) => node.sent.owes(message))) return false;
      const at = machine.place;
      return (
        online &&
        at.r !== 0 &&
        at.s === place.s &&
        at.e === place.e &&
        at.r === place.r &&
        machine.delivered === at.s &&
        machine.epoch === this.server.epoch &&
        machine.host === this.server.host &&
        machine.load.outbox === 0 &&
        names(machine.members) === here &&
        app.members.size === nodes.length + stock.length - 1 &&
        nodes.every((other) => other.id === id || app.members.get(other.id) === other.profile)
      );
    });
  }

  finish(nodes: readonly Node[]): void {
    const first = nodes[0];
    if (!first) return;
    if (!this.converged(nodes)) {
      const views = nodes.map(
        ({ id, machine, online, app }) =>
          `${id}${online ? "" : " offline"} host ${machine.host} epoch ${machine.epoch} ` +
          `at ${show(machine.place)} delivered ${machine.delivered} pending ${machine.load.outbox} ` +
          `sees ${names(machine.members)} told ${JSON.stringify([...app.members])}`,
      );
      this.#fail(
        "2 nothing is stuck",
        `not together after the quiet tail (server: ${this.server.host} ${this.server.epoch}, ` +
          `stock clients: ${this.stock().join(" ")})\n  ${views.join("\n  ")}`,
      );
    }
    for (const { by, host, root, older, at } of this.#overruled) {
      if (this.#isFromBeforeServer(root) || this.#marksKept.has(older)) {
        this.world.count("a provisional history is from before the server began again");
        continue;
      }
      const holder = nodes.find(({ id }) => id === by);
      // A member whose state takes longer than the host waits is passed over.
      if (
        this.world.profile.stateMs < 1000 &&
        first.machine.place.r === root &&
        holder?.wellSince(at) &&
        host.wellSince(at)
      ) {
        this.#fail(
          "8 provisional",
          `the provisional history ${root % 100_000} of ${host.id} is everybody's in the end, ` +
            `though ${by} came with one from before the server began, at ${at}`,
        );
      }
    }
    const whole = nodes.filter((node) => !node.app.partial);
    const model = whole[0];
    for (const node of whole) {
      if (model && node.app.hash !== model.app.hash) {
        this.#fail(
          "1 same order",
          `${node.id} and ${model.id} differ\n  ${node.app.list.join(" ")}\n  ${model.app.list.join(" ")}`,
        );
      }
    }
    const latest = nodes
      .flatMap(({ app }) => app.latest ?? [])
      .reduce((a, b) => (a && a.place.s >= b.place.s ? a : b), undefined as App["latest"]);
    for (const node of nodes) {
      if (latest && node.app.latest && !had(node, latest.message))
        this.#fail(
          "5 no gap, no overlap",
          `${node.id} was not handed ${latest.message} at ${show(latest.place)}, as others were, and not told`,
        );
    }
    for (const node of nodes) {
      node.touch.judge();
      node.conversations.finish();
    }
    const placed = this.#messagesOf(first.machine);
    for (const node of nodes) {
      const { id, app } = node;
      for (const message of app.again) {
        // A node alone that was handed it before neither hands it to its page nor sends it on.
        if (
          !placed.has(message) &&
          !node.sent.isCountedBy(node.machine, message) &&
          !app.accounted.has(message)
        )
          this.#fail(
            "7 lost is told",
            `${message}, which ${id} gave up and was to send again, is nowhere in the history`,
          );
      }
    }
    for (const sender of nodes) {
      if (!sender.touch.stayed) continue;
      for (const message of sender.sent.owed) {
        if (this.#beyondKeeping(sender, message)) continue;
        if (!placed.has(message) && !nodes.some(({ app }) => app.has.has(message)))
          this.#fail(
            "2 nothing lost",
            `${message} of ${sender.id}, who stayed, is nowhere in the history`,
          );
        for (const node of whole)
          if (!node.app.has.has(message))
            this.#fail(
              "2 nothing lost",
              `${message} of ${sender.id}, who stayed, is missing at ${node.id}`,
            );
      }
    }
  }
}

/** Returns whether the page was handed `message`, or a later one of the same sender and so never will be. */
function had({ app }: Node, message: string): boolean {
  const [sender, n] = origin(message);
  return n <= (app.last.get(sender) ?? 0);
}

function names(ids: string[]): string {
  return ids.sort().join(" ");
}
