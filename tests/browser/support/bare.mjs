// Chromium as people use it. Playwright switches off throttling and shows every tab as visible.
// Here a tab behind another is hidden, Chromium throttles its timers, a page can be frozen, and the
// back-forward cache keeps a page that the user leaves.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import puppeteer from "puppeteer-core";
import { executablePath } from "./browser.mjs";
import { adopt, kill, marked } from "./process.mjs";

const args = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-features=WebRtcHideLocalIpsWithMdns",
  "--allow-loopback-in-peer-connection",
  "--remote-debugging-port=0",
];

export class BareBrowser {
  static async start() {
    if (!existsSync(executablePath))
      throw new Error(`${executablePath} is missing: apt-get install chromium`);
    const scratch = mkdtempSync(join(tmpdir(), "peerstar-browser-"));
    const browser = await puppeteer.launch({
      executablePath,
      ignoreDefaultArgs: true,
      defaultViewport: null,
      args: [...args, `--user-data-dir=${scratch}`],
      env: marked({ TMPDIR: scratch }),
    });
    adopt(browser.process().pid);
    return new BareBrowser(browser, scratch);
  }

  /** Lines that the pages wrote to their consoles. A failed test prints them. */
  log = [];

  constructor(browser, scratch) {
    Object.assign(this, { browser, scratch });
  }

  /** Opens a tab in front of all others. */
  async tab(url) {
    const { origin } = new URL(url);
    // Chromium offers loopback ICE candidates only to pages that may use the microphone.
    if (origin !== "null")
      await this.browser.defaultBrowserContext().overridePermissions(origin, ["microphone"]);
    const page = await this.browser.newPage();
    page.on("console", (message) => this.log.push(message.text()));
    page.on("pageerror", (error) => this.log.push(`uncaught: ${error.message}`));
    await page.goto(url);
    return page;
  }

  /**
   * Freezes a tab, as Chromium does after a long time hidden. Its page runs nothing until it is
   * thawed.
   */
  freeze = (tab) => this.#lifecycle(tab, "frozen");
  thaw = (tab) => this.#lifecycle(tab, "active");

  async #lifecycle(tab, state) {
    const session = await tab.createCDPSession();
    await session.send("Page.setWebLifecycleState", { state });
    await session.detach();
  }

  async end() {
    const { pid } = this.browser.process();
    await this.browser.close().catch(() => {});
    kill(pid);
    rmSync(this.scratch, { recursive: true, force: true, maxRetries: 5 });
  }
}
