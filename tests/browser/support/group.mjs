// A page of group members that send messages all the time while one host after another dies. Each
// member has its own browser process and keeps a diary. At the end all diaries must be equal.
import assert from "node:assert/strict";
import { kill } from "./process.mjs";
import { tally } from "./tally.mjs";
import { show, until, untilState } from "./until.mjs";

/** Settings of the server and options of the members, by mode. */
export const modes = {
  p2p: { server: {}, options: {} },
  "relay only": { server: {}, options: { p2p: false } },
  "relay forbidden": { server: { RELAY__ENABLED: "false" }, options: {} },
};

export const kinds = ["killed", "stopped", "closed", "navigated", "resigned", "server"];

/** Current time in ms, by the same clock as `now()` in the pages. */
export const clock = () => performance.timeOrigin + performance.now();
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Ends a host in the given way. */
export async function die(kind, { browser, tab }) {
  switch (kind) {
    case "killed":
      return browser.kill();
    case "stopped":
      return kill(browser.pid, "SIGSTOP");
    case "closed":
      return tab.close();
    case "navigated":
      return void (await tab.goto("about:blank"));
    case "resigned":
      return tab.evaluate(() => group.resign());
  }
}

export class Member {
  /** Opens a page that joins as a member. `policy` is a Content Security Policy for the page. */
  static async join(browser, site, name, options, { policy } = {}) {
    const tab = await browser.tab(`${site.url}/group.html`);
    await tab.waitForFunction(() => window.ready);
    if (policy)
      await tab.evaluate(
        (content) =>
          document.head.append(
            Object.assign(document.createElement("meta"), {
              httpEquiv: "Content-Security-Policy",
              content,
            }),
          ),
        policy,
      );
    const id = await tab.evaluate(
      ([name, options]) => begin(name, options, { snapshots: true }),
      [name, options],
    );
    return new Member(browser, tab, name, id);
  }

  constructor(browser, tab, name, id) {
    Object.assign(this, { browser, tab, name, id });
  }

  summary = () => this.tab.evaluate(() => summary());
}

export class Crowd {
  static serve = (world, settings) => world.server(settings);

  members = [];
  #names = 0;

  constructor(world, server, site, options) {
    Object.assign(this, { world, server, site, options });
  }

  /**
   * Starts one member in each of `browsers` (names of `World` methods). All send messages, and all
   * have the path of their mode. `Kind` is the class of the crowd.
   */
  static async gather(
    world,
    {
      mode = "p2p",
      browsers = Array(5).fill("browser"),
      everyMs = 50,
      settings = {},
      Kind = Crowd,
    } = {},
  ) {
    const { server: modeSettings, options } = modes[mode];
    const [server, site] = await Promise.all([
      Kind.serve(world, { ...modeSettings, ...settings }),
      world.site(),
    ]);
    const crowd = new Kind(world, server, site, {
      page: "https://example.org/crowd",
      debug: true,
      ...options,
    });
    crowd.everyMs = everyMs;
    crowd.mode = mode;
    for (const kind of browsers) await crowd.add(await world[kind]());
    await crowd.settled();
    return crowd;
  }

  async add(browser, name = `m${++this.#names}`) {
    const options = { server: this.nextAddress, ...this.options };
    const member = await Member.join(browser, this.site, name, options);
    this.members.push(member);
    if (this.everyMs > 0) await member.tab.evaluate((ms) => chat(ms), this.everyMs);
    return member;
  }

  /** Address at which the next member finds the server. */
  get nextAddress() {
    return this.server.url;
  }

  /** Waits until every member sees all members and has the path of its mode to the host. */
  async settled(within = 25_000) {
    const path = this.mode === "relay only" ? "relay" : "p2p";
    await untilState(
      "all members to see each other and the host",
      () => Promise.all(this.members.map((m) => m.summary())),
      (all) =>
        all.every(
          (s) =>
            s.members === this.members.length &&
            s.host === all[0].host &&
            (s.isHost || s.path === path),
        ),
      within,
    );
  }

  async host() {
    const { host } = await this.members[0].summary();
    return this.members.find(({ id }) => id === host);
  }

  /** Makes a member in a browser of this kind the host. */
  async appoint(kind) {
    const host = await this.host();
    if (host.browser.kind === kind) return;
    const next = this.members.find(({ browser }) => browser.kind === kind);
    await host.tab.evaluate((id) => group.resign(id), next.id);
    await untilState(
      `${next.name} to host`,
      () => Promise.all(this.members.map((m) => m.summary())),
      (all) => all.every((s) => s.host === next.id),
    );
    await this.settled();
  }

  /**
   * Ends the host and waits until every survivor was handed a message of the next host. Returns how
   * long that took for each survivor, in ms.
   */
  async death(kind) {
    const host = await this.host();
    const { epoch } = await host.summary();
    const survivors = this.members.filter((member) => member !== host);
    if (kind === "server") return this.#serverDies(epoch);
    const at = clock();
    await die(kind, host);
    const firsts = () =>
      Promise.all(
        survivors.map(({ tab }) =>
          tab.evaluate((epoch) => {
            const first = diary.times.find(([, e]) => e > epoch);
            return first?.[0];
          }, epoch),
        ),
      );
    const times = await untilState(
      `the survivors to hear the next host (${kind})`,
      firsts,
      (all) => all.every(Boolean),
      20_000,
    );
    await this.#replace(kind, host);
    return times.map((time) => time - at);
  }

  async #replace(kind, host) {
    if (kind === "resigned") return this.settled();
    if (kind === "stopped") {
      // The old host learns that it was replaced and becomes an ordinary member.
      await sleep(1_500);
      kill(host.browser.pid, "SIGCONT");
      return this.settled();
    }
    this.members = this.members.filter((member) => member !== host);
    if (kind === "navigated") await host.tab.close();
    await this.add(kind === "killed" ? await this.world[host.browser.kind]() : host.browser);
    await this.settled();
  }

  /** Restarts the server. No host may change. Returns the longest silence of each member, in ms. */
  async #serverDies(epoch) {
    const at = clock();
    await this.server.end("SIGKILL");
    await sleep(700);
    await this.server.begin();
    await until("all members to be connected again", async () => {
      const times = await Promise.all(
        this.members.map(({ tab }) =>
          tab.evaluate(() => [
            group.epoch,
            diary.events.filter((e) => e.kind === "status").at(-1)?.state,
          ]),
        ),
      );
      return clock() - at > 3_000 && times.every(([, state]) => state === "open");
    });
    await this.settled();
    const gaps = await Promise.all(
      this.members.map(({ tab }) =>
        tab.evaluate((at) => {
          const times = diary.times.map(([t]) => t).filter((t) => t > at - 1000);
          return Math.max(...times.slice(1).map((t, i) => t - times[i]));
        }, at),
      ),
    );
    const epochs = await Promise.all(
      this.members.map(({ tab }) => tab.evaluate(() => group.epoch)),
    );
    assert.deepEqual(
      epochs,
      epochs.map(() => epoch),
      "a restart of the server must not change the host",
    );
    return gaps;
  }

  /**
   * Stops the senders, waits until every send is settled, and compares the diaries. Returns the
   * counts.
   */
  async compare({ strict = true } = {}) {
    await Promise.all(this.members.map(({ tab }) => tab.evaluate(() => hush())));
    const all = () => Promise.all(this.members.map((m) => m.summary()));
    await untilState(
      "every send to be resolved",
      all,
      (all) => all.every((s) => s.resolved === s.said),
      15_000,
    );
    const lengths = () =>
      Promise.all(this.members.map(({ tab }) => tab.evaluate(() => getState().length)));
    await untilState(
      "all members to have equally many messages",
      lengths,
      (all) => all.every((n) => n === all[0]),
      8_000,
    );
    const diaries = await Promise.all(
      this.members.map(({ tab }) =>
        tab.evaluate(() => ({
          name,
          heard: getState(),
          said: diary.resolved,
          rejected: diary.rejected,
          events: diary.events,
        })),
      ),
    );
    const messages = diaries[0].heard.length;
    const result = { messages, ...tally(diaries) };
    const rejected = diaries.flatMap(({ rejected }) => rejected);
    const incomplete = diaries.flatMap(({ events }) =>
      events.filter((e) => e.kind === "recovered" && !e.complete),
    );
    if (strict || rejected.length + incomplete.length > 0)
      assert.deepEqual(
        { ...result, rejected, incomplete },
        { messages, lost: 0, repeated: 0, reordered: 0, rejected: [], incomplete: [] },
        show(await all()),
      );
    if (this.everyMs > 0)
      await Promise.all(
        this.members.map(({ tab }) => tab.evaluate((ms) => chat(ms), this.everyMs)),
      );
    return result;
  }
}
