// A node's data channels: to the host and the deputy, which it dials, and to those who dial it.

import type { Wire } from "../src/group/index.ts";
import { Link, type End } from "./p2p.ts";
import type { Tab } from "./tab.ts";

/** Time between two looks whether there is somebody to dial. */
const DIAL_MS = 400;
/** Time without a message after which a channel counts as dead. */
const SILENT_LINK_MS = 6000;
/** Interval of pings, as in src/channels.ts. */
const PING_MS = 1000;
/** Time for which the channel to a former host is kept, as in src/channels.ts. */
const KEEP_MS = 30_000;

export interface ChannelHooks {
  /** Returns whether the server has let this node in. */
  online(): boolean;
  /** Returns whether the server can pass on signalling of this node: it is in, and its socket is not dead. */
  signals(): boolean;
  /** Returns whether the server passes on signalling to this peer. */
  reaches(peer: string): boolean;
  mayDial(): boolean;
  deputy(): string | undefined;
  peerOf(id: string): Channels | undefined;
  /** Tells the server of the open channels, each with the duration of its dial in ms of the server's time. */
  report(channels: Readonly<Record<string, number>>): void;
  received(from: string, message: Wire): void;
  closed(): void;
}

export class Channels implements End {
  readonly #tab: Tab;
  readonly #hooks: ChannelHooks;
  readonly #links = new Map<string, Link>();
  readonly #dialing = new Set<string>();
  /** When each former target stopped being one. */
  readonly #formerSince = new Map<string, number>();
  /** The channels that the server was last told of, as JSON. */
  #reported = "";

  constructor(tab: Tab, hooks: ChannelHooks) {
    this.#tab = tab;
    this.#hooks = hooks;
  }

  get id(): string {
    return this.#tab.id;
  }

  get links(): readonly Link[] {
    return [...this.#links.values()];
  }

  link(peer: string): Link | undefined {
    return this.#links.get(peer);
  }

  send(peer: string, message: Wire): void {
    this.#links.get(peer)?.send(this.id, message);
  }

  /** Dials and pings from now on. */
  keep(): void {
    const { clock, random } = this.#tab.world;
    clock.after(DIAL_MS, () => {
      if (!this.#tab.alive) return;
      this.#dial();
      this.keep();
    });
    clock.after(PING_MS * (0.9 + random.unit() / 5), () => this.#ping());
  }

  // --- one channel ---

  linkUp(link: Link): void {
    const peer = link.other(this.id).id;
    // A newer one takes its place.
    const old = this.#links.get(peer);
    if (old) {
      old.die(-1, -1);
      this.#tab.feed({ type: "link", id: peer, up: false });
    }
    this.#links.set(peer, link);
    link.heard.set(this.id, this.#tab.world.now);
    this.#tab.feed({ type: "link", id: peer, up: true });
    this.report();
  }

  linkDown(link: Link): void {
    const peer = link.other(this.id).id;
    if (this.#links.get(peer) !== link) return;
    this.#links.delete(peer);
    this.#hooks.closed();
    this.#tab.feed({ type: "link", id: peer, up: false });
    this.report();
  }

  linkHeard(link: Link, from: string, message: Wire): void {
    if (!this.#tab.alive) return;
    link.heard.set(this.id, this.#tab.world.now);
    this.#hooks.received(from, message);
  }

  linkPinged(link: Link, from: string): void {
    const { alive, frozen, world } = this.#tab;
    if (!alive || frozen || this.#links.get(from) !== link) return;
    link.heard.set(this.id, world.now);
    this.#tab.feed({ type: "alive", id: from });
  }

  hangUp(peer: string): void {
    const link = this.#links.get(peer);
    if (!link) return;
    link.die(link.a.id === this.id ? 0 : 100, link.b.id === this.id ? 0 : 100);
  }

  /** Ends all channels; nobody is told that the other side is gone. */
  end(): void {
    for (const link of this.#links.values()) link.die(-1, -1);
  }

  #ping(): void {
    if (this.#tab.alive && !this.#tab.frozen)
      for (const link of this.#links.values()) link.ping(this.id);
  }

  // --- dialling ---

  /** The members that this node keeps a channel to. */
  get #targets(): readonly string[] {
    const { host } = this.#tab.machine;
    if (!this.#tab.world.profile.p2p || host === undefined || host === this.id) return [];
    const deputy = this.#hooks.deputy();
    const targets = this.#hooks.mayDial() ? [host] : [];
    if (deputy !== undefined && deputy !== this.id && deputy !== host) targets.push(deputy);
    return targets;
  }

  #dial(): void {
    const { world, machine, frozen } = this.#tab;
    if (frozen) return;
    const targets = this.#targets;
    for (const id of targets) this.#dialOne(id);
    const serves = machine.host === this.id || this.#hooks.deputy() === this.id;
    for (const [id, link] of this.#links) {
      if (targets.includes(id)) this.#formerSince.delete(id);
      else if (!this.#formerSince.has(id)) this.#formerSince.set(id, world.now);
      else if (
        !serves &&
        link.a.id === this.id &&
        world.now - (this.#formerSince.get(id) ?? 0) > KEEP_MS
      )
        this.hangUp(id);
    }
    this.report();
  }

  #dialOne(id: string): void {
    const { world } = this.#tab;
    if (this.#dialing.has(id)) return;
    const old = this.#links.get(id);
    if (old && world.now - (old.heard.get(this.id) ?? 0) < SILENT_LINK_MS) return;
    if (old) this.hangUp(id);
    this.#dialing.add(id);
    const took = world.profile.slowDials ? world.random.int(1000, 8000) : world.random.int(20, 400);
    world.clock.after(took, () => {
      this.#dialing.delete(id);
      const peer = this.#hooks.peerOf(id);
      if (!peer || !this.#runs || !peer.#runs) return;
      // Without a way to signal there is no new connection.
      if (!this.#hooks.signals() || !peer.#hooks.signals() || !this.#hooks.reaches(id)) return;
      if (!world.quiet && world.random.chance(world.profile.dialLoss)) return;
      const link = new Link(world, this, peer, took);
      for (const end of [this, peer])
        world.clock.after(world.random.int(0, 30), () => {
          if (end.#tab.alive) end.linkUp(link);
        });
      world.count("link opened");
    });
  }

  get #runs(): boolean {
    return this.#tab.alive && !this.#tab.frozen;
  }

  /** A new session knows of no channel yet. */
  forgetReport(): void {
    this.#reported = "";
  }

  /** Tells the server which channels are open, where that has changed: suspicions are weighed by it. */
  report(): void {
    if (!this.#hooks.online() || this.#tab.frozen) return;
    const { pace } = this.#tab.world;
    const open = this.#targets.flatMap((id) => {
      const link = this.#links.get(id);
      return link ? [[id, link.tookMs * pace] as const] : [];
    });
    const text = JSON.stringify(open);
    if (text === this.#reported) return;
    this.#reported = text;
    this.#hooks.report(Object.fromEntries(open));
  }
}
