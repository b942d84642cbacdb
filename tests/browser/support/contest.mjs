// Five pages that pass messages on as fast as they can, with this library or with stock PeerJS
// (pages/throughput-*.html).
import assert from "node:assert/strict";
import { sleep } from "./group.mjs";
import { untilState } from "./until.mjs";

export const contenders = ["peerstar", "PeerJS json", "PeerJS binary"];
const WARM_MS = 1_000;

export class Contest {
  /**
   * Starts a host and four members, each in its own browser, and waits until data channels link
   * them all.
   */
  static async gather(world, contender, browsers) {
    const [server, site] = await Promise.all([
      contender === "peerstar" ? world.server() : world.plainServer(),
      world.site(),
    ]);
    const page = contender === "peerstar" ? "throughput-group" : "throughput-plain";
    const tabs = [];
    for (const [i, browser] of browsers.entries()) {
      const tab = await browser.tab(`${site.url}/${page}.html`);
      tabs.push(tab);
      await tab.waitForFunction(() => window.loaded);
      if (contender === "peerstar")
        await tab.evaluate((options) => begin(options), {
          page: "https://example.org/throughput",
          server: server.url,
        });
      else
        await tab.evaluate(
          (given) => begin(...given),
          [`p${i}`, server.peerOptions, contender.split(" ")[1], "p0"],
        );
      if (i === 0 && contender === "peerstar")
        await untilState("the first to host", () => tab.evaluate(() => isHost()), Boolean);
    }
    const contest = new Contest(tabs);
    if (contender === "peerstar")
      await untilState(
        "all members to be linked",
        () => contest.#each(() => ready() && members()),
        (all) => all.every((n) => n === tabs.length),
        20_000,
      );
    else
      await untilState(
        "all pages to be linked",
        () => tabs[0].evaluate(() => links()),
        (n) => n === tabs.length - 1,
      );
    return contest;
  }

  constructor(tabs) {
    this.tabs = tabs;
  }

  #each = (work) => Promise.all(this.tabs.map((tab) => tab.evaluate(work)));

  /**
   * Returns the messages delivered per second in the slowest page. Fails unless every page received
   * every message once and in order.
   */
  async run({ hostSends, inFlight, forMs, warmMs = WARM_MS }) {
    const sender = this.tabs[hostSends ? 0 : 1];
    await this.tabs[2].evaluate((yes) => void (window.witness = yes), hostSends);
    const before = (await this.#each(() => count()))[0].last;
    await sender.evaluate(
      ([inFlight, from]) => {
        flow.sent = from;
        flow.start(inFlight);
      },
      [inFlight, before],
    );
    await sleep(warmMs);
    const look = () => this.#each(() => [performance.now(), count().last]);
    const [from, , to] = [await look(), await sleep(forMs), await look()];
    await sender.evaluate(() => flow.stop());
    const sent = await sender.evaluate(() => flow.sent);
    const counts = await untilState(
      "all messages to arrive",
      () => this.#each(() => count()),
      (all) => all.every(({ last, wrong }) => last + wrong >= sent),
    );
    assert.deepEqual(
      counts.map(({ last, wrong }) => [last, wrong]),
      counts.map(() => [sent, 0]),
      "every page receives each message once and in order",
    );
    assert.ok(sent > before, "the sender sent something");
    return Math.min(...to.map(([at, last], i) => ((last - from[i][1]) * 1000) / (at - from[i][0])));
  }

  async end() {
    for (const tab of this.tabs) await tab.context().close();
  }
}
