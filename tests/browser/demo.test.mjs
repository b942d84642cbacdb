// The demo page as a person meets it: three tabs, a chat, a host that goes. Screenshots go to shots/.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { scenario } from "./support/scenario.mjs";
import { untilState } from "./support/until.mjs";

const shots = join(dirname(fileURLToPath(import.meta.url)), "shots");
mkdirSync(shots, { recursive: true });

const WIDE = { viewport: { width: 1280, height: 900 }, colorScheme: "light" };
const NARROW = { viewport: { width: 390, height: 844 }, colorScheme: "light", hasTouch: true };
const DARK = { viewport: { width: 1280, height: 900 }, colorScheme: "dark" };

/** What the page says, read as a person would. */
const read = (tab) =>
  tab.evaluate(() => {
    const text = (id) => document.getElementById(id).textContent.trim();
    return {
      id: text("my-id"),
      page: text("page"),
      status: text("status"),
      host: document.getElementById("host").title,
      epoch: text("epoch"),
      count: text("count"),
      link: text("link"),
      change: text("change"),
      members: [...document.querySelectorAll("#members li")].map((item) => item.dataset.id).sort(),
      rays: document.querySelectorAll("#star .ray.open").length,
      log: [...document.querySelectorAll("#log li:not(.note)")].map((item) => item.textContent),
      notes: [...document.querySelectorAll("#log .note")].map((item) => item.textContent),
      hand: text("hand-result"),
    };
  });

const readAll = (tabs) => () => Promise.all(tabs.map(read));

/** All say the same of the star, and all its rays are open. */
function isWhole(pages) {
  const ids = pages.map(({ id }) => id).sort();
  return pages.every(({ host, epoch, members, rays }) => host === pages[0].host && epoch === pages[0].epoch && String(members) === String(ids) && rays === ids.length - 1);
}

const shoot = (tab, name) => tab.screenshot({ path: join(shots, `${name}.png`), fullPage: true });

async function say(tab, text) {
  await tab.getByLabel("Say something").fill(text);
  await tab.getByLabel("Say something").press("Enter");
}

scenario("three tabs form a star, chat, and lose their host", async (world) => {
  const [server, browser] = await Promise.all([world.server(), world.browser()]);
  const url = `${server.url}/`;
  const first = await browser.tab(url, WIDE);
  const [alone] = await untilState("the first tab to be the host", readAll([first]), ([page]) => page.host === page.id && page.count === "only you");
  assert.equal(alone.page, url, "without ?page= the page is the address");
  assert.ok(await first.getByRole("link", { name: "Open this page in another tab" }).isVisible(), "the empty state says what to do");
  await shoot(first, "alone-wide");
  // From here on nothing may jump.
  await first.evaluate(() => {
    window.jumped = 0;
    new PerformanceObserver((list) => list.getEntries().forEach(({ value }) => (window.jumped += value))).observe({ type: "layout-shift" });
  });

  const second = await browser.tab(url, NARROW);
  const third = await browser.tab(url, DARK);
  const whole = await untilState("three tabs to show one whole star", readAll([first, second, third]), isWhole);
  assert.equal(whole[0].host, alone.id);
  assert.equal(await first.getByRole("link", { name: "Open this page in another tab" }).isVisible(), false);

  // Everyone has the same lines in the same order, each sender's own among them.
  await say(second, "hello from the phone");
  await say(third, "<b>hello</b> from the dark");
  await say(first, "hello from the host");
  const words = (page) => page.log.map((line) => line.replace(/^\S+ /, ""));
  const talked = await untilState("three lines in three tabs", readAll([first, second, third]), (pages) => pages.every(({ log }) => log.length === 3));
  for (const page of talked) assert.deepEqual(words(page), words(talked[0]));
  assert.ok(words(talked[0]).includes("<b>hello</b> from the dark"), "what is said is text, never markup");

  // By hand, with the keyboard alone, from the beginning of an id.
  await second.getByLabel("Id of someone").fill(talked[2].id.slice(0, 8));
  await second.keyboard.press("Enter");
  await untilState("a connection by hand to say hello", readAll([second, third]), ([from, to]) => from.hand.startsWith("Connected to") && to.notes.some((note) => note.includes("hello")));
  await second.getByLabel("Id of someone").fill("nobody-here");
  await second.keyboard.press("Enter");
  await untilState("an unknown id to be said so", readAll([second]), ([page]) => page.hand === "Nobody on this page has that id.");

  await shoot(first, "star-wide");
  await shoot(second, "star-narrow");
  await shoot(third, "star-dark");
  const [wide, shown] = await second.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= shown, `the narrow page scrolls sideways: ${wide} > ${shown}`);
  assert.ok((await first.evaluate(() => window.jumped)) < 0.02, "the page jumps about");

  await first.close();
  const left = await untilState("the others to show a new host and a whole star", readAll([second, third]), isWhole);
  assert.notEqual(left[0].host, alone.id);
  assert.ok(Number(left[0].epoch) > Number(alone.epoch));
  for (const { change } of left) assert.match(change, /took over: the last host left/);
  await say(second, "who is it now?");
  await untilState("the chat to go on over the new host", readAll([second, third]), (pages) => pages.every(({ log }) => log.length === 4));

  // A newcomer is told what was said.
  const fourth = await browser.tab(url, WIDE);
  await untilState("a newcomer to have the four lines", readAll([fourth]), ([page]) => page.log.length === 4);
  await shoot(second, "new-host-narrow");
  await shoot(third, "new-host-dark");
});

scenario("two pages of one server do not meet", async (world) => {
  const [server, browser] = await Promise.all([world.server(), world.browser()]);
  const [ours, theirs] = await Promise.all(["one", "two ü/?"].map((page) => browser.tab(`${server.url}/?page=${encodeURIComponent(page)}`, WIDE)));
  const pages = await untilState("each to be alone and host", readAll([ours, theirs]), (all) => all.every(({ id, host, count }) => id === host && count === "only you"));
  assert.deepEqual(pages.map(({ page }) => page), ["one", "two ü/?"]);
});

scenario("the page under a path of the server's works the same", async (world) => {
  const [server, browser] = await Promise.all([world.server({ SERVER__PATH: "/deep/down/" }), world.browser()]);
  const tabs = await Promise.all([1, 2].map(() => browser.tab(`${server.url}/deep/down/`, WIDE)));
  await untilState("two tabs to show one whole star", readAll(tabs), isWhole);
});

scenario("a lost server is said so, links go on, and the page comes back by itself", async (world) => {
  const [server, browser] = await Promise.all([world.server(), world.browser()]);
  const tabs = [await browser.tab(`${server.url}/`, NARROW), await browser.tab(`${server.url}/`, WIDE)];
  await untilState("two tabs to show one whole star", readAll(tabs), isWhole);
  await server.end("SIGKILL");
  await untilState("both to say that the server is out of reach", readAll(tabs), (pages) => pages.every(({ status }) => status.startsWith("Server out of reach") || status.startsWith("Connecting")));
  await say(tabs[1], "still there?");
  await untilState("the chat to go on without a server", readAll(tabs), (pages) => pages.every(({ log }) => log.length === 1));
  await tabs[0].getByRole("button", { name: "Try now" }).waitFor();
  await shoot(tabs[0], "away-narrow");
  await shoot(tabs[1], "away-wide");
  await server.begin();
  await untilState("both to be back in one whole star", readAll(tabs), (pages) => isWhole(pages) && pages.every(({ status }) => status === "Connected"), 30_000);
});

scenario("a wrong key is explained in words", async (world) => {
  const [server, browser] = await Promise.all([world.server(), world.browser()]);
  const tab = await browser.tab(`${server.url}/?key=wrong`, WIDE);
  await untilState("the page to explain the key", readAll([tab]), ([page]) => page.status.includes("does not accept this page's key"));
});
