// Debian's Firefox, driven by puppeteer-core over WebDriver BiDi. As much of browser.mjs's Browser as a member needs.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import puppeteer from "puppeteer-core";
import { adopt, kill, marked } from "./process.mjs";

const executablePath = "/usr/bin/firefox-esr";

const extraPrefsFirefox = {
  // A test machine may have no network but loopback, and no mDNS responder.
  "media.peerconnection.ice.loopback": true,
  "media.peerconnection.ice.obfuscate_host_addresses": false,
};

export class Firefox {
  static async start() {
    if (!existsSync(executablePath)) throw new Error(`${executablePath} is missing: apt-get install firefox-esr`);
    // A killed browser cannot clear up after itself.
    const scratch = mkdtempSync(join(tmpdir(), "peerstar-firefox-"));
    const browser = await puppeteer.launch({ browser: "firefox", executablePath, extraPrefsFirefox, env: marked({ TMPDIR: scratch, HOME: scratch }) });
    adopt(browser.process().pid);
    return new Firefox(browser, scratch);
  }

  /** What the pages wrote to their consoles; shown when something fails. */
  log = [];

  constructor(browser, scratch) {
    Object.assign(this, { browser, scratch });
  }

  async tab(url) {
    const page = await this.browser.newPage();
    page.on("console", (message) => this.log.push(message.text()));
    page.on("pageerror", (error) => this.log.push(`uncaught: ${error.message}`));
    await page.goto(url);
    return page;
  }

  /** As a crash or an empty battery would: no goodbye of any kind. */
  async kill() {
    const child = this.browser.process();
    const gone = new Promise((done) => child.once("exit", done));
    kill(child.pid);
    await gone;
  }

  async end() {
    const { pid, exitCode, signalCode } = this.browser.process();
    if (exitCode === null && signalCode === null) await this.browser.close().catch(() => {});
    kill(pid);
    rmSync(this.scratch, { recursive: true, force: true, maxRetries: 5 });
  }
}
