// Messages and requests from one member to another, and their guarantees: handed over at most once, in order, after
// what the sender's page had been handed, and with one outcome.

import type { Effect } from "../src/group/index.ts";
import { epochAt, lies } from "../src/group/history.ts";
import type { Place } from "../src/group/types.ts";
import { hasLacking } from "./conversations.ts";
import type { Node } from "./node.ts";
import { Failure, type World } from "./world.ts";

type Handed = Extract<Effect, { type: "direct" | "request" }>;

/** Outcomes of what the addressee's page was not handed, and never is. */
const NEVER: ReadonlySet<string> = new Set(["Gone", "Unsupported", "TooLarge", "Backpressure"]);

interface Sent {
  readonly from: Node;
  readonly to: string;
  readonly token: number;
  readonly text: string;
  /** The sender's count of its messages to that member. */
  readonly n: number;
  /** How far the sender's page had been handed the log. */
  readonly place: Place;
  readonly at: number;
  /** Time for the answer to a request. */
  readonly timeoutMs: number | undefined;
  wasHanded: boolean;
  outcome: string | undefined;
}

export class Directs {
  readonly #world: World;
  readonly #byText = new Map<string, Sent>();
  readonly #byToken = new Map<string, Sent>();
  readonly #open = new Set<Sent>();
  readonly #counts = new Map<string, number>();
  /** The last message that each page was handed of each other. */
  readonly #last = new Map<string, number>();
  #token = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** A page sends to one of these. */
  send(from: Node, others: readonly string[]): void {
    const { random, clock } = this.#world;
    if (!from.alive || from.frozen || others.length === 0) return;
    const known = [...from.app.members.keys()];
    const to = random.chance(0.9) && known.length > 0 ? random.pick(known) : random.pick(others);
    const pair = `${from.id}>${to}`;
    const n = (this.#counts.get(pair) ?? 0) + 1;
    this.#counts.set(pair, n);
    const token = ++this.#token;
    const isRequest = random.chance(0.35);
    const sent: Sent = {
      from,
      to,
      token,
      text: `${pair}#${n}`,
      n,
      place: standsAt(from),
      at: this.#world.now,
      timeoutMs: isRequest ? random.int(200, 8000) : undefined,
      wasHanded: false,
      outcome: undefined,
    };
    this.#byText.set(sent.text, sent);
    this.#byToken.set(`${from.id} ${token}`, sent);
    this.#open.add(sent);
    this.#world.count(isRequest ? "direct: request" : "direct: message");
    from.feed({
      type: "sendTo",
      token,
      to,
      data: sent.text,
      size: random.int(8, random.chance(0.02) ? 120 : 60),
      ...(sent.timeoutMs === undefined ? {} : { timeoutMs: sent.timeoutMs }),
    });
    if (random.chance(0.05)) clock.after(random.int(0, 500), () => this.#abort(sent));
  }

  #abort(sent: Sent): void {
    if (sent.outcome !== undefined || !sent.from.alive || sent.from.frozen) return;
    this.#end(sent, "aborted");
    sent.from.feed({ type: "abort", token: sent.token });
  }

  /** A page is handed a message or request. */
  handed(node: Node, effect: Handed): void {
    const { from, data } = effect;
    const sent = this.#byText.get(data as string);
    if (!sent) return this.#fail(`${node.id} is handed ${String(data)}, which nobody sent`);
    const what = `${node.id} is handed ${sent.text}`;
    this.#world.say(node.id, () => `is handed ${sent.text}`);
    this.#world.count("direct: handed over");
    if (sent.to !== node.id || sent.from.id !== from) this.#fail(`${what}, not its own`);
    if (node.lacks) this.#fail(`${what}, and lacks the feature`);
    if (sent.wasHanded) this.#fail(`${what} twice`);
    sent.wasHanded = true;
    if (sent.outcome !== undefined && NEVER.has(sent.outcome))
      this.#fail(`${what}, which was ${sent.outcome}`);
    const pair = `${from}>${node.id}`;
    if (sent.n <= (this.#last.get(pair) ?? 0)) this.#fail(`${what} after #${this.#last.get(pair)}`);
    this.#last.set(pair, sent.n);
    this.#comesAfter(node, sent, what);
    if (effect.type === "request") this.#answer(node, effect.token, sent.text);
  }

  /** Checks that the page was handed what the sender's was, unless the sender gave up that history. */
  #comesAfter(node: Node, { from, place }: Sent, what: string): void {
    const { machine } = from;
    if (!lies(place, { ...machine.place, line: machine.line })) return;
    if (lies(place, { ...standsAt(node), line: node.machine.line })) return;
    this.#fail(
      `${what}, sent at ${place.s}@${place.e}, and stands at ${node.machine.delivered} itself`,
    );
  }

  #answer(node: Node, token: number, text: string): void {
    const { random, clock } = this.#world;
    if (random.chance(0.1)) return;
    const data = `answer to ${text}`;
    clock.after(random.chance(0.5) ? 0 : random.int(0, 3000), () =>
      node.feed({ type: "reply", token, data, size: data.length }),
    );
  }

  /** The promise of a message or request is settled. */
  settled(node: Node, effect: Extract<Effect, { type: "settleDirect" | "answered" }>): void {
    const sent = this.#byToken.get(`${node.id} ${effect.token}`);
    if (!sent) return this.#fail(`${node.id} settles what it did not send`);
    const answer = effect.type === "answered" ? String(effect.data) : undefined;
    const error = effect.type === "answered" ? undefined : effect.error;
    const outcome = error ?? "ok";
    this.#world.say(node.id, () => `${sent.text} ends with ${answer ?? outcome}`);
    this.#world.count(`direct: ${answer === undefined ? outcome : "answered"}`);
    if (sent.outcome !== undefined)
      this.#fail(`${sent.text} ends with ${outcome} after ${sent.outcome}`);
    this.#end(sent, outcome);
    if (answer !== undefined && answer !== `answer to ${sent.text}`)
      this.#fail(`${sent.text} has the answer "${answer}"`);
    if (answer === undefined && error === undefined && sent.timeoutMs !== undefined)
      this.#fail(`${sent.text}, a request, ends without an answer`);
    if (error === undefined && !sent.wasHanded)
      this.#fail(`${sent.text} is said to be handed over, and is not`);
    if (NEVER.has(outcome) && sent.wasHanded)
      this.#fail(`${sent.text} is ${outcome}, and was handed over`);
    if ((error === "Gone" || error === "Uncertain") && node.app.members.has(sent.to))
      this.#fail(`${sent.text} is ${error}, and ${sent.to} is a member`);
    if (error === "Timeout" && this.#world.now < sent.at + (sent.timeoutMs ?? Infinity))
      this.#fail(`${sent.text} is given up before its time`);
    if (error === "Unsupported" && !hasLacking(this.#world) && sent.to.length === 1)
      this.#fail(`${sent.text} is Unsupported, and nobody lacks the feature`);
  }

  #end(sent: Sent, outcome: string): void {
    sent.outcome = outcome;
    this.#open.delete(sent);
  }

  /** Checks a node after a step in which its page was told that this member left. */
  left(node: Node, id: string): void {
    for (const sent of this.#open)
      if (sent.from === node && sent.to === id && !node.app.members.has(id))
        this.#fail(`${sent.text} has no outcome, and ${id} has left`);
  }

  /** Returns whether everything has an outcome that a living page sent. */
  get areSettled(): boolean {
    return !this.#waiting;
  }

  finish(): void {
    const sent = this.#waiting;
    if (sent) this.#fail(`${sent.text} never has an outcome`);
  }

  /**
   * A message without an outcome. Where there is no relay, nothing leads past a host that passes nothing on, and the
   * message waits for another host.
   */
  get #waiting(): Sent | undefined {
    return [...this.#open].find(({ from, to }) => {
      const { alive, machine } = from;
      const isCutOff = from.peerOf(machine.host ?? "")?.lacks && !this.#relays(from, to);
      return alive && !isCutOff;
    });
  }

  #relays(from: Node, to: string): boolean {
    return this.#world.profile.relay && from.mayRelay && from.peerOf(to)?.mayRelay === true;
  }

  #fail(what: string): never {
    throw new Failure("8 to one member", what);
  }
}

/** Returns how far a page was handed the log. */
function standsAt({ machine: { place, line, delivered } }: Node): Place {
  return { r: place.r, e: epochAt(line, delivered), s: delivered };
}
