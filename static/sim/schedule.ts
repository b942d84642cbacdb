// One schedule: members join, leave and fail at random for a while. Then faults stop, and all must come together.

import { Node } from "./node.ts";
import { Observer } from "./observer.ts";
import type { Link } from "./p2p.ts";
import { Server } from "./server.ts";
import { Stock } from "./stock.ts";
import { World } from "./world.ts";

const TAIL_MS = 120_000;
/** Number of states, one after another, for which the quiet tail leaves time besides. */
const TAIL_STATES = 20;
const STEP_MS = 500;
/** A node's id is one letter, from `a` on. */
const MOST_NODES = 29;

type Fault = () => string | undefined;

export class Schedule {
  readonly world: World;
  readonly #server: Server;
  readonly #observer: Observer;
  readonly #nodes: Node[] = [];
  readonly #stock: Stock[] = [];
  #killTaking = 0;

  constructor(seed: number, counts: Map<string, number>, traced: boolean) {
    this.world = new World(seed, counts, traced);
    this.#server = new Server(this.world);
    this.#observer = new Observer(
      this.world,
      this.#server,
      () => this.#nodes,
      () => this.#present.map(({ id }) => id),
    );
  }

  run(): void {
    const { world } = this;
    const { profile, random, clock } = world;
    world.say("", () => JSON.stringify(profile));
    if (profile.stock && random.chance(0.5)) this.#stockComes();
    this.#join();
    for (let i = 1; i < profile.nodes; i++)
      clock.after(random.int(0, random.chance(0.5) ? 300 : profile.activeMs / 2), () =>
        this.#join(),
      );
    this.#fault();
    this.#talk();
    if (profile.hides) this.#hide();
    if (profile.halves !== "none") this.#part();
    clock.until(profile.activeMs);
    this.#calm();
    for (let t = 0; t < TAIL_MS + TAIL_STATES * profile.stateMs; t += STEP_MS) {
      clock.until(clock.now + STEP_MS);
      const { directs } = this.#observer;
      if (t > 2000 && directs.areSettled && this.#observer.converged(this.#live)) break;
    }
    this.#observer.finish(this.#live);
    this.#observer.directs.finish();
  }

  get #live(): Node[] {
    return this.#nodes.filter((node) => node.alive);
  }

  #join(): void {
    if (this.world.quiet || this.#live.length >= 8 || this.#nodes.length >= MOST_NODES) return;
    const id = String.fromCharCode(97 + this.#nodes.length);
    this.world.count("join");
    this.world.say(id, () => "joins");
    if (this.#server.inHalves && this.world.random.chance(0.5)) this.#server.comesToIsland(id);
    this.#nodes.push(
      new Node(
        id,
        this.world,
        this.#server,
        this.#observer,
        (peer) => this.#nodes.find((node) => node.id === peer),
        (node) => this.#taking(node),
      ),
    );
  }

  get #present(): Stock[] {
    return this.#stock.filter(({ here }) => here);
  }

  #stockComes(): void {
    const id = `S${this.#stock.length}`;
    this.world.say(id, () => "joins, a stock client");
    this.#stock.push(new Stock(id, this.world, this.#server));
  }

  #talk(): void {
    const { world } = this;
    const { random, clock, profile } = world;
    clock.after(random.int(1, profile.sendMs), () => {
      if (world.quiet) return;
      const live = this.#live;
      if (live.length > 0) {
        const node = random.pick(live);
        for (let n = random.chance(0.1) ? random.int(2, 12) : 1; n > 0; n--) node.send();
        this.#sendToOne();
      }
      this.#talk();
    });
  }

  /** Somebody sends to one other, perhaps to one that has left or is no member. */
  #sendToOne(): void {
    const { random } = this.world;
    if (!random.chance(0.6)) return;
    const others = [...this.#nodes, ...this.#stock].map(({ id }) => id);
    const node = random.pick(this.#live);
    for (let n = random.chance(0.2) ? random.int(2, 8) : 1; n > 0; n--) node.sendTo(others);
  }

  /** The host's page is hidden for a while. */
  #hide(): void {
    const { world } = this;
    world.clock.after(world.random.int(500, 4000), () => {
      if (world.quiet) return;
      world.count("fault: host hidden");
      const host = this.#live.find((node) => node.id === this.#server.host);
      host?.connection.hide(world.random.int(500, 4000));
      this.#hide();
    });
  }

  /** The page is in two halves for a while, now and then. */
  #part(): void {
    const { clock, random, profile } = this.world;
    clock.after(random.int(500, profile.activeMs / 2), () => {
      if (this.world.quiet) return;
      if (!this.#server.steady) return this.#part();
      const ids = [...this.#nodes, ...this.#present].map(({ id }) => id);
      const share = random.pick([0.15, 0.5, 0.5, 0.85]);
      const islanders = new Set(this.#nodes.filter(() => random.chance(share)).map(({ id }) => id));
      this.world.count("fault: in halves");
      this.world.say("srv", () => `in halves, ${[...islanders].join(" ")} on the island`);
      this.#server.cut(islanders, ids);
      const blocked = random.chance(0.6) ? this.#linksAcross() : [];
      for (const link of blocked) link.blocked = true;
      clock.after(random.int(500, profile.resumeMs * 2.5), () => {
        if (!this.world.quiet) this.#heal(blocked);
      });
    });
  }

  #linksAcross(): Link[] {
    return this.#live.flatMap((node) =>
      node.links.filter(({ a, b }) => a.id === node.id && !this.#server.connects(a.id, b.id)),
    );
  }

  /** The halves are one again, as soon as both have begun. Something may happen just then. */
  #heal(blocked: readonly Link[]): void {
    const { clock, random } = this.world;
    if (!this.#server.heal()) return void clock.after(100, () => this.#heal(blocked));
    this.world.count("healed");
    this.world.say("srv", () => "one again");
    for (const link of blocked) link.free();
    if (this.world.quiet) return;
    if (random.chance(0.2)) {
      const host = this.#live.find((node) => node.id === this.#server.host);
      if (host && this.#live.length > 1)
        clock.after(random.int(0, 300), () => {
          if (!host.alive || this.world.quiet) return;
          this.world.count("fault: host dies while the halves heal");
          this.#crash(host);
        });
    }
    this.#part();
  }

  #fault(): void {
    const { world } = this;
    const { random, clock, profile } = world;
    clock.after(random.int(profile.faultMs / 2, profile.faultMs * 2), () => {
      if (world.quiet) return;
      const calm = profile.halves === "calm";
      const isStorm = !calm && profile.storm && random.chance(0.8);
      const what = random.pick(calm ? this.#mild : isStorm ? this.#storm : this.#faults)();
      if (what) world.count(`fault: ${what}`);
      this.#fault();
    });
  }

  /** A member has just been named host. */
  #taking(node: Node): void {
    if (this.#killTaking === 0 || this.#live.length < 2 || this.world.quiet) return;
    this.#killTaking--;
    const { random, clock } = this.world;
    clock.after(random.int(0, 250), () => {
      if (!node.alive || this.world.quiet) return;
      this.world.count("fault: new host dies while taking over");
      this.#crash(node);
    });
  }

  #crash(node: Node): void {
    const { world } = this;
    const { random } = world;
    world.say(node.id, () => "dies");
    node.crash(random.chance(0.8) ? random.int(0, 60) : random.int(2000, 5000));
  }

  #someone(): Node | undefined {
    const live = this.#live;
    const { random } = this.world;
    // About half of all faults befall the host, where they do the most harm.
    const { hosts } = this.#server;
    const named = hosts.length > 1 ? random.pick(hosts) : hosts[0];
    const host = live.find((node) => node.id === named);
    return host && random.chance(this.world.profile.storm ? 0.75 : 0.4)
      ? host
      : live.length > 0
        ? random.pick(live)
        : undefined;
  }

  /** Returns the duration of a fault: mostly short, sometimes longer than a member may be away. */
  #while(): number {
    const { random, profile } = this.world;
    return random.chance(0.75) ? random.int(20, 2500) : random.int(1000, profile.resumeMs * 1.5);
  }

  readonly #faults: readonly Fault[] = [
    () => (this.#join(), "join"),
    () => (this.#join(), "join"),
    () => {
      const node = this.#someone();
      if (!node || this.#live.length < 2) return undefined;
      this.#crash(node);
      return "crash";
    },
    () => {
      const node = this.#someone();
      if (!node || node.frozen || this.#live.length < 2) return undefined;
      this.world.say(node.id, () => "leaves");
      node.leave();
      return "leave";
    },
    () => this.#freeze(),
    () => this.#freeze(),
    () => {
      const node = this.#someone();
      if (!node?.online) return undefined;
      this.world.say(node.id, () => "loses its socket");
      node.dropSocket(this.world.random.int(0, 100), this.world.random.int(0, 100));
      return "socket lost";
    },
    () => {
      const node = this.#someone();
      if (!node?.online) return undefined;
      this.world.say(node.id, () => "is cut off");
      const long = this.#while();
      node.dropSocket(long, this.world.random.int(500, 5000));
      for (const link of node.links) this.#block(link, long);
      return "cut off, unnoticed";
    },
    () => this.#split(),
    () => {
      const link = this.#link();
      link?.die(this.world.random.int(0, 500), this.world.random.int(0, 500));
      return link && "link lost";
    },
    () => {
      const link = this.#link();
      if (!link) return undefined;
      const first = this.world.random.chance(0.5);
      link.die(first ? 10 : -1, first ? -1 : 10);
      return "link lost, one end unaware";
    },
    () => {
      const link = this.#link();
      if (link) this.#block(link, this.#while());
      return link && "link blocked";
    },
    () => {
      const host = this.#live.find((node) => node.id === this.#server.host);
      if (!host || this.#live.length < 2) return undefined;
      host.feed({ type: "resign" });
      return "resign";
    },
    () => {
      if (!this.#server.up || this.#server.inHalves || !this.world.random.chance(0.5))
        return undefined;
      const { random, profile, clock } = this.world;
      // Mostly a short restart; sometimes longer than messages are kept for members that are away.
      const long = random.int(100, random.chance(0.15) ? profile.resumeMs * 3 : 2500);
      // Before all epochs of the schedule: else the server would tell an epoch twice without bad luck.
      const back =
        profile.clocks && this.world.server.backMs === 0 && random.chance(0.5)
          ? random.int(300_000, 400_000)
          : 0;
      this.world.say(
        "srv",
        () => `restarts for ${long}${back > 0 ? `, its clock ${back} back` : ""}`,
      );
      if (back > 0) this.world.count("fault: clock set back");
      for (const node of this.#nodes) node.naming.known.clear();
      if (profile.holdMs > 0) {
        for (const node of this.#live)
          if (random.chance(0.7))
            node.connection.heldUntil = clock.now + long + random.int(0, profile.holdMs);
        this.world.count("fault: dials held back");
        if (random.chance(0.7)) clock.after(long + random.int(0, 500), () => this.#join());
      }
      this.#server.restart(long, back);
      return "server restart";
    },
    () => {
      const host = this.#live.find((node) => node.id === this.#server.host);
      if (!host || this.#live.length < 2) return undefined;
      this.#killTaking = this.world.random.int(1, 2);
      this.#crash(host);
      return "crash, and the next in take-over";
    },
    () => {
      if (!this.#server.up || !this.world.random.chance(0.5)) return undefined;
      this.world.say("srv", () => "loses its page");
      this.#server.losePage();
      return "page lost";
    },
    () => {
      if (!this.world.profile.stock) return undefined;
      const present = this.#present;
      if (present.length < 2 && this.world.random.chance(0.6))
        return (this.#stockComes(), "stock client comes");
      if (present.length === 0) return undefined;
      const stock = this.world.random.pick(present);
      this.world.say(stock.id, () => "leaves");
      stock.leave(this.world.random.chance(0.5));
      return "stock client goes";
    },
    () => {
      const liar = this.#someone();
      const others = this.#live.filter((node) => node !== liar).map(({ id }) => id);
      if (!liar || others.length === 0) return undefined;
      for (let n = this.world.random.int(1, 5); n > 0; n--)
        this.world.clock.after(this.world.random.int(0, 1000), () => liar.lie(others));
      return "lies";
    },
    () => {
      const node = this.#someone();
      node?.rename(`${node.id}, at ${this.world.now}`);
      return node && "profile changed";
    },
    () => {
      const node = this.#someone();
      if (!node) return undefined;
      const link = this.world.random.chance(0.3)
        ? this.world.random.pick(["relay", "states"] as const)
        : this.world.random.pick(this.#nodes).id;
      node.feed({ type: "pressure", link, high: true });
      this.world.clock.after(this.#while(), () =>
        node.feed({ type: "pressure", link, high: false }),
      );
      return "slow member";
    },
    () => {
      const node = this.#someone();
      if (!node?.online || node.frozen) return undefined;
      this.world.say(node.id, () => "closes its socket with 1001, and stays");
      node.connection.goAway();
      return "socket closed with 1001";
    },
  ];

  /** Faults after which everybody is soon there again. */
  get #mild(): readonly Fault[] {
    const f = this.#faults;
    return [...f.slice(0, 4), f[6], f[9], f[10], f[12], f[18], f[19]].filter(
      (one) => one !== undefined,
    );
  }

  /** Faults that leave unshared entries behind: hosts that are cut off, frozen or without a socket for a while. */
  get #storm(): readonly Fault[] {
    return [...this.#faults.slice(4, 8), ...this.#faults.slice(6, 8), ...this.#faults.slice(0, 1)];
  }

  #freeze(): string | undefined {
    const node = this.#someone();
    if (!node || node.frozen) return undefined;
    this.world.say(node.id, () => "freezes");
    node.freeze();
    this.world.clock.after(this.#while(), () => {
      if (!node.frozen) return;
      this.world.say(node.id, () => "thaws");
      node.thaw();
    });
    return "freeze";
  }

  /** Cuts off the host and some others from the server, not from each other: an office whose line is down. */
  #split(): string | undefined {
    const { random, clock, profile } = this.world;
    const host = this.#live.find((node) => node.id === this.#server.host);
    const office = this.#live.filter((node) => node === host || random.chance(0.4));
    if (!host || !profile.p2p || office.length < 2 || office.length === this.#live.length)
      return undefined;
    const long = random.int(500, profile.resumeMs * 2.5);
    this.world.say(
      "",
      () => `${office.map(({ id }) => id).join(" ")} are cut off together for ${long}`,
    );
    for (const node of office) {
      node.connection.barredUntil = clock.now + long;
      if (node.online) node.dropSocket(random.int(0, 300), random.int(0, 300));
      for (const link of node.links)
        if (!office.some(({ id }) => id === link.other(node.id).id)) this.#block(link, long);
    }
    return "cut off together";
  }

  #link() {
    const links = this.#live.flatMap((node) => node.links);
    return links.length > 0 ? this.world.random.pick(links) : undefined;
  }

  #block(link: Link, ms: number): void {
    link.blocked = true;
    this.world.clock.after(ms, () => link.free());
  }

  #calm(): void {
    const { world } = this;
    world.quiet = true;
    world.say("", () => "--- quiet ---");
    if (this.#server.inHalves) this.#heal([]);
    for (const node of this.#live) {
      if (node.frozen) node.thaw();
      node.connection.barredUntil = 0;
      node.connection.heldUntil = 0;
      node.connection.show();
      for (const link of node.links) link.free();
      for (const link of ["relay", "states"] as const)
        node.feed({ type: "pressure", link, high: false });
      for (const other of this.#nodes) node.feed({ type: "pressure", link: other.id, high: false });
    }
  }
}
