// A page of 1,000 members through three changes of host: five browsers, one of them Firefox, and a
// crowd that the server relays to.
import assert from "node:assert/strict";
import { Member } from "./support/group.mjs";
import { scenario } from "./support/scenario.mjs";
import { until, untilState } from "./support/until.mjs";

const BROWSERS = 5;
const CROWD = 995;
/** Number of members that join at once. The next wave joins when these have joined. */
const WAVE = 200;
/** Messages a second from the crowd. Each browser sends one a second, and all together send 20. */
const CROWD_PER_S = 20 - BROWSERS;
/** Number of messages before each change of host and after the last. */
const TALK = 50;
/** Longest time for each step, on a machine that does other work. */
const PATIENCE_MS = 60_000;

const page = "https://example.org/large";

class Page {
  static async gather(world) {
    const [server, site] = await Promise.all([world.server(), world.site()]);
    const crowd = await world.sockets(server, page);
    const members = [];
    for (let i = 1; i <= BROWSERS; i++)
      members.push(
        await Member.join(
          await (i === 2 ? world.firefox() : world.browser()),
          site,
          `browser${i}`,
          { page, server: server.url },
        ),
      );
    for (let joined = 0; joined < CROWD; ) {
      joined = await crowd.join(Math.min(WAVE, CROWD - joined));
      await until(`${joined} to be in`, () => crowd.see(joined), PATIENCE_MS);
    }
    const gathered = new Page(world, crowd, members);
    const all = CROWD + BROWSERS;
    await gathered.#browsers(
      "to see all, over data channels",
      () => summary(),
      (s) => s.members === all && (s.isHost || s.path === "p2p"),
    );
    await until("the crowd to see all", () => crowd.see(all), PATIENCE_MS);
    return gathered;
  }

  constructor(world, crowd, members) {
    Object.assign(this, { world, crowd, members });
  }

  async talk() {
    await Promise.all([
      this.crowd.chat(CROWD_PER_S),
      ...this.members.map(({ tab }) => tab.evaluate(() => chat(1_000))),
    ]);
    await this.#talked();
  }

  /**
   * Ends the host while all members send. Waits until all were handed a message of the next host.
   */
  async change(kind, goes) {
    const { host: id, epoch } = await this.members[0].summary();
    const host = this.members.find((member) => member.id === id);
    assert.ok(host, "a member that is not eligible hosts");
    if (kind !== "resigned") this.members = this.members.filter((member) => member !== host);
    const at = performance.now();
    await goes(host);
    await this.#heard(`the next host (${kind})`, (e) => e > epoch);
    this.world.note(
      `${kind}: all heard the next host within ${Math.round(performance.now() - at)} ms`,
    );
    await this.#talked();
  }

  /** Waits until every member of the crowd was handed `TALK` further messages. */
  async #talked() {
    const {
      delivered: [, most],
    } = await this.crowd.summary();
    await this.#crowd("to go on", ({ delivered: [least] }) => least >= most + TALK);
  }

  /** Waits until every member was handed a message whose epoch `epoch` accepts. */
  async #heard(whom, epoch) {
    await this.#crowd(`to hear ${whom}`, (s) => epoch(s.epoch));
    await this.#browsers(`to hear ${whom}`, () => diary.times.at(-1)?.[1] ?? 0, epoch);
  }

  #crowd = (what, good) => untilState(`the crowd ${what}`, this.crowd.summary, good, PATIENCE_MS);
  #browsers = (what, look, good) =>
    untilState(
      `the browsers ${what}`,
      () => Promise.all(this.members.map(({ tab }) => tab.evaluate(look))),
      (each) => each.every(good),
      PATIENCE_MS,
    );

  /** Stops all senders and waits until every member has every message. */
  async hush() {
    await Promise.all([
      this.crowd.hush(),
      ...this.members.map(({ tab }) => tab.evaluate(() => hush())),
    ]);
    await this.#crowd("to have its own messages back", ({ unresolved }) => unresolved === 0);
    await this.#browsers(
      "to have their own messages back",
      () => summary(),
      (s) => s.resolved === s.said,
    );
    const lengths = async () => [
      ...(await this.crowd.summary()).delivered,
      ...(await Promise.all(this.members.map(({ tab }) => tab.evaluate(() => getState().length)))),
    ];
    await untilState(
      "all members to have equally many messages",
      lengths,
      (each) => each.every((n) => n === each[0]),
      PATIENCE_MS,
    );
  }

  /**
   * Fails unless every member has the same messages: all that were sent, once, in their sender's
   * order. Returns their number.
   */
  async compare() {
    const diaries = await Promise.all(
      this.members.map(({ tab }) =>
        tab.evaluate(() => ({ name, said: summary().said, state: getState() })),
      ),
    );
    const [{ state }] = diaries;
    for (const { name, state: other } of diaries)
      assert.deepEqual(other, state, `${name} was handed something else`);
    assert.deepEqual(await this.crowd.others(state), []);
    const counts = new Map();
    for (const word of state) {
      const [name, n] = word.split("#");
      assert.equal(
        Number(n),
        (counts.get(name) ?? 0) + 1,
        `${name}'s messages are not all there, once, in order`,
      );
      counts.set(name, Number(n));
    }
    for (const [name, said] of [
      ...(await this.crowd.said()),
      ...diaries.map(({ name, said }) => [name, said]),
    ]) {
      assert.equal(counts.get(name) ?? 0, said, `${name} said more than was heard`);
    }
    assert.deepEqual((await this.crowd.summary()).troubles, []);
    const troubles = await Promise.all(
      this.members.map(({ tab }) =>
        tab.evaluate(() => [
          ...diary.rejected,
          ...diary.events.filter(
            (e) =>
              e.kind === "error" || e.kind === "close" || (e.kind === "recovered" && !e.complete),
          ),
        ]),
      ),
    );
    assert.deepEqual(troubles.flat(), []);
    return state.length;
  }
}

scenario(
  "1,000 members receive the same messages through three changes of host",
  async (world) => {
    const began = performance.now();
    const large = await Page.gather(world);
    world.note(`all together after ${Math.round(performance.now() - began)} ms`);
    await large.talk();
    await large.change("killed", ({ browser }) => browser.kill());
    await large.change("closed", ({ tab }) => tab.close());
    await large.change("resigned", ({ tab }) => tab.evaluate(() => group.resign()));
    await large.hush();
    world.note(`${await large.compare()} messages, the same for all`);
  },
  300_000,
);
