// A test with its own world. Whatever the test starts is ended even if it fails, and no process may
// remain.
import { test } from "node:test";
import { BareBrowser } from "./bare.mjs";
import { Browser } from "./browser.mjs";
import { Cluster } from "./cluster.mjs";
import { Firefox } from "./firefox.mjs";
import { PeerServer } from "./plain.mjs";
import { nothingLeft } from "./process.mjs";
import { TcpProxy } from "./proxy.mjs";
import { Server } from "./server.mjs";
import { Site } from "./site.mjs";
import { SocketMembers } from "./sockets.mjs";
import { Turn } from "./turn.mjs";
import { Wire } from "./wire.mjs";

export function scenario(name, body, timeout = 60_000) {
  test(name, { timeout }, async (t) => {
    const world = new World(t);
    try {
      await body(world);
    } catch (error) {
      await world.printLogs();
      throw error;
    } finally {
      await world.end();
    }
  });
}

function usual() {
  const name = process.env.PEERSTAR_BROWSER ?? "chromium";
  if (!["chromium", "firefox"].includes(name))
    throw new Error(`PEERSTAR_BROWSER is "chromium" or "firefox", not "${name}"`);
  return name;
}

/**
 * Defines a test of something that Firefox or its driver cannot do. Does nothing in a run with
 * Firefox.
 */
export const chromiumOnly = usual() === "firefox" ? () => {} : scenario;

export class World {
  /**
   * Promises of everything started, in order. Something that still starts when a test fails must be
   * ended, too.
   */
  #started = [];

  constructor(t) {
    this.t = t;
  }

  /** Adds a remark to the test's report. */
  note(text) {
    this.t.diagnostic(text);
  }

  server = (settings) => this.#keep(Server.start(settings));
  cluster = (options) => this.#keep(Cluster.start(options));
  plainServer = () => this.#keep(PeerServer.start());
  /**
   * Starts the browser that PEERSTAR_BROWSER names (default Chromium). `options` apply to Chromium
   * only.
   */
  browser = (options) => (usual() === "firefox" ? this.firefox() : this.chromium(options));
  chromium = (options) => this.#keep(Browser.start(options));
  firefox = (options) => this.#keep(Firefox.start(options));
  site = () => this.#keep(Site.start());
  turn = (secret) => this.#keep(Turn.start(secret));
  bare = () => this.#keep(BareBrowser.start());
  sockets = (...given) => this.#keep(SocketMembers.start(...given));
  proxy = (port) => this.#keep(TcpProxy.start(port));
  wire = (options) => this.#keep(Wire.start(options));

  #keep(starting) {
    this.#started.push(starting);
    return starting;
  }

  async #things() {
    const settled = await Promise.allSettled(this.#started);
    return settled.filter(({ status }) => status === "fulfilled").map(({ value }) => value);
  }

  async printLogs() {
    for (const thing of await this.#things()) {
      if (thing.log?.length)
        this.note(`${thing.constructor.name} wrote:\n${thing.log.slice(-40).join("\n")}`);
    }
  }

  /** Ends everything in reverse order, so browsers end before the servers that they talk to. */
  async end() {
    for (const thing of (await this.#things()).reverse()) await thing.end();
    await nothingLeft();
  }
}
