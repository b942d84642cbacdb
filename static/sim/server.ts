// The server: one process, or two halves of a page for a while. The half with the record is the main one; the other,
// the island, says after a while that it is alone. On healing the members of the island go over to the main half.

import type { Dialled } from "./addon.ts";
import { Process, Terms, type Stray } from "./process.ts";
import type { Socket } from "./socket.ts";
import type { World } from "./world.ts";

/** Number of slots: the most processes that share the epochs. */
const SLOTS = 256;
/** Longest time that a half which has lost its lease takes to say so, in the server's time. */
const LEASE_MS = 4000;
/** Longest time from then on until the other half goes on without it, in the server's time. */
const BURIAL_MS = 4000;
/** Longest time until a session is with its new process. */
const RESUME_MS = 40;

export class Server {
  readonly #world: World;
  readonly #terms = new Terms();
  /** Number of processes so far. Where the page is in halves now and then, each has another slot. */
  #processes = 0;
  #main: Process;
  #island: Process | undefined;
  /** Members on the island, while the page is in halves. */
  #islanders: Set<string> | undefined;
  /** Whether the process of a half is yet to begin. */
  #isBeginning = false;
  /** Number of times that the page was in halves. */
  cuts = 0;

  constructor(world: World) {
    this.#world = world;
    this.#main = this.#process();
  }

  #process(): Process {
    const slot = this.#processes++ % SLOTS;
    const { halves } = this.#world.profile;
    return new Process(this.#world, this.#terms, halves === "none" ? undefined : slot);
  }

  // --- what the checks ask ---

  /** The host in the main half. */
  get host(): string | undefined {
    return this.#main.host;
  }

  get epoch(): number {
    return this.#main.epoch;
  }

  /** When the host of each past epoch was replaced: the checks take it for the truth. */
  get ended(): ReadonlyMap<number, number> {
    return this.#terms.ended;
  }

  get up(): boolean {
    return this.#main.up;
  }

  get steady(): boolean {
    return this.#main.steady && !this.inHalves;
  }

  get inHalves(): boolean {
    return this.#islanders !== undefined;
  }

  /** The hosts of all halves. */
  get hosts(): readonly string[] {
    return [this.#main.host, this.#island?.host].filter((host) => host !== undefined);
  }

  /** A newcomer dials the island, while there is one. */
  comesToIsland(id: string): void {
    this.#islanders?.add(id);
  }

  isOnIsland(id: string): boolean {
    return this.#islanders?.has(id) ?? false;
  }

  /** Returns whether the half of a member says that it hosts in this epoch. */
  confirms(id: string, epoch: number): boolean {
    const half = this.#half(id);
    return half?.host === id && half.epoch === epoch;
  }

  /** Returns whether two members can open a data channel, as far as the halves go. */
  connects(a: string, b: string): boolean {
    return this.isOnIsland(a) === this.isOnIsland(b);
  }

  // --- sockets ---

  connect(dialled: Omit<Dialled, "session">, socket: Socket): void {
    const half = this.#half(dialled.id);
    if (half) half.connect(dialled, socket);
    else socket.closeClient();
  }

  /** Returns the process of a member's half; undefined if it has yet to begin. */
  #half(id: string): Process | undefined {
    return this.isOnIsland(id) ? this.#island : this.#isBeginning ? undefined : this.#main;
  }

  // --- faults ---

  losePage(): void {
    const { random } = this.#world;
    if (this.#isBeginning) return;
    (this.#island && random.chance(0.5) ? this.#island : this.#main).losePage();
  }

  restart(downMs: number, backMs: number): void {
    this.#main.restart(downMs, backMs);
  }

  /**
   * Parts the page. The process stays with one of the halves, and the other half gets one of its own, once the
   * lease of the first is over.
   */
  cut(islanders: Set<string>, all: readonly string[]): void {
    const { clock, random, pace } = this.#world;
    const cut = ++this.cuts;
    const keepsIsland = random.chance(0.5);
    const staying = this.#main;
    const moved = all.filter((id) => islanders.has(id) !== keepsIsland);
    const leaseMs = random.int(0, LEASE_MS / pace);
    const beginMs = leaseMs + random.int(0, BURIAL_MS / pace);
    const resumes = random.chance(0.6);
    const strays = moved.flatMap((id) => staying.release(id, random.int(0, beginMs)));
    this.#islanders = islanders;
    this.#isBeginning = true;
    if (keepsIsland) {
      this.#island = staying;
      clock.after(leaseMs, () => {
        if (this.#isIn(cut)) staying.beAlone();
      });
    }
    clock.after(beginMs, () => {
      if (!this.#isIn(cut)) return this.#rehome(strays, resumes);
      this.#isBeginning = false;
      const process = this.#process();
      if (keepsIsland) this.#main = process;
      else {
        this.#island = process;
        process.beAlone();
      }
      this.#rehome(strays, resumes);
    });
  }

  #isIn(cut: number): boolean {
    return this.inHalves && this.cuts === cut;
  }

  /** The halves are one again. The half with the record has won. Returns false if a half has yet to begin. */
  heal(): boolean {
    const { random } = this.#world;
    if (this.#isBeginning) return false;
    const island = this.#island;
    // A half that yields says so, also of what it did before it could know.
    island?.beAlone();
    const strays = island?.retire() ?? [];
    this.#island = undefined;
    this.#islanders = undefined;
    this.#rehome(strays, random.chance(0.6));
    return true;
  }

  /** Brings sessions to their half, or lets their clients dial again. */
  #rehome(strays: readonly Stray[], resumes: boolean): void {
    const { clock, random } = this.#world;
    for (const stray of strays)
      clock.after(random.int(0, RESUME_MS), () => {
        const { id } = stray.dialled;
        const half = this.#half(id);
        const isNewest = strays.findLast(({ dialled }) => dialled.id === id) === stray;
        if (half && resumes && isNewest && !half.knows(id)) half.adopt(stray);
        else stray.socket.die(random.int(0, 300), 0);
      });
  }
}
