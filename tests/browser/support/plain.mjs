// The page of group.mjs with stock PeerJS and stock PeerServer only (pages/plain.html). Its hosts
// die in the same ways.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { clock, die, sleep } from "./group.mjs";
import { kill, marked, start } from "./process.mjs";
import { freePort } from "./server.mjs";
import { tally } from "./tally.mjs";
import { until, untilState } from "./until.mjs";

const require = createRequire(import.meta.url);
const command = join(dirname(require.resolve("peer")), "bin/peerjs.js");

export const kinds = ["killed", "stopped", "closed", "navigated"];

export class PeerServer {
  static async start() {
    const server = new PeerServer(await freePort());
    server.child = start(
      process.execPath,
      [command, "--host", "127.0.0.1", "--port", String(server.port)],
      marked(),
    );
    for (const stream of [server.child.stdout, server.child.stderr])
      stream.on("data", (text) => server.log.push(String(text)));
    await until(
      "PeerServer to answer",
      async () => (await fetch(`http://127.0.0.1:${server.port}/`)).ok,
    );
    return server;
  }

  log = [];

  constructor(port) {
    this.port = port;
    this.peerOptions = {
      host: "127.0.0.1",
      port,
      path: "/",
      secure: false,
      config: { iceServers: [] },
    };
  }

  async end() {
    const gone = new Promise((done) => this.child.once("exit", done));
    kill(this.child.pid);
    await gone;
  }
}

export class PlainCrowd {
  /** In the order in which they may host. */
  members = [];
  #names = 0;

  constructor(world, server, site, everyMs) {
    Object.assign(this, { world, server, site, everyMs });
  }

  static async gather(world, { count = 5, everyMs = 50 } = {}) {
    const [server, site] = await Promise.all([world.plainServer(), world.site()]);
    const crowd = new PlainCrowd(world, server, site, everyMs);
    for (let i = 0; i < count; i++) await crowd.add(await world.browser());
    await crowd.settled();
    return crowd;
  }

  /** Returns the PeerJS options of the next member, and further properties of that member. */
  async place() {
    return { peerOptions: this.server.peerOptions };
  }

  async add(browser) {
    const name = `p${++this.#names}`;
    const place = await this.place(name);
    const tab = await browser.tab(`${this.site.url}/plain.html`);
    await tab.evaluate(([name, options]) => begin(name, options), [name, place.peerOptions]);
    this.members.push({ browser, tab, name, ...place });
  }

  /** Ends a host in the given way. */
  die(kind, host) {
    return die(kind, host);
  }

  /** Evaluates `work` in every member's page at the same time. */
  #each = (work, argument) =>
    Promise.all(this.members.map(({ tab }) => tab.evaluate(work, argument)));

  /** Tells all members the order of hosts and waits until each is linked to the first. */
  async settled(within) {
    const names = this.members.map(({ name }) => name);
    await this.#each((names) => lineUp(names), names);
    await untilState(
      "all members to be linked",
      () => this.#each(() => summary()),
      (all) =>
        all.every(
          ({ host, linked }, i) => host === names[0] && linked === (i === 0 ? names.length - 1 : 1),
        ),
      within,
    );
  }

  talk(ms) {
    return this.#talking().then(() => sleep(ms));
  }

  async #talking() {
    await this.#each(() => forget());
    await Promise.all(
      this.members.map(({ tab, name }) =>
        tab.evaluate(([name, ms]) => chat(name, ms), [name, this.everyMs]),
      ),
    );
  }

  /**
   * Ends the host. Returns how long each survivor took to hear the next host, in ms, and what was
   * lost.
   */
  async death(kind) {
    const [host, ...survivors] = this.members;
    const at = clock();
    await this.die(kind, host);
    this.members = survivors;
    const firsts = () => this.#each((old) => diary.find(([, , by]) => by !== old)?.[1], host.name);
    const times = await untilState(
      `the survivors to hear the next host (${kind})`,
      firsts,
      (all) => all.every(Boolean),
      60_000,
    );
    const counts = await this.#compare();
    await this.#replace(kind, host);
    return { took: times.map((time) => time - at), ...counts };
  }

  async #compare() {
    await this.#each(() => hush());
    let before;
    await until("the last message to arrive", async () => {
      const heard = (await this.#each(() => diary.length)).join();
      await sleep(300);
      const same = heard === before;
      before = heard;
      return same;
    });
    const diaries = await this.#each(() => ({ said, heard: diary.map(([word]) => word) }));
    const { lost, repeated, reordered } = tally(
      diaries.map((diary, i) => ({ ...diary, name: this.members[i].name })),
    );
    return {
      messages: diaries.reduce((sum, { said }) => sum + said, 0),
      lost,
      repeated,
      reordered,
    };
  }

  async #replace(kind, host) {
    if (kind !== "closed" && kind !== "navigated") {
      if (kind !== "killed") await host.browser.kill();
      await this.add(await this.world.browser());
    } else {
      await host.tab.close();
      await this.add(host.browser);
    }
    await this.settled();
  }
}
