// A page of which one member is on a node that alone loses Redis for a while. All members talk. They
// are no browsers: the library's own shell and state machine run over `ws`.
import assert from "node:assert/strict";
import { sleep } from "./group.mjs";
import { until, untilState } from "./until.mjs";

const page = "https://example.org/island";
/** Messages a second of all members of the mainland. */
const PER_S = 20;
/** Longest time for each step, on a machine that does other work. */
const PATIENCE_MS = 60_000;

export class Island {
  /**
   * Lets `count` members join, one of them on the node that is to be cut off. With `hosts` that
   * member is the first and hosts on that node; else the page and its host are elsewhere.
   */
  static async gather(world, { count, hosts }) {
    const island = new Island();
    const { doors } = await world.cluster({
      redisPort: async (port, index) =>
        index > 0 ? port : (island.wire = await world.proxy(port)).port,
    });
    const sockets = (door) => world.sockets(door, page, { mayHost: true });
    const [alone, mainland] = await Promise.all(doors.slice(0, 2).map(sockets));
    Object.assign(island, { doors, alone, mainland, count });
    const joins = [() => island.#aloneJoins(), () => island.#mainlandJoins()];
    for (const join of hosts ? joins : joins.reverse()) await join();
    await island.#whole();
    return island;
  }

  async #aloneJoins() {
    await this.alone.join(1);
    await until("the member to be in", () => this.alone.see(1));
  }

  async #mainlandJoins() {
    const others = this.count - 1;
    const half = Math.ceil(others / 2);
    await this.mainland.join(half, this.doors[1].url);
    await this.mainland.join(others - half, this.doors[2].url);
    await until("the mainland to be in", () => this.mainland.see(others), PATIENCE_MS);
  }

  /** All members talk, each equally much. */
  async talk() {
    await this.mainland.chat(PER_S);
    await this.alone.chat(PER_S / (this.count - 1));
  }

  /** Cuts the node off from Redis, and waits until the mainland has gone on without its member. */
  async part() {
    this.wire.down();
    await untilState(
      "the mainland to go on without the member",
      () => this.mainland.seen(),
      ([, most]) => most === this.count - 1,
      PATIENCE_MS,
    );
  }

  /** Ends the cut, and waits until everybody sees everybody. */
  async heal() {
    this.wire.up();
    await this.#whole();
  }

  async #whole() {
    for (const members of [this.mainland, this.alone])
      await until("all to see all", () => members.see(this.count), PATIENCE_MS);
  }

  /** Messages that were sent and have not come back, of the mainland and of the member alone. */
  async unresolved() {
    const both = await Promise.all([this.mainland.summary(), this.alone.summary()]);
    return both.map(({ unresolved }) => unresolved);
  }

  /**
   * Stops all senders. Fails unless every member has the same messages in the end, in each sender's
   * order: all that were sent, once. Messages whose sender was told that they may be lost
   * (`rejected`) may be missing. Returns counts, and the troubles of both parts.
   */
  async compare() {
    const both = (look) => Promise.all([this.mainland, this.alone].map(look));
    await both((members) => members.hush());
    await untilState(
      "all messages to come back",
      () => this.unresolved(),
      (counts) => counts.every((count) => count === 0),
      PATIENCE_MS,
    );
    const said = (await both((members) => members.said())).flat();
    const rejected = new Set((await both((members) => members.rejected())).flat());
    const least = said.reduce((sum, [, count]) => sum + count, -rejected.size);
    await untilState(
      `all members to have the same ${least} messages or more`,
      async () => (await both((members) => members.summary())).flatMap((s) => s.delivered),
      (counts) => counts.every((count) => count === counts[0] && count >= least),
      PATIENCE_MS,
    );
    const heard = await this.mainland.heard();
    assert.deepEqual((await both((members) => members.others(heard))).flat(), []);
    for (const [name, count] of said) {
      const all = Array.from({ length: count }, (_, i) => `${name}#${i + 1}`);
      const came = heard.filter((word) => word.startsWith(`${name}#`));
      const may = new Set(came);
      assert.deepEqual(
        came,
        all.filter((word) => !rejected.has(word) || may.has(word)),
        `${name}'s messages are not all there, once, in order`,
      );
    }
    const [mainland, alone] = await both((members) => members.summary());
    return {
      messages: heard.length,
      rejected: rejected.size,
      troubles: { mainland: mainland.troubles, alone: alone.troubles },
    };
  }
}

/** Parts a page for `seconds`, and returns what `compare` does and how long the parts took. */
export async function partForAWhile(world, { seconds, ...options }) {
  const island = await Island.gather(world, options);
  await island.talk();
  await until("all to have talked", async () => (await island.mainland.heard()).length > 50);
  const cutAt = performance.now();
  await island.part();
  const parted = performance.now() - cutAt;
  await sleep(seconds * 1000 - parted);
  const unresolved = await island.unresolved();
  const healedAt = performance.now();
  await island.heal();
  const healed = performance.now() - healedAt;
  return { ...(await island.compare()), unresolved, parted, healed };
}
