// Debian's Chromium, driven by playwright-core. Each browser is a process group of its own.
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
  // Plain addresses in ICE candidates: there is no mDNS responder on a test machine.
  "--disable-features=WebRtcHideLocalIpsWithMdns",
  "--allow-loopback-in-peer-connection",
];

export class Browser {
  /** How a world starts another of this kind. */
  kind = "chromium";

  /** `flags`: more of them. `without`: those that Playwright gives by itself and that stand in a test's way. */
  static async start({ flags = [], without = [] } = {}) {
    if (!existsSync(executablePath))
      throw new Error(`${executablePath} is missing: apt-get install chromium`);
    // A killed browser cannot clear up after itself.
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

  /** What the pages wrote to their consoles; shown when a test fails. */
  log = [];

  constructor(server, pid, scratch, browser) {
    this.server = server;
    this.pid = pid;
    this.scratch = scratch;
    this.browser = browser;
  }

  /** A tab in a profile of its own. */
  async tab(url, options = {}) {
    const context = await this.browser.newContext(options);
    // Chromium offers loopback addresses only to pages that may use the microphone.
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

  /** As a crash or an empty battery would: no goodbye of any kind. */
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
