// One browser: the machine under test, a shell as thin as the real one should be, and the page above.

import { CAN, Group, type Effect, type Event, type Notice, type Wire } from "../src/group/index.ts";
import type { Restore } from "../src/group/wire.ts";
import { epochAt, isEmpty } from "../src/group/history.ts";
import type { Lost, Place, Snapshot } from "../src/group/types.ts";
import { App, type AppState } from "./app.ts";
import { Channels } from "./channels.ts";
import { Connection } from "./connection.ts";
import { Conversations } from "./conversations.ts";
import { lie } from "./lies.ts";
import { Naming } from "./naming.ts";
import type { Observer } from "./observer.ts";
import type { Link } from "./p2p.ts";
import { Sent } from "./sent.ts";
import type { Server } from "./server.ts";
import { States, type Transmit } from "./states.ts";
import { describe, describeEvent } from "./story.ts";
import type { Tab } from "./tab.ts";
import { Touch } from "./touch.ts";
import { Failure, type World } from "./world.ts";

/** A browser's clock does not go by whole milliseconds. */
const FRACTION_MS = 0.3;

export class Node implements Tab {
  readonly machine: Group;
  readonly app = new App();
  readonly conversations: Conversations;
  readonly sent: Sent;
  readonly touch: Touch;
  readonly naming: Naming;
  readonly connection: Connection;
  readonly channels: Channels;
  readonly #states: States;
  readonly #observer: Observer;
  readonly #peerOf: (id: string) => Node | undefined;
  readonly #onNamed: (node: Node) => void;
  alive = true;
  frozen = false;
  profile: string;
  /** Whether the node's ticket allows the relay. */
  readonly mayRelay: boolean;
  /** Members that the page was told have left, in this step. */
  #left: string[] = [];
  /** Whether the history was provisional before the present step. */
  wasProvisional = false;
  /** Messages that the page had before the state that it is given in this step. */
  #had: readonly string[] | undefined;
  /** Losses that were told with that state. */
  #restoredFor: readonly Lost[] | undefined;
  /** Where the history begins that the node is restored to in this step. */
  #startsAt: Snapshot | undefined;
  /** Events that came while the page was frozen. */
  #backlog: Event[] = [];
  #wakeAt = Infinity;
  /** Whether the page gives the group's own state. */
  readonly #gives: boolean;
  /** Whether the machine was told that the page gives snapshots. */
  #saidGives = false;
  /** Longest delay of this tab's timers, in ms. */
  readonly #lazyMs: number;

  constructor(
    readonly id: string,
    readonly world: World,
    server: Server,
    observer: Observer,
    peerOf: (id: string) => Node | undefined,
    onNamed: (node: Node) => void,
  ) {
    const { random, profile } = world;
    this.#observer = observer;
    this.#peerOf = peerOf;
    this.#onNamed = onNamed;
    this.profile = `${id}, at first`;
    this.mayRelay = !(profile.rights && profile.p2p && random.chance(0.35));
    this.#lazyMs = random.chance(0.15) ? 900 : random.chance(0.3) ? 50 : 0;
    this.conversations = new Conversations(id, world, this.app);
    const machine = new Group(id, profile.settings, this.conversations.able ? CAN : []);
    this.machine = machine;
    this.sent = new Sent(id, world, machine);
    this.naming = new Naming(this);
    this.touch = new Touch(this, {
      online: () => this.online,
      isCut: () => this.connection.reallyCut,
      isConfirmed: () => server.confirms(id, machine.epoch),
      namedAt: () => this.naming.at,
      isTakingOver: () => this.naming.isTakingOver,
    });
    this.connection = new Connection(this, server, this.mayRelay, {
      profile: () => this.profile,
      opened: () => {
        this.touch.trouble();
        this.channels.forgetReport();
      },
      settled: () => this.channels.report(),
      gone: (member) => this.channels.hangUp(member),
      relayed: (from, message) => this.#receive(from, "relay", message),
      proved: () => this.touch.proved(),
    });
    this.channels = new Channels(this, {
      online: () => this.online,
      signals: () => this.online && !this.connection.reallyCut,
      reaches: (peer) => server.connects(id, peer),
      mayDial: () => this.connection.mayDial,
      deputy: () => this.connection.deputy,
      peerOf: (peer) => peerOf(peer)?.channels,
      report: (channels) => this.connection.status({ channels }),
      received: (from, message) => this.#receive(from, "p2p", message),
      closed: () => this.touch.trouble(),
    });
    this.#states = new States(this, this.connection, this.channels, {
      peerOf,
      send: (effect) => this.#send(effect),
    });
    this.#gives = gives(id, world);
    this.#sayGives(true);
    this.feed({ type: "profile", profile: this.profile });
    this.connection.connect();
    this.channels.keep();
  }

  /** Whether the library can nothing beyond the protocol. */
  get lacks(): boolean {
    return !this.conversations.able;
  }

  /** Whether the server has let the node in. */
  get online(): boolean {
    return this.connection.online;
  }

  get links(): readonly Link[] {
    return this.channels.links;
  }

  /** Returns whether the node could be talked to all the while. */
  wellSince(since: number): boolean {
    return (
      this.alive &&
      this.touch.troubledUntil < since &&
      !this.frozen &&
      this.online &&
      !this.connection.reallyCut &&
      this.links.every((link) => !link.blocked && link.blockedUntil < since)
    );
  }

  /** Returns whether the entry at `place` is in the log, not trimmed. */
  keeps({ r, e, s }: Place): boolean {
    const { place, line, load } = this.machine;
    return (
      this.alive &&
      r === place.r &&
      s <= place.s &&
      s > place.s - load.entries &&
      epochAt(line, s) === e
    );
  }

  // --- the machine ---

  feed(event: Event): void {
    if (!this.alive) return;
    if (this.frozen) {
      if (event.type !== "timer") this.#backlog.push(event);
      return;
    }
    const { machine, world, touch } = this;
    const before = machine.place;
    const { line, delivered } = machine;
    const stood = (): Place => ({ r: before.r, e: epochAt(line, delivered), s: delivered });
    const old = event.type === "received" && (event.message as Wire).e < machine.epoch;
    if (world.trace && event.type !== "timer") world.say(this.id, () => describeEvent(event));
    touch.runs();
    this.wasProvisional = (machine.provisional ?? 0) > 0;
    this.#startsAt =
      event.type === "received" && (event.message as Wire).t === "restore"
        ? (event.message as Restore).snap
        : undefined;
    this.#learn(event);
    for (const effect of machine.handle(event, world.now + FRACTION_MS))
      this.#perform(effect, stood);
    for (const id of this.#left.splice(0)) this.#observer.directs.left(this, id);
    touch.advanced = machine.place.s > before.s;
    this.#observer.stepped(this, before, old);
    if (machine.host === this.id) touch.judge();
    this.#wake();
  }

  #wake(): void {
    const { clock, random, now } = this.world;
    const at = this.machine.nextDeadline();
    if (at >= this.#wakeAt || at === Infinity) return;
    const due = Math.max(at, now) + (this.#lazyMs > 0 ? random.int(0, this.#lazyMs) : 0);
    this.#wakeAt = due;
    clock.at(due, () => {
      if (this.#wakeAt !== due) return;
      this.#wakeAt = Infinity;
      this.feed({ type: "timer" });
    });
  }

  /** Takes note of what the checks need to know of an event, before the machine handles it. */
  #learn(event: Event): void {
    if (event.type === "received") this.#compare(event.from, event.message as Wire);
    const learned = this.naming.learn(event);
    if (learned !== "nothing") this.#states.clear();
    if (learned === "named") this.#onNamed(this);
  }

  /** Notes that a host with a provisional history hears of one from before the server began. */
  #compare(from: string, message: Wire): void {
    const { machine } = this;
    if (message.t !== "at" || message.e !== machine.epoch) return;
    this.#observer.marked(message.at);
    if (machine.host !== this.id || !this.wasProvisional) return;
    if (
      !isEmpty(message.at) &&
      message.at.provisional === undefined &&
      message.at.r !== machine.place.r &&
      !this.#observer.isLater(message.at, machine.place)
    )
      this.#observer.overrules(from, this, machine.place.r, message.at.r);
  }

  #receive(from: string, via: "relay" | "p2p", message: Wire): void {
    this.naming.note(from, message);
    this.feed({ type: "received", from, via, message });
    this.touch.heard(from, message);
  }

  // --- what the machine wants ---

  #perform(effect: Effect, stood: () => Place): void {
    const { world, connection } = this;
    if (effect.type === "transmit" || effect.type === "fanout") this.#passes(effect.message);
    switch (effect.type) {
      case "transmit":
        this.#transmit(effect);
        break;
      case "fanout":
        world.say(this.id, () => `-> all ${describe(effect.message)}`);
        connection.send("RELAY", effect.message);
        break;
      case "deliver":
        world.say(
          this.id,
          () => `delivers ${String(effect.data)} at ${effect.seq}@${effect.epoch % 100_000}`,
        );
        this.#observer.delivered(this, effect.data as string, {
          r: this.machine.place.r,
          e: effect.epoch,
          s: effect.seq,
        });
        this.conversations.take(effect);
        this.#sayGives(false);
        break;
      case "settle":
        this.#settle(effect.token, effect.error);
        break;
      case "askSnapshot":
        this.#snapshot(effect.token);
        break;
      case "restore":
        world.say(this.id, () => `restored to ${(effect.state as AppState).list.length} messages`);
        this.#had = this.app.list;
        this.#restoredFor = effect.about.lost;
        this.app.restore(effect.state as AppState);
        this.conversations.restore(effect.parts, effect.about.reason);
        this.#sayGives(false);
        break;
      case "direct":
      case "request":
        this.#observer.directs.handed(this, effect);
        break;
      case "settleDirect":
      case "answered":
        this.#observer.directs.settled(this, effect);
        break;
      case "requestEnded":
        world.count("direct: a handler is told that nobody waits");
        break;
      case "suspect":
      case "trust":
        world.count(effect.type === "trust" ? "trust: a suspicion ends" : "suspect");
        connection.send(effect.type.toUpperCase(), { host: effect.host, epoch: effect.epoch });
        break;
      case "resign":
        connection.send("RESIGN", { epoch: effect.epoch, to: effect.to });
        break;
      case "relayWanted":
        connection.wantRelay(effect.wanted);
        break;
      case "prove":
        world.count("host: asks the server whether it still is");
        connection.prove(effect.epoch);
        break;
      case "check":
        connection.check();
        break;
      case "redial":
        world.count("redial to claim a later epoch");
        connection.redial();
        break;
      case "disbelieved":
        throw new Failure(
          "clocks",
          `${this.id}'s claim is not believed, ${effect.behindMs} ms above the server's word`,
        );
      case "unlink":
        this.channels.hangUp(effect.id);
        break;
      case "notice":
        this.#noticed(effect.notice, stood);
        break;
    }
  }

  #passes(message: Wire): void {
    if (message.t === "beat") this.touch.beat(message.k);
    else if (message.t === "data" || message.t === "fill") this.#observer.sent(message);
  }

  #transmit(effect: Transmit): void {
    const { to, via, message } = effect;
    const { world } = this;
    world.sent(message.t);
    world.say(this.id, () => `-> ${to} ${via} ${describe(message)}`);
    const hasState = (message.t === "restore" || message.t === "snap") && message.snap?.has;
    if (hasState && world.profile.stateMs > 0) this.#states.send(effect);
    else this.#send(effect);
  }

  #send({ to, via, message }: Transmit): void {
    if (via === "p2p") this.channels.send(to, message);
    else this.connection.send("RELAY", message, to);
  }

  #settle(token: number, error: string | undefined): void {
    const { world } = this;
    const { message, at } = this.sent.settle(token, error);
    if (error === undefined) return this.#observer.resolved(this, message);
    world.count(`rejected ${error}`);
    world.say(this.id, () => `${message} rejected ${error}`);
    this.#observer.rejected(message, error);
    this.touch.judge();
    if (error === "Uncertain" && this.touch.longAwayAt < at) {
      throw new Failure(
        "6 uncertain",
        `${this.id} gives up ${message}, never away so long since it was sent at ${at}`,
      );
    }
  }

  #snapshot(token: number): void {
    const { random, clock, quiet } = this.world;
    const fails = !quiet && random.chance(0.03);
    // Read when it is given, not when it is asked: nothing may be delivered in between.
    const answer = (): void => {
      const state = this.app.snapshot();
      const parts = fails ? undefined : this.conversations.parts();
      const size = state.list.length * 8;
      if (parts) this.feed({ type: "snapshot", token, given: true, state, ...parts, size });
      else this.feed({ type: "snapshot", token, given: false, size });
    };
    if (fails && random.chance(0.3)) return;
    clock.after(random.chance(0.5) ? 0 : random.int(0, 60), answer);
  }

  /** Tells the machine whether the page gives snapshots, later: it may be in the middle of a step. */
  #sayGives(first: boolean): void {
    const able = this.#gives && this.conversations.gives;
    if (!first && able === this.#saidGives) return;
    this.#saidGives = able;
    const feed = (): void => this.feed({ type: "snapshots", able });
    if (first) feed();
    else this.world.clock.after(0, feed);
  }

  #noticed(notice: Notice, stood: () => Place): void {
    this.world.say(this.id, () => `* ${JSON.stringify(notice)}`);
    if (notice.kind === "member" && notice.change === "leave") this.#left.push(notice.id);
    if (notice.kind === "member" || notice.kind === "profile") this.#observer.member(this, notice);
    else if (notice.kind === "recovered") this.#recovered(notice, stood());
    else if (notice.kind === "host" && notice.isHost) {
      this.naming.isTakingOver = false;
      this.#observer.took(this);
    } else if (notice.kind === "status") this.world.count(`status ${notice.state}`);
  }

  /** The page was out of date. `stood`: where it stood before this step. */
  #recovered(notice: Extract<Notice, { kind: "recovered" }>, stood: Place): void {
    const { world, app, machine } = this;
    world.count(
      `recovered ${notice.via} ${notice.complete ? "complete" : "incomplete"}${stood.r === 0 ? " (joiner)" : ""}`,
    );
    if (this.#restoredFor !== undefined && this.#restoredFor !== notice.lost)
      throw new Failure(
        "7 lost is told",
        `${this.id} is told of other losses with its state than with \`recovered\``,
      );
    this.#observer.lost(this, this.#had, this.#startsAt, notice);
    this.#had = this.#restoredFor = undefined;
    if (notice.complete) return;
    if (notice.via !== "snapshot") this.conversations.incomplete();
    this.#observer.incomplete(this, stood, notice);
    app.latest = undefined;
    if (notice.via === "snapshot") return;
    // A history that the node founds itself is whole; any other lacks what was before.
    const founds = machine.host === this.id && machine.place.r === machine.epoch;
    if (app.list.length > 0 || !founds) app.partial = true;
    app.seq = -1;
  }

  // --- the page ---

  /** The page sends its next message. */
  send(): void {
    if (!this.alive || this.frozen) return;
    this.sent.send((token, data, size) => this.feed({ type: "send", token, data, size }));
  }

  /** The page sends to one member, of these or of those it knows. */
  sendTo(others: readonly string[]): void {
    if (!this.lacks) this.#observer.directs.send(this, others);
  }

  rename(profile: string): void {
    if (this.frozen) return;
    this.profile = profile;
    this.feed({ type: "profile", profile });
    this.connection.status({ profile });
  }

  // --- faults ---

  dropSocket(clientMs: number, serverMs: number): void {
    this.connection.drop(clientMs, serverMs);
  }

  crash(serverMs: number): void {
    this.alive = false;
    this.connection.crash(serverMs);
    this.channels.end();
  }

  leave(): void {
    this.feed({ type: "leave" });
    this.alive = false;
    this.connection.leave();
    this.channels.end();
  }

  /** The page runs something else, too, which says to these in its name what is not so. */
  lie(ids: readonly string[]): void {
    if (!this.alive || this.frozen) return;
    for (const to of ids) {
      const message = lie(this.world.random, this.machine.place, ids);
      this.world.say(this.id, () => `lies to ${to}: ${describe(message)}`);
      this.connection.send("RELAY", message, to);
      this.channels.send(to, message);
    }
  }

  freeze(): void {
    this.touch.freeze();
    this.frozen = true;
  }

  /** The page runs again. Everything that came meanwhile comes now. */
  thaw(): void {
    this.touch.judge();
    this.frozen = false;
    this.touch.trouble();
    this.connection.thawed();
    const backlog = this.#mixed();
    this.#backlog = [];
    for (const event of backlog) this.feed(event);
    this.#wakeAt = Infinity;
    this.feed({ type: "timer" });
  }

  /** Returns the backlog. The WebSocket and the data channels are two queues of the browser's, each in its order. */
  #mixed(): Event[] {
    const { random } = this.world;
    const near = (event: Event): boolean =>
      event.type === "link" ||
      ((event.type === "heard" || event.type === "received") && event.via === "p2p");
    const channels = this.#backlog.filter(near);
    const socket = this.#backlog.filter((event) => !near(event));
    const share = random.pick([0, 0.1, 0.5, 0.9, 1]);
    const all: Event[] = [];
    while (channels.length > 0 || socket.length > 0) {
      const isNear = socket.length === 0 || (channels.length > 0 && random.unit() < share);
      all.push((isNear ? channels : socket).shift() as Event);
    }
    return all;
  }

  peerOf(id: string): Node | undefined {
    return this.#peerOf(id);
  }
}

/** Returns whether the page of this member gives snapshots. */
function gives(id: string, { profile, random }: World): boolean {
  switch (profile.givers) {
    case "all":
      return true;
    case "some":
      return random.chance(0.5);
    case "first":
      return id === "a";
    case "none":
      return false;
  }
}
