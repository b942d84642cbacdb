// A page of members on rough wires, each in a browser of its own, who talk all the time while something happens to them:
// see `factors` in matrix.mjs. What came of it is counted, not asserted.
import { clock, die, Member, sleep } from "../group.mjs";
import { kill } from "../process.mjs";
import { quantile, tally } from "../tally.mjs";
import { until, untilState } from "../until.mjs";
import { deaths, pace } from "./matrix.mjs";
import { Network } from "./network.mjs";

const BLACKOUT_MS = 3_000;
const NARROW_BITS_PER_S = 1_000_000;
/** Characters in the state that a newcomer on narrow wires is given. */
const LONG_STATE = 100_000;
/** A data channel takes seconds on a rough wire. Where there is a relay, members that have none by then are let be. */
const CHANNELS_MS = 15_000;
const TOGETHER_MS = 45_000;
/** How long survivors may take to hear the next host. No limit of the matrix comes near it. */
const NEXT_HOST_MS = 30_000;
const RESOLVED_MS = 30_000;
/** After a blackout: in that time whoever wants to depose the host has done so. */
const AFTERMATH_MS = 2_500;

const pidOf = (browser) => browser.pid ?? browser.browser.process().pid;

export class RoughCrowd {
  /** `engines` are the kinds of browsers, by turns; each member says something every `everyMs`, or as `pace` has it. */
  static async start(world, { relay, rtt, loss, seed, engines = ["chromium"], everyMs }) {
    const [network, server, site] = await Promise.all([
      Network.start(world, { rtt, loss, seed }),
      world.server({ RELAY__ENABLED: String(relay === "allowed") }),
      world.site(),
    ]);
    return new RoughCrowd({ world, network, server, site, relay, engines, everyMs });
  }

  members = [];
  #names = 0;
  #counted = { messages: 0, lost: 0, repeated: 0, reordered: 0, rejected: 0, incomplete: 0 };

  constructor(parts) {
    Object.assign(this, parts);
  }

  /** The first member founds the page, the others come all at once. Returns what that cost, as `run` does. */
  gather(count = 5) {
    return this.#counting(async () => {
      const members = [await this.#add()];
      members.push(...(await Promise.all(Array.from({ length: count - 1 }, () => this.#add()))));
      const opensMs = Math.max(
        ...(await Promise.all(members.map((member) => this.#opens(member)))),
      );
      await this.#together();
      return { opensMs };
    });
  }

  async #add(browser, engine = this.engines[this.#names % this.engines.length]) {
    const name = `m${++this.#names}`;
    const { wire, rtc } = await this.network.wire(this.server.port, name);
    browser ??= await (engine === "firefox" ? this.world.firefox() : this.world.browser());
    const from = clock();
    const member = await Member.join(browser, this.site, name, {
      page: "https://example.org/rough",
      server: wire.url,
      debug: true,
      rtc,
    });
    Object.assign(member, { wire, engine, from });
    this.members.push(member);
    await this.#chat(member);
    return member;
  }

  #chat = ({ tab }) =>
    tab.evaluate((ms) => chat(ms), this.everyMs ?? pace(this.network.conditions));
  #talk = () => Promise.all(this.members.map((member) => this.#chat(member)));
  #hush = () => this.#each(() => hush());
  #each = (work, argument) =>
    Promise.all(this.members.map(({ tab }) => tab.evaluate(work, argument)));
  #summaries = () => Promise.all(this.members.map((member) => member.summary()));

  /** Waits until all see all, and have a data channel to the host, or what stands for it. */
  async #together() {
    const from = clock();
    const has = (path) =>
      path === "p2p" ||
      (path === "relay" && this.relay === "allowed" && clock() - from > CHANNELS_MS);
    await untilState(
      "all to be together",
      this.#summaries,
      (all) =>
        all.every(
          (s) => s.members === all.length && s.host === all[0].host && (s.isHost || has(s.path)),
        ),
      TOGETHER_MS,
    );
  }

  async #host() {
    const summaries = await untilState("all to know the same host", this.#summaries, (all) =>
      all.every(({ host }) => host === all[0].host),
    );
    return this.members.find(({ id }) => id === summaries[0].host);
  }

  /** Changes of host so far, by cause, as the server counts them. */
  async elections() {
    const metrics = await (await fetch(`${this.server.url}/metrics`)).text();
    const lines = metrics.matchAll(/^peerstar_elections_total\{cause="(\w+)"\} (\d+)$/gm);
    return Object.fromEntries([...lines].map(([, cause, n]) => [cause, Number(n)]));
  }

  /**
   * Returns the median of what a ping takes over the data channels that members have to their host, in ms; and of what
   * their messages take until they have them back (which is all there is to measure where there is no channel).
   */
  async roundTrip() {
    const measured = await this.#each(async () => {
      const [pings, messages] = [[], []];
      const connection = (group.peer.connections[group.host] ?? []).find(
        ({ dataChannel }) => dataChannel?.readyState === "open",
      );
      // The library answers `p…` with `q…` at once.
      const ping = () =>
        new Promise((done) => {
          const at = performance.now();
          const answered = ({ data }) => {
            if (data !== `q${at.toFixed(1)}`) return;
            connection.dataChannel.removeEventListener("message", answered);
            pings.push(performance.now() - at);
            done();
          };
          connection.dataChannel.addEventListener("message", answered);
          connection.dataChannel.send(`p${at.toFixed(1)}`);
        });
      const message = () => {
        const at = performance.now();
        return say().then(
          () => {
            diary.resolved++;
            messages.push(performance.now() - at);
          },
          (error) => diary.rejected.push(error.code),
        );
      };
      const all = [];
      for (let i = 0; i < 5; i++) {
        if (group.isHost) break;
        if (connection) all.push(ping());
        all.push(message());
        await new Promise((done) => setTimeout(done, 40));
      }
      await Promise.race([Promise.all(all), new Promise((done) => setTimeout(done, 5000))]);
      return [pings, messages];
    });
    const [pings, messages] = [0, 1].map((i) => measured.flatMap((each) => each[i]));
    const way = pings.length > 0 ? pings : messages;
    return { r: quantile(way, 0.5), leastMs: Math.min(...way), messageMs: quantile(messages, 0.5) };
  }

  /** Other conditions from now on. */
  async set(conditions) {
    this.network.set(conditions);
    await this.#hush();
    await this.#talk();
  }

  /**
   * Lets it happen, and waits until all is well again. Returns what it cost: in `took` the ms until each survivor was
   * handed the first message of the next host, in `silent` the longest that each heard nothing; and what was counted.
   * If all does not become well, there is an `error`, and nothing more can be done with this crowd.
   */
  run(event) {
    return this.#counting(async () => {
      const roundTrip = await this.roundTrip();
      const [{ epoch }] = await this.#summaries();
      const cost = await this.#happens(event, epoch, clock());
      const told = await this.#each(
        (epoch) =>
          diary.events.filter((e) => e.kind === "host" && e.epoch > epoch).map((e) => e.epoch),
        epoch,
      );
      const paths = await this.#each(() => summary().path);
      return {
        ...roundTrip,
        ...cost,
        hosts: new Set(told.flat()).size,
        relayed: paths.filter((path) => path === "relay").length,
        ...(await this.#compare()),
      };
    });
  }

  /** Adds to what `work` returns the elections meanwhile. */
  async #counting(work) {
    const before = await this.elections();
    const run = await work().catch((error) => ({
      error: error.message.split("\n")[0],
      details: error.stack,
    }));
    const after = await this.elections();
    const news = Object.entries(after).map(([cause, n]) => [cause, n - (before[cause] ?? 0)]);
    return { ...run, elections: Object.fromEntries(news.filter(([, n]) => n > 0)) };
  }

  async #happens(event, epoch, from) {
    if (deaths.includes(event))
      return event === "narrow" ? this.#narrow(epoch) : this.#death(event, epoch);
    const host = event === "host blackout" ? await this.#host() : undefined;
    if (!host) this.network.blackout(BLACKOUT_MS);
    else host.wire.blackout(BLACKOUT_MS);
    await sleep(BLACKOUT_MS + AFTERMATH_MS);
    await this.#together();
    const silent = await this.#each((from) => {
      const times = diary.times.map(([at]) => at).filter((at) => at > from - 1000);
      return Math.max(...times.slice(1).map((at, i) => at - times[i]));
    }, from);
    return { silent };
  }

  async #narrow(epoch) {
    this.network.set({ bitsPerS: NARROW_BITS_PER_S });
    await this.#hush();
    await this.#talk();
    await this.#each((length) => {
      group.onSnapshot = () => ({ words: getState(), load: "x".repeat(length) });
    }, LONG_STATE);
    const newcomer = await this.#add();
    const opensMs = await this.#opens(newcomer);
    await this.#together();
    const [{ epoch: now }] = await this.#summaries();
    const host = await this.#host();
    const { took } = await this.#dies(host, "killed", Math.max(epoch, now));
    this.members = this.members.filter((member) => member !== host);
    await this.network.end(host.wire);
    await this.#together();
    this.network.set({ bitsPerS: Infinity });
    return { took, opensMs };
  }

  async #death(event, epoch) {
    const host = await this.#host();
    const { took } = await this.#dies(host, event, epoch);
    if (event === "frozen") {
      // Thawed, it finds out that it hosts no more, and is a member like any other.
      await sleep(1_500);
      kill(pidOf(host.browser), "SIGCONT");
      await this.#together();
      return { took };
    }
    this.members = this.members.filter((member) => member !== host);
    if (event === "gone") await host.browser.kill();
    if (event === "navigated") await host.tab.close();
    await this.network.end(host.wire);
    const lives = event === "closed" || event === "navigated";
    const newcomer = await this.#add(lives ? host.browser : undefined, host.engine);
    const opensMs = await this.#opens(newcomer);
    await this.#together();
    return { took, opensMs };
  }

  async #dies(host, event, epoch) {
    const survivors = this.members.filter((member) => member !== host);
    const at = clock();
    if (event === "gone") host.wire.stall();
    else if (event === "frozen") kill(pidOf(host.browser), "SIGSTOP");
    else await die(event, host);
    const firsts = () =>
      Promise.all(
        survivors.map(({ tab }) =>
          tab.evaluate((epoch) => diary.times.find(([, e]) => e > epoch)?.[0], epoch),
        ),
      );
    const times = await untilState(
      `the survivors to hear the next host (${event})`,
      firsts,
      (all) => all.every(Boolean),
      NEXT_HOST_MS,
    );
    return { took: times.map((time) => time - at) };
  }

  /** How long it took from loading the page until it was in. */
  async #opens({ tab, from }) {
    const at = () => tab.evaluate(() => diary.events.find(({ kind }) => kind === "open")?.at);
    return (await untilState("the newcomer to open", at, Boolean, TOGETHER_MS)) - from;
  }

  /** Stops the talk, waits until all is said, and compares the diaries. Returns what is new since the last time. */
  async #compare() {
    await this.#hush();
    await untilState(
      "every send to be settled",
      () =>
        this.#each(() => ({
          said: summary().said,
          resolved: diary.resolved,
          rejected: diary.rejected.length,
        })),
      (all) => all.every((s) => s.resolved + s.rejected === s.said),
      RESOLVED_MS,
    );
    const lengths = () => this.#each(() => getState().length);
    // If they never have as much, the tally says who lacks what.
    await until(
      "all to have as much",
      async () => new Set(await lengths()).size === 1,
      10_000,
    ).catch(() => {});
    const diaries = await this.#each(() => ({
      name,
      heard: getState(),
      said: summary().said,
      rejected: diary.rejected.length,
      incomplete: diary.events.filter(({ kind, complete }) => kind === "recovered" && !complete)
        .length,
    }));
    const sum = (name) => diaries.reduce((sum, diary) => sum + diary[name], 0);
    const counted = {
      messages: Math.max(...diaries.map(({ heard }) => heard.length)),
      ...tally(diaries),
      rejected: sum("rejected"),
      incomplete: sum("incomplete"),
    };
    // One that is gone takes its own counts with it.
    const news = Object.fromEntries(
      Object.entries(counted).map(([name, n]) => [name, Math.max(0, n - this.#counted[name])]),
    );
    this.#counted = counted;
    await this.#talk();
    return news;
  }
}
