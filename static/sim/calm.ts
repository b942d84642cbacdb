// Long stretches in which nobody dies: joins take seconds, links fall silent for a while, and no host may change.

import { Node } from "./node.ts";
import { Observer } from "./observer.ts";
import { Server } from "./server.ts";
import { Failure, World, type Profile } from "./world.ts";

export interface CalmOptions {
  readonly minutes: number;
  readonly deputies: boolean;
  /** Time between two deaths of hosts, in ms; 0 for none. */
  readonly deathMs: number;
}

export interface Calm {
  readonly deaths: number;
  /** Number of changes of host. */
  readonly elections: number;
  readonly counts: ReadonlyMap<string, number>;
}

const SILENCE_MS = 2000;
const MEMBERS = 6;

/** People's networks: no relay, dials of 1 to 8 s, losses that silence a link for 2 s now and then. */
const rough: Partial<Profile> = {
  nodes: MEMBERS,
  givers: "all",
  relay: false,
  p2p: true,
  loss: 0.02,
  repeat: 0,
  reorder: 0.05,
  latencyMs: 100,
  resumeMs: 30_000,
  settings: {},
  small: false,
  storm: false,
  stock: false,
  rights: false,
  star: 64,
  hides: false,
  stateMs: 0,
  slowDials: true,
  dialLoss: 0,
};

/** Runs one calm stretch to its end, in which members join, talk and lose their links for 2 s.
 *
 * @throws {Failure} When a guarantee is broken.
 */
export function calm(seed: number, { minutes, deputies, deathMs }: CalmOptions): Calm {
  const counts = new Map<string, number>();
  const world = new World(seed, counts, false, { ...rough, deputies });
  const server = new Server(world);
  const nodes: Node[] = [];
  const live = (): Node[] => nodes.filter(({ alive }) => alive);
  const observer = new Observer(
    world,
    server,
    () => nodes,
    () => [],
  );
  const { clock, random } = world;
  const end = minutes * 60_000;
  let deaths = 0;

  const join = (): void => {
    const id = String.fromCharCode(97 + nodes.length);
    nodes.push(
      new Node(
        id,
        world,
        server,
        observer,
        (peer) => nodes.find((node) => node.id === peer),
        () => {},
      ),
    );
  };
  const every = (ms: () => number, what: () => void): void => {
    clock.after(ms(), () => {
      if (clock.now >= end) return;
      what();
      every(ms, what);
    });
  };

  join();
  for (let i = 1; i < MEMBERS; i++)
    clock.after(i < 3 ? random.int(0, 300) : random.int(0, end / 2), join);
  every(
    () => 2000,
    () => random.pick(live()).send(),
  );
  every(
    () => random.int(3000, 9000),
    () => {
      const links = live().flatMap((node) => node.links);
      if (links.length === 0) return;
      const link = random.pick(links);
      link.blocked = true;
      clock.after(SILENCE_MS, () => link.free());
    },
  );
  if (deathMs > 0)
    every(
      () => deathMs,
      () => {
        const host = live().find(({ id }) => id === server.host);
        if (!host || live().length < 3) return;
        deaths++;
        host.crash(30);
        join();
      },
    );
  clock.until(end);
  world.quiet = true;
  for (const link of live().flatMap((node) => node.links)) link.free();
  for (let t = 0; t < 60_000 && !observer.converged(live()); t += 500) clock.until(clock.now + 500);
  observer.finish(live());
  const elections = [...counts]
    .filter(([what]) => what.startsWith("server: host changed"))
    .reduce((sum, [, n]) => sum + n, 0);
  if (elections < deaths) throw new Failure("calm", `${deaths} deaths and ${elections} elections`);
  return { deaths, elections, counts };
}
