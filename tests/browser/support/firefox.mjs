// Debian's Firefox, driven by puppeteer-core over WebDriver BiDi, with the interface of `Browser`
// in browser.mjs. Each browser leads its own process group. The driver cannot freeze a page, and it
// cannot open a tab with Playwright's options.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import puppeteer from "puppeteer-core";
import { adopt, kill, marked } from "./process.mjs";

const executablePath = "/usr/bin/firefox-esr";

const extraPrefsFirefox = {
  // A test machine may have only the loopback network, and no mDNS responder.
  "media.peerconnection.ice.loopback": true,
  "media.peerconnection.ice.obfuscate_host_addresses": false,
  // Pages get fake media devices without a permission prompt.
  "media.navigator.streams.fake": true,
  "media.navigator.permission.disabled": true,
  "media.autoplay.default": 0,
  // Background tabs run as fast as the one in front, as in Chromium under Playwright.
  "dom.min_background_timeout_value": 4,
  "dom.min_background_timeout_value_without_budget_throttling": 4,
  "dom.timeout.enable_budget_timer_throttling": false,
  // Downloads go to the scratch folder without a prompt.
  "browser.download.useDownloadDir": true,
  "browser.download.always_ask_before_handling_new_types": false,
};

export class Firefox {
  /** Name of the `World` method that starts another browser of this kind. */
  kind = "firefox";

  /** `prefs` are further Firefox settings (about:config). */
  static async start({ prefs = {} } = {}) {
    if (!existsSync(executablePath))
      throw new Error(`${executablePath} is missing: apt-get install firefox-esr`);
    // A killed browser leaves its temporary files behind, so they have a folder of their own.
    const scratch = mkdtempSync(join(tmpdir(), "peerstar-firefox-"));
    const browser = await puppeteer.launch({
      browser: "firefox",
      executablePath,
      extraPrefsFirefox: { ...extraPrefsFirefox, ...prefs },
      env: marked({ TMPDIR: scratch, HOME: scratch }),
    });
    adopt(browser.process().pid);
    return new Firefox(browser, scratch);
  }

  /** Lines that the pages wrote to their consoles. A failed test prints them. */
  log = [];

  constructor(browser, scratch) {
    Object.assign(this, { browser, scratch });
  }

  get pid() {
    return this.browser.process().pid;
  }

  async tab(url) {
    const page = await this.browser.newPage();
    // The tests call these methods by Playwright's names.
    page.fill = (selector, text) => page.locator(selector).fill(text);
    page.press = async (selector, key) => {
      await page.focus(selector);
      await page.keyboard.press(key);
    };
    page.on("console", (message) => this.log.push(message.text()));
    page.on("pageerror", (error) => this.log.push(`uncaught: ${error.message}`));
    await page.goto(url);
    return page;
  }

  /** Kills the browser without a goodbye, like a crash or an empty battery. */
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
