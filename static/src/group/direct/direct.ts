// Messages and requests from this member's page to one other. The two ends alone answer for them:
// the sender repeats each message until the receiver has acknowledged it, whoever hosts.

import { lies } from "../history.ts";
import type { Context } from "../context.ts";
import type { DirectError, Path, PeerId } from "../types.ts";
import { Inbox } from "./inbox.ts";
import { Replies, type Answer } from "./replies.ts";
import { Requests, type Request } from "./requests.ts";
import { Routes, type Route } from "./routes.ts";
import { Stream, type Outgoing } from "./stream.ts";
import {
  isDirect,
  type DirectItem,
  type DirectMessage,
  type DirectWire,
  type Found,
  type Got,
  type Pass,
  type Reply,
} from "./wire.ts";

/** Name of this part in the list of what a library can do. */
export const FEATURE = "direct";

/** A message without its epoch. */
type Unsaid = DirectMessage extends infer M ? (M extends unknown ? Omit<M, "e"> : never) : never;

/** A host, as this part uses it. */
export interface Hosting {
  /** Returns whether the member's library is known to lack a feature. */
  lacks(id: PeerId, feature: string): boolean;
}

export interface Call {
  readonly token: number;
  readonly to: PeerId;
  readonly data: unknown;
  readonly size: number;
  /** Time for the answer. Absent in a message without one. */
  readonly timeoutMs?: number;
}

export class Direct {
  readonly #context: Context;
  readonly #routes: Routes;
  readonly #inbox: Inbox;
  readonly #streams = new Map<PeerId, Stream>();
  readonly #requests = new Requests();
  readonly #replies = new Replies();
  /** Present while this member hosts. */
  hosting: Hosting | undefined;
  /** The last host that was heard to have this part: it says who lacks it. */
  #ableHost: PeerId | undefined;
  /** Tells this load of the page from others that had the same id. */
  #life = 0;
  #lastNumber = 0;
  #lastOwnKey = 0;

  constructor(context: Context) {
    this.#context = context;
    this.#routes = new Routes(context);
    this.#inbox = new Inbox(context, {
      hand: (from, life, item) => this.#hand(from, life, item),
      answer: (to, got, route) => this.#say(to, got, route),
    });
  }

  /** Whether this member's library has this part. */
  get #isAble(): boolean {
    return this.#context.self.can.includes(FEATURE);
  }

  /** The id of this page may be that of an earlier load. None of those had a life as great as this. */
  startAfter(life: number): void {
    this.#life = life;
    this.#inbox.startAfter(life);
  }

  // --- the page ---

  send(call: Call): void {
    const { replica, self, settings } = this.#context;
    const { token, to, size } = call;
    const info = replica.applied.members.get(to);
    if (size > settings.messageBytes) return this.#settle(token, "TooLarge");
    if (to === self.id) return this.#sendToSelf(call);
    if (!info) return this.#settle(token, "Gone");
    if (!info.group) return this.#settle(token, "Unsupported");
    const stream = this.#streamTo(to);
    if (this.#isFull(stream, size)) return this.#settle(token, "Backpressure");
    const place = replica.applied.members.has(self.id) ? replica.position : undefined;
    const request = this.#request(call);
    stream.add({ ...call, place, n: 0, ...(request ? { q: request.q } : {}) });
  }

  /** The page gives up a message or request, and wants to hear no more of it. */
  abort(token: number): void {
    for (const stream of this.#streams.values()) if (stream.withdraw(token)) break;
    for (const request of this.#requests.where((one) => one.token === token)) this.#giveUp(request);
  }

  /** The page answers a request. */
  reply(token: number, data: unknown, size: number): void {
    const { now, self, server, settings } = this.#context;
    const asked = this.#replies.answered(token);
    if (!asked) return;
    if (asked.from === self.id) return this.#answered(asked.q, data);
    if (this.#replies.bytes + size > settings.outboxBytes) return;
    const until = now + 2 * server.resumeMs;
    this.#replies.add({ ...asked, data, size, until, dueAt: 0, waitMs: settings.resendMs });
  }

  /** Settles everything, since this member leaves. */
  close(): void {
    for (const { to } of [...this.#streams.values()]) this.#fail(to, "Closed", "Closed");
    for (const request of this.#requests.where(() => true)) this.#failRequest(request, "Closed");
    this.#end(() => true);
  }

  #request({ token, to, timeoutMs }: Call): Request | undefined {
    if (timeoutMs === undefined) return undefined;
    return this.#requests.add(token, to, this.#context.now + timeoutMs);
  }

  #sendToSelf(call: Call): void {
    const { replica, self } = this.#context;
    const { data: d, size: z } = call;
    const request = this.#request(call);
    const item = { n: 0, at: replica.position, d, z, ...(request ? { q: request.q } : {}) };
    this.#hand(self.id, this.#life, item);
    if (!request) this.#settle(call.token);
  }

  #isFull(stream: Stream, size: number): boolean {
    const { outboxBytes, outboxCount } = this.#context.settings;
    let bytes = 0;
    let count = 0;
    for (const one of this.#streams.values()) {
      bytes += one.bytes;
      count += one.size;
    }
    return (
      stream.bytes + size > outboxBytes / 2 || bytes + size > outboxBytes || count >= outboxCount
    );
  }

  #streamTo(to: PeerId): Stream {
    const { now, settings } = this.#context;
    let stream = this.#streams.get(to);
    if (!stream) {
      stream = new Stream(to, --this.#lastOwnKey, { now, waitMs: settings.resendMs });
      this.#streams.set(to, stream);
    }
    if (stream.size === 0) {
      stream.silentSince = now;
      stream.waitMs = settings.resendMs;
    }
    return stream;
  }

  // --- outcomes ---

  #settle(token: number, error?: DirectError): void {
    this.#context.step.push({ type: "settleDirect", token, ...(error ? { error } : {}) });
  }

  #failItem({ token, q }: Outgoing, error: DirectError): void {
    this.#requests.end(q);
    this.#settle(token, error);
  }

  #failRequest({ q, token }: Request, error: DirectError): void {
    this.#requests.end(q);
    this.#settle(token, error);
  }

  /** Settles all that is under way to a member. `untried`: the error of what it cannot have. */
  #fail(to: PeerId, untried: DirectError, tried: DirectError): void {
    const stream = this.#streams.get(to);
    this.#streams.delete(to);
    for (const item of stream?.clear() ?? []) this.#failItem(item, item.n === 0 ? untried : tried);
    for (const request of this.#requests.where((one) => one.to === to))
      this.#failRequest(request, tried);
  }

  /** Another page has taken the place of the addressee's, which may have had what was tried. */
  #addresseeIsNew(stream: Stream): void {
    for (const item of stream.doubt()) this.#failItem(item, "Uncertain");
    const wasHanded = ({ to, token }: Request): boolean => to === stream.to && !stream.has(token);
    for (const request of this.#requests.where(wasHanded)) this.#failRequest(request, "Uncertain");
  }

  /** A member has left the group, as this page is told. */
  left(id: PeerId): void {
    this.#fail(id, "Gone", "Uncertain");
    this.#routes.forget(id);
    this.#end(({ from }) => from === id);
  }

  /** Nobody waits for the answers to these requests any more. */
  #end(fits: Parameters<Replies["end"]>[0]): void {
    for (const { token } of this.#replies.end(fits))
      this.#context.step.push({ type: "requestEnded", token });
  }

  // --- other members ---

  /** Returns whether the message was one of this part. */
  receive(from: PeerId, via: Path, message: { readonly t: string }): boolean {
    if (!isDirect(message)) return false;
    if (!this.#isAble) return true;
    if (from === this.#context.server.host) this.#ableHost = from;
    this.#take(from, via, message);
    return true;
  }

  #take(from: PeerId, via: Path, message: DirectWire): void {
    const { server } = this.#context;
    switch (message.t) {
      case "pass":
        if (message.e === server.epoch) this.#passOn(from, via, message);
        break;
      case "passed":
        if (from === server.host) this.#hear(message.from, message.m, "host");
        break;
      case "found":
        if (from === server.host) this.#found(message);
        break;
      default:
        this.#hear(from, message, "straight");
    }
  }

  #hear(from: PeerId, message: DirectMessage, route: Route): void {
    if (from === this.#context.self.id) return;
    this.#routes.heard(from, route);
    switch (message.t) {
      case "direct":
        return this.#inbox.take(from, message, route);
      case "got":
        if (message.life === this.#life) this.#got(from, message);
        return;
      case "reply":
        return this.#heardReply(from, message, route);
      case "replied":
        return this.#end(
          (one) => one.from === from && one.life === message.life && one.q === message.q,
        );
    }
  }

  /** Passes a message on as the host, and tells a sender that has not heard from that member. */
  #passOn(from: PeerId, via: Path, { to, m }: Pass): void {
    const { epoch, paths } = this.#context;
    if (!this.hosting) return;
    const lacks = this.hosting.lacks(to, FEATURE);
    if (m.t === "direct" && m.key < 0)
      paths.transmit(from, { t: "found", e: epoch, id: to, lacks }, via);
    if (!lacks && to !== from) paths.transmit(to, { t: "passed", e: epoch, from, m });
  }

  #found({ id, lacks }: Found): void {
    const stream = this.#streams.get(id);
    if (!stream || stream.isKnown) return;
    if (lacks) this.#fail(id, "Unsupported", "Unsupported");
  }

  #got(from: PeerId, { asked, key, n }: Got): void {
    const { settings } = this.#context;
    const stream = this.#streams.get(from);
    if (!stream || asked !== stream.key || key <= 0) return;
    if (key !== stream.key) {
      if (stream.isKnown) this.#addresseeIsNew(stream);
      stream.key = key;
      stream.dueAt = Infinity;
    }
    const done = stream.acknowledged(n);
    for (const { q, token } of done) if (q === undefined) this.#settle(token);
    if (done.length === 0) return;
    stream.waitMs = settings.resendMs;
    stream.dueAt = Infinity;
  }

  #heardReply(from: PeerId, { life, q, d }: Reply, route: Route): void {
    this.#say(from, { t: "replied", life, q }, route);
    if (life === this.#life && this.#requests.isTo(q, from)) this.#answered(q, d);
  }

  #answered(q: number, data: unknown): void {
    const request = this.#requests.end(q);
    if (!request) return;
    this.#streams.get(request.to)?.withdraw(request.token);
    this.#context.step.push({ type: "answered", token: request.token, data });
  }

  /** The answer to a request is not waited for any more. */
  #giveUp({ q, to }: Request): void {
    const { self } = this.#context;
    this.#requests.end(q);
    if (to === self.id) this.#end((one) => one.from === to && one.q === q);
    else this.#say(to, { t: "replied", life: this.#life, q });
  }

  #hand(from: PeerId, life: number, { d: data, q }: DirectItem): void {
    const { step } = this.#context;
    if (q === undefined) return step.push({ type: "direct", from, data });
    const token = step.nextToken();
    const given = this.#replies.asked({ token, from, life, q });
    if (given) step.push({ type: "requestEnded", token: given.token });
    step.push({ type: "request", token, from, data });
  }

  // --- sending ---

  /** Paths have opened or closed, or there is another host: what is under way is sent again. */
  pathsChanged(id?: PeerId): void {
    const { now, server, settings } = this.#context;
    for (const stream of this.#streams.values()) {
      if (id !== undefined && id !== stream.to && id !== server.host) continue;
      stream.rewind(false);
      stream.waitMs = settings.resendMs;
      stream.dueAt = Infinity;
      stream.silentSince = now;
    }
    for (const answer of this.#replies.answers) answer.dueAt = 0;
  }

  /** Ends a step: hands the page what its turn has come for, and sends what has gathered. */
  flush(): void {
    const { now } = this.#context;
    this.#inbox.flush();
    if (this.#streams.size === 0 && this.#requests.isEmpty && this.#replies.isEmpty) return;
    for (const request of this.#requests.dueBy(now)) {
      this.#streams.get(request.to)?.withdraw(request.token);
      this.#giveUp(request);
      this.#settle(request.token, "Timeout");
    }
    for (const stream of [...this.#streams.values()]) this.#pump(stream);
    for (const answer of this.#replies.answers) this.#pumpAnswer(answer);
    this.#setTimer();
  }

  #setTimer(): void {
    const { timers } = this.#context;
    let due = Math.min(this.#requests.dueAt, this.#replies.dueAt);
    for (const { dueAt } of this.#streams.values()) due = Math.min(due, dueAt);
    if (due === Infinity) timers.clear("direct");
    else timers.set("direct", due);
  }

  /** Sends what is to be sent to a member by now. `dueAt` is infinite while nothing is under way. */
  #pump(stream: Stream): void {
    const { now, replica, self } = this.#context;
    if (stream.size === 0 || !replica.applied.members.has(self.id)) {
      stream.dueAt = Infinity;
      stream.silentSince = now;
      return;
    }
    const isLate = now >= stream.dueAt;
    if (!stream.isKnown) {
      if (isLate || stream.dueAt === Infinity) this.#introduce(stream);
      return;
    }
    if (isLate) {
      this.#routes.failed(stream.to);
      stream.rewind(true);
    }
    this.#sendBatches(stream);
    if (isLate) this.#waitLonger(stream);
    else if (stream.dueAt === Infinity) stream.dueAt = now + stream.waitMs;
  }

  /** Asks for the addressee's key by all ways at once, or finds that there is none. */
  #introduce(stream: Stream): void {
    const { freshness, now, server, settings } = this.#context;
    const { to, key } = stream;
    const hearsHost = now - freshness.contactAt <= settings.suspectMs;
    const knowsWhoCan = this.hosting !== undefined || server.host === this.#ableHost;
    if (knowsWhoCan || !hearsHost) stream.silentSince = now;
    const isSilent = now - stream.silentSince > settings.directSilentMs;
    if (isSilent || this.hosting?.lacks(to, FEATURE))
      return this.#fail(to, "Unsupported", "Unsupported");
    const life = this.#life;
    for (const route of this.#routes.open(to))
      this.#say(to, { t: "direct", life, key, after: 0, x: [] }, route);
    this.#waitLonger(stream);
  }

  #waitLonger(stream: Stream): void {
    const { now, settings } = this.#context;
    stream.dueAt = now + stream.waitMs;
    stream.waitMs = Math.min(stream.waitMs * 2, settings.resendMaxMs);
  }

  #sendBatches(stream: Stream): void {
    const { windowBytes, batchBytes } = this.#context.settings;
    const { to, key } = stream;
    for (;;) {
      const [route] = this.#routes.open(to);
      if (route === undefined) return;
      const batch = stream.next(windowBytes, batchBytes, () => ++this.#lastNumber);
      if (!batch) return;
      const { after, items } = batch;
      const x = items.map((item) => this.#itemOf(item));
      this.#say(to, { t: "direct", life: this.#life, key, after, x }, route);
    }
  }

  /** Returns a message as it is sent. Its place is one that the history of this member still has. */
  #itemOf(item: Outgoing): DirectItem {
    const { replica } = this.#context;
    if (!item.place || !lies(item.place, replica.log)) item.place = replica.position;
    const { n, place: at, data: d, size: z, q } = item;
    return { n, at, d, z, ...(q === undefined ? {} : { q }) };
  }

  #pumpAnswer(answer: Answer): void {
    const { now, settings } = this.#context;
    if (now < answer.dueAt) return;
    if (now >= answer.until) return this.#replies.drop(answer);
    const { from, life, q, data: d, size: z } = answer;
    if (answer.dueAt > 0) this.#routes.failed(from);
    this.#say(from, { t: "reply", life, q, d, z });
    answer.dueAt = now + answer.waitMs;
    answer.waitMs = Math.min(answer.waitMs * 2, settings.resendMaxMs);
  }

  /** Sends a message by this way, or by the first that is open. */
  #say(to: PeerId, message: Unsaid, route = this.#routes.open(to)[0]): void {
    if (route)
      this.#routes.send(to, { ...message, e: this.#context.epoch } as DirectMessage, route);
  }
}
