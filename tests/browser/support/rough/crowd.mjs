// A page of members on rough wires, each in its own browser. All send messages all the time while
// one event happens (see `factors` in matrix.mjs). Losses and the like are counted, not asserted.
import { clock, die, Member, sleep } from "../group.mjs";
import { kill } from "../process.mjs";
import { quantile, tally } from "../tally.mjs";
import { until, untilState } from "../until.mjs";
import { deaths, pace } from "./matrix.mjs";
import { Network } from "./network.mjs";

const BLACKOUT_MS = 3_000;
const NARROW_BITS_PER_S = 1_000_000;
/** Characters in the snapshot for a newcomer on narrow wires. */
const LONG_STATE = 100_000;
/**
 * Time for data channels to open. Where relaying is allowed, members without one may use the relay
 * after it.
 */
const CHANNELS_MS = 15_000;
const TOGETHER_MS = 45_000;
/** Longest wait for the next host's first message. Far above every limit of the matrix. */
const NEXT_HOST_MS = 30_000;
/** Longest wait until every send is settled. A slow data channel carries 10 KB/s. */
const RESOLVED_MS = 60_000;
/** Wait after a blackout, within which any election that it causes has happened. */
const AFTERMATH_MS = 2_500;

const pidOf = (browser) => browser.pid ?? browser.browser.process().pid;

export class RoughCrowd {
  /**
   * Members use the browsers in `engines` in turn. Each sends a message every `everyMs` (default:
   * `pace`).
   */
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

  /**
   * Lets the first member found the page, then the others join together. Returns the same as `run`.
   */
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

  /**
   * Waits until all members see each other and have a data channel to the host, or the relay in its
   * place.
   */
  async #together() {
    const from = clock();
    const has = (path) =>
      path === "p2p" ||
      (path === "relay" && this.relay === "allowed" && clock() - from > CHANNELS_MS);
    await untilState(
      "all members to see each other and reach the host",
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

  /** Returns the server's count of elections so far, by cause. */
  async elections() {
    const metrics = await (await fetch(`${this.server.url}/metrics`)).text();
    const lines = metrics.matchAll(/^peerstar_elections_total\{cause="(\w+)"\} (\d+)$/gm);
    return Object.fromEntries([...lines].map(([, cause, n]) => [cause, Number(n)]));
  }

  /**
   * Measures round trips, in ms. `r` is the median of pings over the members' data channels to the
   * host, and `leastMs` the fastest ping. `messageMs` is the median time until a message comes back
   * to its sender, which also serves for `r` where no channel is open.
   */
  async roundTrip() {
    const measured = await this.#each(async () => {
      const [pings, messages] = [[], []];
      const connection = (group.peer.connections[group.host] ?? []).find(
        ({ dataChannel }) => dataChannel?.readyState === "open",
      );
      // The library answers a frame `p…` with `q…` immediately.
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

  /** Changes the conditions of all wires. */
  async set(conditions) {
    this.network.set(conditions);
    await this.#hush();
    await this.#talk();
  }

  /**
   * Runs one event and waits until the page works again. Returns the counts and one of these, in
   * ms:
   * - `took`: for each survivor, the time until it was handed the next host's first message;
   * - `silent`: for each member, its longest silence.
   *
   * If the page does not recover, the result holds an `error`, and this crowd cannot be used any
   * more.
   */
  run(event) {
    return this.#counting(async () => {
      const roundTrip = await this.roundTrip();
      const [{ epoch }] = await this.#summaries();
      const cost = await this.#happens(event, epoch, clock());
      const epochs = await this.#each(
        (epoch) =>
          diary.events.filter((e) => e.kind === "host" && e.epoch > epoch).map((e) => e.epoch),
        epoch,
      );
      const paths = await this.#each(() => summary().path);
      return {
        ...roundTrip,
        ...cost,
        hosts: new Set(epochs.flat()).size,
        relayed: paths.filter((path) => path === "relay").length,
        ...(await this.#compare()),
      };
    });
  }

  /** Adds the elections that happen during `work` to its result. */
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
      // The thawed host learns that it was replaced and becomes an ordinary member.
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

  /** Returns the time from loading the page to its `open` event, in ms. */
  async #opens({ tab, from }) {
    const at = () => tab.evaluate(() => diary.events.find(({ kind }) => kind === "open")?.at);
    return (await untilState("the newcomer to open", at, Boolean, TOGETHER_MS)) - from;
  }

  /**
   * Stops the senders, waits until every send is settled, and compares the diaries. Returns what is
   * new since last time.
   */
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
    // If the counts never become equal, `tally` shows what is missing.
    await until(
      "all members to have equally many messages",
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
    // A member that left takes its counts with it, so a difference can be negative.
    const news = Object.fromEntries(
      Object.entries(counted).map(([name, n]) => [name, Math.max(0, n - this.#counted[name])]),
    );
    this.#counted = counted;
    await this.#talk();
    return news;
  }
}
