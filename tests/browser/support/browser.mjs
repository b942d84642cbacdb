// Debian's Chromium, driven by playwright-core. Each browser leads its own process group.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { adopt, kill, marked } from "./process.mjs";

export const executablePath = "/usr/bin/chromium";

const args = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // ICE candidates hold plain addresses, because a test machine has no mDNS responder.
  "--disable-features=WebRtcHideLocalIpsWithMdns",
  "--allow-loopback-in-peer-connection",
];

export class Browser {
  /** Name of the `World` method that starts another browser of this kind. */
  kind = "chromium";

  /**
   * `flags` are further command line flags. `without` lists Playwright's default flags to leave
   * out.
   */
  static async start({ flags = [], without = [] } = {}) {
    if (!existsSync(executablePath))
      throw new Error(`${executablePath} is missing: apt-get install chromium`);
    // A killed browser leaves its temporary files behind, so they have a folder of their own.
    const scratch = mkdtempSync(join(tmpdir(), "peerstar-browser-"));
    const server = await chromium.launchServer({
      executablePath,
      args: [...args, ...flags],
      ignoreDefaultArgs: without,
      headless: true,
      env: marked({ TMPDIR: scratch }),
    });
    const pid = server.process().pid;
    adopt(pid);
    return new Browser(server, pid, scratch, await chromium.connect(server.wsEndpoint()));
  }

  /** Lines that the pages wrote to their consoles. A failed test prints them. */
  log = [];

  constructor(server, pid, scratch, browser) {
    this.server = server;
    this.pid = pid;
    this.scratch = scratch;
    this.browser = browser;
  }

  /** Opens a tab in a new profile. */
  async tab(url, options = {}) {
    const context = await this.browser.newContext(options);
    // Chromium offers loopback ICE candidates only to pages that may use the microphone.
    await context.grantPermissions(["microphone"]);
    return this.tabIn(context, url);
  }

  async tabIn(context, url) {
    const page = await context.newPage();
    page.on("console", (message) => this.log.push(message.text()));
    page.on("pageerror", (error) => this.log.push(`uncaught: ${error.message}`));
    await page.goto(url);
    return page;
  }

  /** Kills the browser without a goodbye, like a crash or an empty battery. */
  async kill() {
    const gone = new Promise((done) => this.server.process().once("exit", done));
    kill(this.pid);
    await gone;
  }

  async end() {
    await this.server.close().catch(() => {});
    kill(this.pid);
    rmSync(this.scratch, { recursive: true, force: true, maxRetries: 5 });
  }
}
