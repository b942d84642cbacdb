// One browser: the machine under test, a shell as thin as the real one should be, and the page above.

import { deputyIn, entryIn, hostIn, isLost, openIn } from "../src/payload.ts";
import { isTerminal, type ServerMessage } from "../src/socket.ts";
import { Group, type Effect, type Event, type Notice, type Wire } from "../src/group/index.ts";
import type { Restore } from "../src/group/wire.ts";
import { epochAt, isEmpty, lies } from "../src/group/history.ts";
import type { Lost, Place, Snapshot, Standing } from "../src/group/types.ts";
import { App, origin, type AppState } from "./app.ts";
import { lie } from "./lies.ts";
import { show, type Observer } from "./observer.ts";
import { Link, type End } from "./p2p.ts";
import type { Server } from "./server.ts";
import { Socket } from "./socket.ts";
import { Failure, type World } from "./world.ts";

type Transmit = Extract<Effect, { type: "transmit" }>;

const DIAL_MS = 400;
const SILENT_LINK_MS = 6000;
/** Interval of pings, and how long the channel to a former host is kept, both as in src/channels.ts. */
const PING_MS = 1000;
const KEEP_MS = 30_000;
/** A socket that does not answer a HEARTBEAT by then is dead. */
const CHECK_MS = 2500;
/** A browser's clock does not go by whole milliseconds. */
const FRACTION_MS = 0.3;
/** How long after a socket was lost the next is dialled (backoffMs of src/socket.ts), with a most that fits the page's RECOVERY_MS. */
const BACKOFF_MS = 150;
const BACKOFF_MOST_MS = 2500;
/** Pieces of a long message are told of so often. */
const PIECES_MS = 500;
/** A timer rang so late: as far as a host can tell it was frozen. */
const PAUSED_MS = 250;
/** After a freeze, and when it is named, a host must hear the server before it counts as in step: so long may that take. */
const HEARD_MS = 1000;

export class Node implements End {
  readonly machine: Group;
  readonly app = new App();
  alive = true;
  frozen = false;
  online = false;
  /** Was never out of touch for as long as `resumeMs`. */
  stayed = true;
  /** Its socket is dead and it does not know. */
  reallyCut = false;
  /** Until then the server is out of its reach. */
  barredUntil = 0;
  /** Until then its browser does not dial. */
  heldUntil = 0;
  /** Where its page stood when it was named host. */
  stood: Place = { r: 0, e: 0, s: 0 };
  /** The host before it, where that is not waited for. */
  deposed: string | undefined;
  /** Whom the server told it of, as a host. */
  readonly known = new Set<string>();
  /** Where those stood who answered the present take-over. */
  readonly answers = new Map<string, Standing>();
  /** When it was named host. */
  takingSince = 0;
  /** Until when it could not be talked to, or not well. */
  troubledUntil = -1;
  /** When it last heard one it shares its log with while the server was there. */
  servedAt = -Infinity;
  /** Its history was provisional before the present step. */
  wasProvisional = false;
  /** When what it sent came back. */
  readonly resolvedAt = new Map<string, number>();
  /** Sent, and not given back with an error. */
  readonly owed = new Set<string>();
  readonly #sizes: number[] = [];
  /** The machine's own count of each message that it took. */
  readonly #counts = new Map<string, number>();
  /** Messages that it did not take. */
  readonly #refused = new Set<string>();
  readonly #sentAt: number[] = [];
  #longAwayAt = -1;
  /** Its last beat, and the last before it was frozen or may have been: who answers that says nothing of now. */
  #beats = 0;
  #beatsAsleep = 0;
  /** As far as it can tell it may have been frozen, and the server has not answered since. */
  #paused = false;
  /** What its page had before the state that it is being given in this step, and what was lost by that as told with the state. */
  #had: readonly string[] | undefined;
  #restoredFor: readonly Lost[] | undefined;
  /** Where the history begins that it is restored to in this step. */
  #startsAt: Snapshot | undefined;
  profile: string;
  /** By its ticket. */
  readonly mayRelay: boolean;
  readonly #tokens = new Map<number, string>();
  readonly #links = new Map<string, Link>();
  #socket: Socket | undefined;
  /** Tokens of the HEARTBEATs that the server has yet to answer on this socket. */
  #proofs: number[] = [];
  #relayWanted = true;
  #visible = true;
  /** The server is yet to be told of its status: it was frozen when it was let in. */
  #owesStatus = false;
  /** The server says that it is to dial the host. */
  #mayDial = false;
  #token = 0;
  #backlog: Event[] = [];
  #wakeAt = Infinity;
  #heardAt: number;
  /** When it last did something. */
  #ranAt = 0;
  readonly #dialing = new Set<string>();
  /** The member that the server named deputy. */
  #deputy: string | undefined;
  /** When each former target stopped being one. */
  readonly #formerSince = new Map<string, number>();
  /** The channels that the server was last told of, as JSON. */
  #reached = "";
  /** Dials in a row. */
  #attempt = 0;
  /** States that are to go out, one after another: the first is on its way. */
  #states: (() => void)[] = [];
  /** To whom. */
  readonly #stateTo = new Set<string>();
  /** How late this tab's timers ring. */
  readonly #lazyMs: number;
  #taking = false;
  /** The last step took entries. */
  #advanced = false;

  constructor(
    readonly id: string,
    readonly world: World,
    readonly server: Server,
    readonly observer: Observer,
    readonly peerOf: (id: string) => Node | undefined,
    readonly onTaking: (node: Node) => void,
  ) {
    this.machine = new Group(id, world.profile.settings);
    this.profile = `${id}, at first`;
    this.mayRelay = !(world.profile.rights && world.profile.p2p && world.random.chance(0.35));
    this.#heardAt = world.now;
    this.#lazyMs = world.random.chance(0.15) ? 900 : world.random.chance(0.3) ? 50 : 0;
    this.feed({ type: "snapshots", able: gives(id, world) });
    this.feed({ type: "profile", profile: this.profile });
    this.connect();
    this.#keepDialing();
  }

  rename(profile: string): void {
    if (this.frozen) return;
    this.profile = profile;
    this.feed({ type: "profile", profile });
    this.#status({ profile });
  }

  /** Its page is hidden for so long. */
  hide(ms: number): void {
    if (this.frozen || !this.#visible) return;
    this.#visible = false;
    this.#status({ visible: false });
    this.world.clock.after(ms, () => this.show());
  }

  show(): void {
    if (this.#visible || !this.alive) return;
    this.#visible = true;
    if (!this.frozen) this.#status({ visible: true });
    else this.#owesStatus = true;
  }

  #status(status: Readonly<Record<string, unknown>>): void {
    this.#say("STATUS", status);
  }

  /** Sends a message to the server; returns false where the server has not let it in yet. */
  #say(type: string, payload?: unknown, dst?: string): boolean {
    if (!this.online || !this.#socket?.clientOpen) return false;
    this.#socket.send(type, payload, dst);
    return true;
  }

  /** Could be talked to all the while. */
  wellSince(since: number): boolean {
    return (
      this.alive &&
      this.troubledUntil < since &&
      !this.frozen &&
      this.online &&
      !this.reallyCut &&
      [...this.#links.values()].every((link) => !link.blocked && link.blockedUntil < since)
    );
  }

  // --- the machine ---

  feed(event: Event): void {
    if (!this.alive) return;
    if (this.frozen) {
      if (event.type !== "timer") this.#backlog.push(event);
      return;
    }
    const { machine, world, observer } = this;
    const before = machine.place;
    const { line, delivered } = machine;
    const stood = (): Place => ({ r: before.r, e: epochAt(line, delivered), s: delivered });
    const old = event.type === "received" && (event.message as Wire).e < machine.epoch;
    if (world.trace) this.#traceEvent(event);
    if (world.now - machine.nextDeadline() > PAUSED_MS) {
      this.#beatsAsleep = this.#beats;
      this.#paused = true;
    }
    this.#ranAt = world.now;
    this.wasProvisional = (machine.provisional ?? 0) > 0;
    this.#startsAt =
      event.type === "received" && (event.message as Wire).t === "restore"
        ? (event.message as Restore).snap
        : undefined;
    this.#learn(event);
    for (const effect of machine.handle(event, world.now + FRACTION_MS))
      this.#perform(effect, stood);
    this.#advanced = machine.place.s > before.s;
    observer.stepped(this, before, old);
    if (machine.host === this.id) this.judge();
    this.#wake();
  }

  #wake(): void {
    const at = this.machine.nextDeadline();
    if (at >= this.#wakeAt || at === Infinity) return;
    const due =
      Math.max(at, this.world.now) +
      (this.#lazyMs > 0 ? this.world.random.int(0, this.#lazyMs) : 0);
    this.#wakeAt = due;
    this.world.clock.at(due, () => {
      if (this.#wakeAt !== due) return;
      this.#wakeAt = Infinity;
      this.feed({ type: "timer" });
    });
  }

  #perform(effect: Effect, stood: () => Place): void {
    const { world } = this;
    if (effect.type === "transmit" || effect.type === "fanout") {
      const { message } = effect;
      if (message.t === "beat") this.#beats = message.k;
      else if (message.t === "data" || message.t === "fill") this.observer.sent(message);
    }
    switch (effect.type) {
      case "transmit": {
        world.sent(effect.message.t);
        world.say(this.id, () => `-> ${effect.to} ${effect.via} ${tell(effect.message)}`);
        const { t } = effect.message;
        if (
          (t === "restore" || t === "snap") &&
          effect.message.snap?.has &&
          world.profile.stateMs > 0
        )
          this.#sendState(effect);
        else this.#send(effect);
        break;
      }
      case "fanout":
        world.say(this.id, () => `-> all ${tell(effect.message)}`);
        this.#say("RELAY", effect.message);
        break;
      case "deliver": {
        const { r } = this.machine.place;
        world.say(
          this.id,
          () => `delivers ${String(effect.data)} at ${effect.seq}@${effect.epoch % 100_000}`,
        );
        this.observer.delivered(this, effect.data as string, { r, e: effect.epoch, s: effect.seq });
        break;
      }
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
        break;
      case "suspect":
      case "trust":
        world.count(effect.type === "trust" ? "trust: a suspicion ends" : "suspect");
        this.#say(effect.type.toUpperCase(), { host: effect.host, epoch: effect.epoch });
        break;
      case "resign":
        this.#say("RESIGN", { epoch: effect.epoch, to: effect.to });
        break;
      case "relayWanted":
        this.#relayWanted = effect.wanted;
        this.#status({ relay: effect.wanted });
        break;
      case "prove":
        world.count("host: asks the server whether it still is");
        if (this.#say("HEARTBEAT")) this.#proofs.push(effect.token);
        break;
      case "check":
        this.#check();
        break;
      case "redial":
        world.count("redial to claim a later epoch");
        this.#socket?.die(0, 0);
        break;
      case "disbelieved":
        throw new Failure(
          "clocks",
          `${this.id}'s claim is not believed, ${effect.behindMs} ms above the server's word`,
        );
      case "unlink":
        this.#hangUp(effect.id);
        break;
      case "notice":
        this.#noticed(effect.notice, stood);
        break;
    }
  }

  #send({ to, via, message }: Transmit): void {
    if (via === "p2p") this.#links.get(to)?.send(this.id, message);
    else this.#say("RELAY", message, to);
  }

  /** Each in its time; one to each is enough, and another host ends them all. Other messages pass between their pieces. */
  #sendState(effect: Transmit): void {
    const { to, via } = effect;
    const { clock, profile } = this.world;
    if (this.#stateTo.has(to)) return;
    this.#stateTo.add(to);
    const link = this.#links.get(to);
    const socket = this.#socket;
    const states = this.#states;
    const open = (): boolean =>
      this.alive &&
      states === this.#states &&
      (via === "p2p"
        ? link !== undefined && this.#links.get(to) === link && !link.dead && !link.blocked
        : socket === this.#socket && socket?.clientOpen === true && !socket.cut);
    const go = (): void => {
      for (let ms = 100; ms < profile.stateMs; ms += PIECES_MS) {
        clock.after(ms, () => {
          if (open()) this.peerOf(to)?.feed({ type: "heard", from: this.id, via });
        });
      }
      clock.after(open() ? profile.stateMs : 0, () => {
        if (open()) this.#send(effect);
        if (states !== this.#states) return;
        this.#stateTo.delete(to);
        states.shift();
        states[0]?.();
      });
    };
    if (states.push(go) === 1) go();
  }

  #settle(token: number, error: string | undefined): void {
    const message = this.#tokens.get(token) as string;
    this.#tokens.delete(token);
    if (error === undefined) {
      this.resolvedAt.set(message, this.world.now);
      return this.observer.resolved(this, message);
    }
    this.world.count(`rejected ${error}`);
    this.world.say(this.id, () => `${message} rejected ${error}`);
    this.owed.delete(message);
    if (error !== "Uncertain") this.#refused.add(message);
    this.observer.rejected(message, error);
    this.judge();
    const sentAt = this.#sentAt[token - 1] as number;
    if (error === "Uncertain" && this.#longAwayAt < sentAt) {
      throw new Failure(
        "6 uncertain",
        `${this.id} gives up ${message}, never away so long since it was sent at ${sentAt}`,
      );
    }
  }

  #snapshot(token: number): void {
    const { random, clock } = this.world;
    const fails = !this.world.quiet && random.chance(0.03);
    // Read when it is given, not when it is asked: nothing may be delivered in between.
    const answer = (): void => {
      const state = this.app.snapshot();
      this.feed({
        type: "snapshot",
        token,
        given: !fails,
        state: fails ? undefined : state,
        size: state.list.length * 8,
      });
    };
    if (fails && random.chance(0.3)) return;
    clock.after(random.chance(0.5) ? 0 : random.int(0, 60), answer);
  }

  #noticed(notice: Notice, stoodAt: () => Place): void {
    const { world, app } = this;
    world.say(this.id, () => `* ${JSON.stringify(notice)}`);
    if (notice.kind === "member" || notice.kind === "profile") this.observer.member(this, notice);
    else if (notice.kind === "recovered") {
      const stood = stoodAt();
      world.count(
        `recovered ${notice.via} ${notice.complete ? "complete" : "incomplete"}${stood.r === 0 ? " (joiner)" : ""}`,
      );
      if (this.#restoredFor !== undefined && this.#restoredFor !== notice.lost)
        throw new Failure(
          "7 lost is told",
          `${this.id} is told of other losses with its state than with \`recovered\``,
        );
      this.observer.lost(this, this.#had, this.#startsAt, notice);
      this.#had = this.#restoredFor = undefined;
      if (!notice.complete) {
        this.observer.incomplete(this, stood, notice);
        app.latest = undefined;
      }
      if (notice.via !== "snapshot" && !notice.complete) {
        // Founding a history of one's own is whole; all others lack what was before.
        if (
          app.list.length > 0 ||
          this.machine.host !== this.id ||
          this.machine.place.r !== this.machine.epoch
        )
          app.partial = true;
        app.seq = -1;
      }
    } else if (notice.kind === "host" && notice.isHost) {
      this.#taking = false;
      this.observer.took(this);
    } else if (notice.kind === "status") world.count(`status ${notice.state}`);
  }

  // --- the page ---

  send(): void {
    if (!this.alive || this.frozen) return;
    const token = ++this.#token;
    const message = `${this.id}#${token}`;
    this.#tokens.set(token, message);
    this.owed.add(message);
    const size = this.world.random.int(8, this.world.random.chance(0.02) ? 120 : 60);
    this.#sizes.push(size);
    this.#sentAt.push(this.world.now);
    this.feed({ type: "send", token, data: message, size });
    if (!this.#refused.has(message)) this.#counts.set(message, this.#counts.size + 1);
  }

  /** The history that `other` follows has this message of this node's page, by its table. */
  isCountedBy(other: Node, message: string): boolean {
    return other.machine.holds(this.id, this.#counts.get(message) ?? 0);
  }

  /** Its library has this message of its own page to send, to send again, or to tell as lost. */
  owes(message: string): boolean {
    return this.machine.owes(this.#counts.get(message) ?? 0);
  }

  /** Is this entry in its log, not trimmed? */
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

  /** So many messages has its page sent. */
  get sends(): number {
    return this.#token;
  }

  /** From this message to its `last`. */
  bytesSent(message: string, last: number): number {
    const [, n] = origin(message);
    return this.#sizes.slice(n - 1, last).reduce((sum, size) => sum + size, 0);
  }

  // --- the server ---

  connect(): void {
    if (!this.alive) return;
    if (this.world.now < this.heldUntil)
      return this.world.clock.at(this.heldUntil, () => this.connect());
    const { world, server, machine, id } = this;
    const socket = new Socket(world, id);
    this.#socket = socket;
    socket.onDown = (message) => this.#fromServer(socket, message);
    socket.onClientClose = (code) => this.#closed(socket, code);
    const claim = machine.host !== undefined ? { epoch: machine.epoch, host: machine.host } : null;
    world.clock.after(world.latency(), () => {
      if (world.now < this.barredUntil) socket.closeClient();
      else if (socket.clientOpen && this.alive)
        server.connect({ id, token: `${id}'s`, group: 1, relay: this.mayRelay, claim }, socket);
    });
  }

  /** As the shell does: a socket that does not answer is dropped, one that is gone is dialled now. */
  #check(): void {
    const socket = this.#socket;
    this.world.count("others know of a later epoch");
    if (socket?.cut && socket.clientOpen)
      this.world.clock.after(CHECK_MS, () => socket.closeClient());
    else if (socket && !socket.clientOpen && this.world.now >= this.heldUntil) this.connect();
  }

  #closed(socket: Socket, code: number): void {
    if (this.#socket !== socket || !this.alive) return;
    if (isTerminal(code)) throw new Failure("let in", `${this.id} is closed for good with ${code}`);
    this.reallyCut = false;
    if (this.online) this.world.say(this.id, () => "socket closed");
    const was = this.online;
    this.online = false;
    if (was) this.feed({ type: "offline" });
    if (this.frozen) return void this.world.clock.after(300, () => this.#closed(socket, code));
    const wait =
      Math.min(BACKOFF_MOST_MS, BACKOFF_MS * 1.6 ** this.#attempt++) *
      (0.5 + this.world.random.unit() / 2);
    this.world.clock.after(wait, () => {
      if (this.#socket === socket) this.connect();
    });
  }

  #fromServer(socket: Socket, { type, src, payload }: ServerMessage): void {
    if (this.#socket !== socket || !this.alive) return;
    switch (type) {
      case "OPEN":
        this.#opened(payload);
        break;
      case "HOST": {
        const host = hostIn(payload);
        if (!host) throw new Failure("messages", `HOST cannot be read: ${JSON.stringify(payload)}`);
        this.#mayDial = (payload as { p2p?: unknown }).p2p !== false;
        this.#deputy = deputyIn(payload);
        this.feed({ type: "host", host: this.#inStep(host) });
        break;
      }
      case "DEPUTY":
        this.#deputy = deputyIn(payload);
        break;
      case "JOIN": {
        const member = entryIn(payload);
        if (!member)
          throw new Failure("messages", `JOIN cannot be read: ${JSON.stringify(payload)}`);
        this.feed({ type: "joined", member });
        break;
      }
      case "LEAVE":
        if (src === undefined) break;
        if (!isLost(payload)) this.#hangUp(src);
        this.feed({ type: "left", id: src });
        break;
      case "RELAY": {
        if (src === undefined) break;
        const message = payload as Wire;
        this.#note(src, message);
        this.feed({ type: "received", from: src, via: "relay", message });
        this.#heard(src, message);
        break;
      }
      case "HEARTBEAT": {
        const token = this.#proofs.shift();
        if (token !== undefined) this.feed({ type: "proved", token });
        this.#paused = this.frozen;
        break;
      }
      case "PROBE":
        if (!this.frozen) socket.send("PROBE");
        break;
    }
  }

  #opened(payload: unknown): void {
    const opened = openIn(payload);
    if (!opened) throw new Failure("messages", `OPEN cannot be read: ${JSON.stringify(payload)}`);
    this.online = true;
    this.#proofs = [];
    this.#attempt = 0;
    this.troubledUntil = this.world.now;
    this.#mayDial = opened.p2p;
    this.#deputy = deputyIn(payload);
    if (this.frozen) this.#owesStatus = true;
    else this.#sayStatus();
    this.#reached = "";
    this.feed({ type: "open", open: this.#inStep(opened.open) });
    this.#tellReached();
  }

  /** A status is a session's word: all of it is said to each. */
  #sayStatus(): void {
    this.#owesStatus = false;
    this.#status({
      visible: this.#visible,
      relay: this.#relayWanted,
      ...(this.world.profile.p2p ? {} : { p2p: false }),
      profile: this.profile,
    });
  }

  /** The server's durations in the simulation's time. */
  #inStep<T extends { readonly fairMs?: number; readonly upMs?: number }>(told: T): T {
    const { pace } = this.world;
    const { fairMs, upMs } = told;
    return {
      ...told,
      ...(fairMs === undefined ? {} : { fairMs: fairMs / pace }),
      ...(upMs === undefined ? {} : { upMs: upMs / pace }),
    };
  }

  /** What the machine is told of the others, when it is. */
  #learn(event: Event): void {
    if (event.type === "received") this.#hears(event.from, event.message as Wire);
    if (event.type === "joined") this.known.add(event.member.id);
    else if (event.type === "left") this.known.delete(event.id);
    const told =
      event.type === "open" ? event.open : event.type === "host" ? event.host : undefined;
    if (!told) return;
    const news = told.epoch > this.machine.epoch;
    if (news) {
      this.#taking = told.host === this.id;
      this.#states = [];
      this.#stateTo.clear();
    }
    if (told.host !== this.id) return;
    this.known.clear();
    for (const { id } of told.roster ?? []) if (id !== this.id) this.known.add(id);
    if (!news) return;
    const { place, line, delivered } = this.machine;
    this.stood = { r: place.r, e: epochAt(line, delivered), s: delivered };
    this.deposed =
      event.type === "host" && ["stalled", "unreachable"].includes(event.host.cause)
        ? this.machine.host
        : undefined;
    this.answers.clear();
    this.takingSince = this.world.now;
    this.onTaking(this);
  }

  /** As a host with a provisional history, of one from before the server began. */
  #hears(from: string, message: Wire): void {
    const { machine } = this;
    if (
      message.t !== "at" ||
      message.e !== machine.epoch ||
      machine.host !== this.id ||
      !this.wasProvisional
    )
      return;
    if (
      !isEmpty(message.at) &&
      message.at.provisional === undefined &&
      message.at.r !== machine.place.r &&
      !this.observer.isLater(message.at, machine.place)
    )
      this.observer.overrules(from, this, machine.place.r);
  }

  #note(from: string, message: Wire): void {
    if (message.t === "at" && !this.frozen && message.e === this.machine.epoch && this.#taking)
      this.answers.set(from, message.at);
  }

  /** In step is who follows its host, or hosts and hears that it is followed. */
  #heard(from: string, message: Wire): void {
    if (this.frozen || message.e !== this.machine.epoch) return;
    const { machine } = this;
    const follows = message.t === "ack" || (message.t === "send" && message.at.r !== 0);
    if (this.online && (machine.host === from || follows)) this.servedAt = this.world.now;
    if (machine.host === this.id) {
      // It may be taking over once more, for one came back with an older history.
      if (this.#taking || !machine.leads || !follows || message.k <= this.#beatsAsleep) return;
      // Nor does one follow that stands elsewhere, or lacks what is trimmed: it is to be restored.
      if (
        !lies(message.at, { ...machine.place, line: machine.line }) ||
        message.at.s < machine.place.s - machine.load.entries
      )
        return;
    } else {
      // In step is who follows its host: takes what it says, or has it all.
      const { place } = machine;
      const all =
        message.t === "beat" &&
        message.at.r === place.r &&
        message.at.s === place.s &&
        message.at.e === place.e;
      if (machine.host !== from || !(all || this.#advanced)) return;
    }
    this.judge();
    this.#heardAt = this.world.now;
  }

  judge(): void {
    const { now, profile } = this.world;
    if (now - this.#heardAt >= profile.resumeMs * 0.9) {
      this.stayed = false;
      this.#longAwayAt = now;
    }
    if (
      !this.frozen &&
      !this.#paused &&
      this.online &&
      !this.reallyCut &&
      now - Math.max(this.troubledUntil, this.takingSince) > HEARD_MS &&
      this.machine.host === this.id &&
      this.server.host === this.id &&
      this.server.epoch === this.machine.epoch &&
      this.machine.leads
    )
      this.#heardAt = Math.max(this.#heardAt, this.#ranAt);
  }

  // --- data channels ---

  linkUp(link: Link): void {
    const peer = link.other(this.id).id;
    // A newer one takes its place.
    const old = this.#links.get(peer);
    if (old) {
      old.die(-1, -1);
      this.feed({ type: "link", id: peer, up: false });
    }
    this.#links.set(peer, link);
    link.heard.set(this.id, this.world.now);
    this.feed({ type: "link", id: peer, up: true });
    this.#tellReached();
  }

  linkDown(link: Link): void {
    const peer = link.other(this.id).id;
    if (this.#links.get(peer) !== link) return;
    this.#links.delete(peer);
    this.troubledUntil = this.world.now;
    this.feed({ type: "link", id: peer, up: false });
    this.#tellReached();
  }

  linkHeard(link: Link, from: string, message: Wire): void {
    if (!this.alive) return;
    link.heard.set(this.id, this.world.now);
    this.#note(from, message);
    this.feed({ type: "received", from, via: "p2p", message });
    this.#heard(from, message);
  }

  #hangUp(peer: string): void {
    const link = this.#links.get(peer);
    if (!link) return;
    link.die(link.a.id === this.id ? 0 : 100, link.b.id === this.id ? 0 : 100);
  }

  get links(): readonly Link[] {
    return [...this.#links.values()];
  }

  #keepDialing(): void {
    this.world.clock.after(DIAL_MS, () => {
      if (!this.alive) return;
      this.#dial();
      this.#keepDialing();
    });
    this.world.clock.after(PING_MS * (0.9 + this.world.random.unit() / 5), () => this.#ping());
  }

  /** The members that this node keeps a channel to. */
  get #targets(): readonly string[] {
    const { host } = this.machine;
    if (!this.world.profile.p2p || host === undefined || host === this.id) return [];
    const targets = this.#mayDial ? [host] : [];
    if (this.#deputy !== undefined && this.#deputy !== this.id && this.#deputy !== host)
      targets.push(this.#deputy);
    return targets;
  }

  #dial(): void {
    const { world } = this;
    if (this.frozen) return;
    const targets = this.#targets;
    for (const id of targets) this.#dialOne(id);
    const serves = this.machine.host === this.id || this.#deputy === this.id;
    for (const [id, link] of this.#links) {
      if (targets.includes(id)) this.#formerSince.delete(id);
      else if (!this.#formerSince.has(id)) this.#formerSince.set(id, world.now);
      else if (
        !serves &&
        link.a.id === this.id &&
        world.now - (this.#formerSince.get(id) ?? 0) > KEEP_MS
      )
        this.#hangUp(id);
    }
    this.#tellReached();
  }

  #dialOne(id: string): void {
    const { world } = this;
    if (this.#dialing.has(id)) return;
    const old = this.#links.get(id);
    if (old && world.now - (old.heard.get(this.id) ?? 0) < SILENT_LINK_MS) return;
    if (old) this.#hangUp(id);
    this.#dialing.add(id);
    const took = world.profile.slowDials ? world.random.int(1000, 8000) : world.random.int(20, 400);
    world.clock.after(took, () => {
      this.#dialing.delete(id);
      const peer = this.peerOf(id);
      if (!this.alive || !peer?.alive || this.frozen || peer.frozen) return;
      // Without a way to signal there is no new connection.
      if (!this.online || !peer.online || this.reallyCut || peer.reallyCut) return;
      if (!world.quiet && world.random.chance(world.profile.dialLoss)) return;
      const link = new Link(world, this, peer, took);
      world.clock.after(world.random.int(0, 30), () => {
        if (this.alive) this.linkUp(link);
      });
      world.clock.after(world.random.int(0, 30), () => {
        if (peer.alive) peer.linkUp(link);
      });
      world.count("link opened");
    });
  }

  #ping(): void {
    if (this.alive && !this.frozen) for (const link of this.#links.values()) link.ping(this.id);
  }

  linkPinged(link: Link, from: string): void {
    if (!this.alive || this.frozen || this.#links.get(from) !== link) return;
    link.heard.set(this.id, this.world.now);
    this.feed({ type: "alive", id: from });
  }

  #tellReached(): void {
    if (!this.online || this.frozen) return;
    const reached = this.#targets.flatMap((id) => {
      const link = this.#links.get(id);
      return link ? [[id, link.tookMs * this.world.pace] as const] : [];
    });
    const text = JSON.stringify(reached);
    if (text === this.#reached) return;
    this.#reached = text;
    this.#status({ channels: Object.fromEntries(reached) });
  }

  // --- faults ---

  dropSocket(clientMs: number, serverMs: number): void {
    this.reallyCut = true;
    this.#socket?.die(clientMs, serverMs);
  }

  crash(serverMs: number): void {
    this.alive = false;
    const socket = this.#socket;
    if (socket) {
      socket.cutOff();
      socket.clientOpen = false;
      this.world.clock.after(serverMs, () => socket.closeServer("lost"));
    }
    // Nobody is told that the other side of a data channel is gone.
    for (const link of this.#links.values()) link.die(-1, -1);
  }

  /** Its page runs something else, too, which says to these in its name what is not so. */
  lie(ids: readonly string[]): void {
    if (!this.alive || this.frozen) return;
    for (const to of ids) {
      const message = lie(this.world.random, this.machine.place, ids);
      this.world.say(this.id, () => `lies to ${to}: ${tell(message)}`);
      this.#say("RELAY", message, to);
      this.#links.get(to)?.send(this.id, message);
    }
  }

  leave(): void {
    this.feed({ type: "leave" });
    this.alive = false;
    const socket = this.#socket;
    if (!socket) return;
    socket.clientOpen = false;
    this.world.clock.after(this.world.random.int(1, 60), () =>
      socket.closeServer(this.world.random.chance(0.3) ? "going-away" : "goodbye"),
    );
    for (const link of this.#links.values()) link.die(-1, -1);
  }

  freeze(): void {
    this.judge();
    this.#beatsAsleep = this.#beats;
    this.frozen = true;
  }

  /** Everything that came meanwhile comes now. */
  thaw(): void {
    this.judge();
    this.frozen = false;
    this.troubledUntil = this.world.now;
    if (this.#owesStatus) this.#sayStatus();
    const backlog = this.#mixed();
    this.#backlog = [];
    for (const event of backlog) this.feed(event);
    this.#wakeAt = Infinity;
    this.feed({ type: "timer" });
  }

  /** What came on the WebSocket and what came on data channels are two queues of the browser's, each in its order. */
  #mixed(): Event[] {
    const { random } = this.world;
    const near = (event: Event): boolean =>
      event.type === "link" ||
      ((event.type === "heard" || event.type === "received") && event.via === "p2p");
    const [one, other] = [
      this.#backlog.filter(near),
      this.#backlog.filter((event) => !near(event)),
    ];
    const share = random.pick([0, 0.1, 0.5, 0.9, 1]);
    const all: Event[] = [];
    while (one.length > 0 || other.length > 0)
      all.push(
        (other.length === 0 || (one.length > 0 && random.unit() < share)
          ? one
          : other
        ).shift() as Event,
      );
    return all;
  }

  // --- the trace ---

  #traceEvent(event: Event): void {
    const { world } = this;
    if (event.type === "timer") return;
    world.say(this.id, () => {
      if (event.type === "received")
        return `<- ${event.from} ${event.via} ${tell(event.message as Wire)}`;
      if (event.type === "open")
        return `OPEN host ${event.open.host} epoch ${event.open.epoch % 100_000}${event.open.recovering ? " recovering" : ""}`;
      if (event.type === "host")
        return `HOST ${event.host.host} epoch ${event.host.epoch % 100_000} (${event.host.cause})`;
      return JSON.stringify(event);
    });
  }
}

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

function tell(message: Wire): string {
  const e = message.e % 100_000;
  switch (message.t) {
    case "at":
    case "pull":
      return `${message.t} e${e} ${show(message.at)} done ${message.at.done} base ${message.at.base}${message.at.stale ? " stale" : ""}${message.at.provisional === undefined ? "" : ` provisional ${message.at.provisional}`}`;
    case "data":
    case "fill":
      return `${message.t} e${e} from ${message.s} after @${message.p % 100_000}: ${message.x.map((x) => `${x.s}@${x.e % 100_000}=${x.k === "d" ? String(x.d) : x.k + x.f}`).join(" ")}`;
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
  }
}
