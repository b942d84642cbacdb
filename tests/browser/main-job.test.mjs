// The main job of the project. Five browsers share a page, and the first is the host. All are
// linked to it with stock PeerJS over WebRTC. Whenever the host dies, another member becomes the
// host, and all are linked to that one.
import assert from "node:assert/strict";
import { scenario } from "./support/scenario.mjs";
import { untilState } from "./support/until.mjs";

const MEMBERS = 5;
const DEATHS = 10;
const PAGE = "https://lab.example/workflows/42?view=ü";

scenario(
  "a page keeps its star through ten deaths of its host",
  async (world) => {
    const [server, site] = await Promise.all([world.server(), world.site()]);
    const options = { ...server.peerOptions, path: `/pages/${encodeURIComponent(PAGE)}/` };
    const members = new Map();
    let born = 0;

    async function arrive() {
      const id = `member-${++born}`;
      const browser = await world.browser();
      const tab = await browser.tab(`${site.url}/member.html`);
      assert.equal(
        await tab.evaluate(([id, options]) => begin(id, options), [id, options]),
        "open",
      );
      members.set(id, { id, browser, tab });
      return id;
    }

    const states = () =>
      Promise.all([...members.values()].map(({ tab }) => tab.evaluate(() => state())));

    /** Waits until all members agree on a live host and each has an open link to it. */
    async function star(what) {
      const ids = [...members.keys()].sort();
      const all = await untilState(what, states, (all) => isStar(all, ids), 20_000);
      return all[0];
    }

    /**
     * Lets each member send a message that the host passes on. Waits until each received all of
     * them.
     */
    async function everybodyIsHeard(round) {
      const words = [...members.keys()].map((id) => `${round} by ${id}`);
      await Promise.all(
        [...members.values()].map(({ id, tab }) =>
          tab.evaluate((words) => say(words), `${round} by ${id}`),
        ),
      );
      const heard = () =>
        Promise.all([...members.values()].map(({ tab }) => tab.evaluate(() => heard)));
      const all = await untilState(`all to hear all of ${round}`, heard, (all) =>
        all.every((one) => words.every((word) => one.includes(word))),
      );
      // All members have the host's order.
      const order = all.map((one) => one.filter((word) => words.includes(word)));
      for (const other of order) assert.deepEqual(other, order[0]);
    }

    const first = await arrive();
    for (let i = 1; i < MEMBERS; i++) await arrive();
    let { host, epoch } = await star("five members to be linked to the first");
    assert.equal(host, first, "the first to view the page is its host");
    await everybodyIsHeard("round 0");

    const took = { killed: [], closed: [] };
    const hosts = [host];
    for (let death = 1; death <= DEATHS; death++) {
      const how = death % 2 ? "killed" : "closed";
      const dead = members.get(host);
      members.delete(host);
      const start = performance.now();
      await (how === "killed" ? dead.browser.kill() : dead.tab.close());
      const next = await star(`the others to be linked to a new host after ${host} was ${how}`);
      took[how].push(Math.round(performance.now() - start));
      assert.notEqual(next.host, host);
      assert.ok(
        next.epoch > epoch,
        `the epoch grows with every host: ${epoch}, then ${next.epoch}`,
      );
      assert.equal(next.cause, "left");
      ({ host, epoch } = next);
      hosts.push(host);
      await everybodyIsHeard(`round ${death}`);

      await dead.browser.end();
      await arrive();
      const after = await star("a newcomer to be linked to the host that is there");
      assert.deepEqual([after.host, after.epoch], [host, epoch], "a join changes no host");
    }

    // No member was told two hosts for one epoch, or an older epoch after a newer one.
    const byEpoch = new Map();
    for (const { id, tab } of members.values()) {
      let last = 0;
      for (const { host, epoch } of await tab.evaluate(() => assignments)) {
        assert.ok(epoch >= last, `${id} was told epoch ${epoch} after ${last}`);
        assert.equal(byEpoch.get(epoch) ?? host, host, `two hosts in epoch ${epoch}`);
        byEpoch.set(epoch, host);
        last = epoch;
      }
    }
    world.note(`hosts in turn: ${hosts.join(" ")}`);
    world.note(
      `all linked again, ms after a kill: ${took.killed.join(" ")}; after a closed tab: ${took.closed.join(" ")}`,
    );
  },
  300_000,
);

function isStar(all, ids) {
  const { host, epoch } = all[0];
  if (!ids.includes(host)) return false;
  const others = ids.filter((id) => id !== host);
  return all.every(
    (one) =>
      one.host === host &&
      one.epoch === epoch &&
      String(one.linked) === String(one.me === host ? others : [host]),
  );
}
