// Members that send to one other member, for the tests of that. The file has no tests itself.

import { Group, type Effect, type Settings } from "../src/group/index.ts";
import { Rig } from "./group.rig.ts";

type Outcome = Extract<Effect, { type: "settleDirect" | "answered" }>;

export class DirectRig extends Rig {
  #token = 0;

  /** Adds a member with a library that can nothing beyond the protocol. */
  addOlder(id: string): void {
    this.add(id);
    this.groups.set(id, new Group(id, {}, []));
  }

  /** Adds a member with these settings. */
  addWith(id: string, settings: Partial<Settings>): void {
    this.add(id);
    this.groups.set(id, new Group(id, settings));
  }

  /** Sends a message to one member, or a request if there is a time for the answer. */
  sendTo(from: string, to: string, data: string, timeoutMs?: number): number {
    const token = ++this.#token;
    const time = timeoutMs === undefined ? {} : { timeoutMs };
    this.feed(from, { type: "sendTo", token, to, data, size: data.length, ...time });
    return token;
  }

  /** The page of a member answers the request with these data. */
  answer(id: string, request: string, data: string): void {
    const asked = this.#effects(id, "request").find((one) => one.data === request);
    if (asked) this.feed(id, { type: "reply", token: asked.token, data, size: data.length });
  }

  /** Returns what the page of a member was handed of its own, requests included, with its senders. */
  handed(id: string): string {
    return (this.effects.get(id) ?? [])
      .filter((effect) => effect.type === "direct" || effect.type === "request")
      .map(({ from, data }) => `${from}:${String(data)}`)
      .join(" ");
  }

  /** Returns the outcomes of what a member sent, in the order in which they came. */
  outcomes(id: string): string {
    return (this.effects.get(id) ?? [])
      .filter(
        (effect): effect is Outcome => effect.type === "settleDirect" || effect.type === "answered",
      )
      .map((effect) =>
        effect.type === "answered" ? `=${String(effect.data)}` : (effect.error ?? "ok"),
      )
      .join(" ");
  }

  ended(id: string): number {
    return this.#effects(id, "requestEnded").length;
  }

  #effects<T extends Effect["type"]>(id: string, type: T): Extract<Effect, { type: T }>[] {
    return (this.effects.get(id) ?? []).filter(
      (effect): effect is Extract<Effect, { type: T }> => effect.type === type,
    );
  }

  /** Another member joins the page that `host` hosts. */
  joins(id: string, host: string, epoch = 10): void {
    this.feed(host, { type: "joined", member: { id, group: true } });
    this.open(id, host, epoch);
    this.pass(1200);
  }

  /** The server tells the host that a member has left. */
  goes(id: string, host: string): void {
    this.kill(id);
    this.feed(host, { type: "left", id });
  }
}
