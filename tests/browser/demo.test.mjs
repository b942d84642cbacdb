// The demo page as people use it: one board on several screens, and hosts that leave. Screenshots
// go to shots/.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { scenario } from "./support/scenario.mjs";
import { freePort } from "./support/server.mjs";
import { untilState } from "./support/until.mjs";

const shots = join(dirname(fileURLToPath(import.meta.url)), "shots");
mkdirSync(shots, { recursive: true });

const WIDE = { viewport: { width: 1280, height: 860 }, colorScheme: "light" };
const PHONE = {
  viewport: { width: 390, height: 844 },
  colorScheme: "light",
  hasTouch: true,
  isMobile: true,
  deviceScaleFactor: 2,
};
const DARK = { viewport: { width: 1280, height: 860 }, colorScheme: "dark" };

/** Returns the texts of the page, as a person reads them. */
const read = (tab) =>
  tab.evaluate(() => {
    const text = (id) => document.getElementById(id).textContent.trim();
    const all = (selector) => [...document.querySelectorAll(selector)];
    return {
      id: text("my-id"),
      page: text("page"),
      status: text("status"),
      host: document.getElementById("host").title,
      epoch: document.getElementById("epoch").title,
      count: text("count"),
      link: text("link"),
      took: `${text("took")} ${text("took-unit")}`,
      change: `${text("change-who")}; ${text("change-why")}`,
      said: text("said"),
      members: all("#members li[data-id]")
        .map((item) => item.dataset.id)
        .sort(),
      names: all("#members .who")
        .map((item) => item.textContent)
        .sort(),
      links: all("#members .path")
        .map((item) => item.textContent)
        .filter(Boolean),
      rays: all("#star .ray.p2p").length,
      steps: all(".step")
        .map((box) => `${box.querySelector(".name").textContent} ${box.style.transform}`)
        .sort(),
      wires: all(".wire")
        .map((wire) => wire.getAttribute("aria-label"))
        .sort(),
      hand: text("hand-result"),
    };
  });

const readAll = (tabs) => () => Promise.all(tabs.map(read));
const name = (step) => step.replace(/ translate.*/, "");
const names = ({ steps }) => steps.map(name);
const sameBoard = (pages) =>
  pages.every(
    ({ steps, wires }) => String([steps, wires]) === String([pages[0].steps, pages[0].wires]),
  );

/** Returns whether all pages show the same star, with direct links only. */
function isWhole(pages) {
  const ids = pages.map(({ id }) => id).sort();
  return pages.every(
    ({ host, epoch, members, rays }) =>
      host === pages[0].host &&
      epoch === pages[0].epoch &&
      String(members) === String(ids) &&
      rays === ids.length - 1,
  );
}

/** Waits until every tab shows the same board and `good` accepts it. */
const untilBoard = (what, tabs, good) =>
  untilState(what, readAll(tabs), (pages) => sameBoard(pages) && good(pages[0]));

const shoot = (tab, name) => tab.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
const button = (tab, name) => tab.getByRole("button", { name, exact: true });
const step = (tab, name) => tab.locator(".step", { hasText: name });

async function drag(tab, name, dx, dy, from = {}) {
  const box = await step(tab, name).boundingBox();
  const [x, y] = [box.x + (from.x ?? 40), box.y + (from.y ?? 20)];
  await tab.mouse.move(x, y);
  await tab.mouse.down();
  await tab.mouse.move(x + dx, y + dy, { steps: 12 });
  await tab.mouse.up();
}

/** Drags a wire from the dot of one step onto another step. */
async function wire(tab, from, to) {
  const [dot, target] = [
    await step(tab, from).locator(".port").boundingBox(),
    await step(tab, to).boundingBox(),
  ];
  await tab.mouse.move(dot.x + dot.width / 2, dot.y + dot.height / 2);
  await tab.mouse.down();
  await tab.mouse.move(target.x + 60, target.y + 20, { steps: 8 });
  await tab.mouse.up();
}

async function watchJumps(tab) {
  await tab.evaluate(() => {
    window.jumped = 0;
    new PerformanceObserver((list) =>
      list
        .getEntries()
        .forEach((entry) => (window.jumped += entry.hadRecentInput ? 0 : entry.value)),
    ).observe({ type: "layout-shift" });
  });
}

scenario("three tabs edit one board, lose their host and go on", async (world) => {
  const [server, browser] = await Promise.all([world.server(), world.browser()]);
  const url = `${server.url}/`;
  const first = await browser.tab(url, WIDE);
  const [alone] = await untilState(
    "the first tab to be the host",
    readAll([first]),
    ([page]) => page.host === page.id && page.count === "only you",
  );
  assert.equal(alone.page, url, "without ?page= the page is the address");
  assert.ok(
    await first.getByText("An empty workflow").isVisible(),
    "the empty state says what to do",
  );
  assert.ok(await first.getByRole("link", { name: "open this page in another tab" }).isVisible());
  assert.ok(
    await first.locator("#members").getByRole("link", { name: url }).isVisible(),
    "the page shows the address for others",
  );
  assert.ok(await button(first, "Drop the host").isDisabled(), "nobody could take over");
  await shoot(first, "board-empty");
  await watchJumps(first);

  const [second, third] = [await browser.tab(url, PHONE), await browser.tab(url, DARK)];
  const tabs = [first, second, third];
  for (const tab of [second, third]) await watchJumps(tab);
  await first.getByLabel("Your name").fill("Ann");
  await first.keyboard.press("Enter");
  const whole = await untilState(
    "three tabs to show one whole star, with names",
    readAll(tabs),
    (pages) =>
      isWhole(pages) &&
      pages.every(
        ({ names }) => names.includes("Ann") && names.every((name) => !/^[0-9a-f]{6}$/.test(name)),
      ),
  );
  assert.equal(whole[0].host, alone.id);

  await button(first, "Start with an example").click();
  await untilBoard(
    "the example everywhere",
    tabs,
    ({ steps, wires }) => steps.length === 6 && wires.length === 5,
  );

  await third.getByLabel("Name of another step").fill("<b>Quality check</b>");
  await third.keyboard.press("Enter");
  await untilBoard("a step with free text everywhere, as text", tabs, (page) =>
    names(page).includes("<b>Quality check</b>"),
  );
  const [before] = await untilState("a board at rest", readAll([third]), () => true);
  await drag(third, "Quality check", 228, 24);
  await untilBoard(
    "the drag everywhere",
    tabs,
    ({ steps }) => !steps.some((step) => before.steps.includes(step) && step.startsWith("<b>")),
  );
  await wire(third, "GLM", "Quality check");
  await untilBoard("the wire everywhere", tabs, ({ wires }) =>
    wires.includes("Wire from GLM to <b>Quality check</b>"),
  );

  // The page refuses a circle and says so.
  await wire(third, "Quality check", "Load DICOM");
  await untilState(
    "the circle to be refused in words",
    readAll([third]),
    ([page]) => page.said.includes("circle") && page.wires.length === 6,
  );

  await third.locator(".step", { hasText: "Quality check" }).dblclick();
  await third.keyboard.type("Check quality");
  await third.keyboard.press("Enter");
  await untilBoard("the name everywhere", tabs, (page) => names(page).includes("Check quality"));

  // By touch: choose, delete, undo. Undo affects only the user's own edits.
  await step(second, "Smooth 6 mm").tap();
  await button(second, "Delete").tap();
  await untilBoard(
    "a step less, with its wires",
    tabs,
    ({ steps, wires }) => steps.length === 6 && wires.length === 4,
  );
  await button(third, "Undo").click();
  await untilBoard(
    "the new name undone, the deletion not",
    tabs,
    (page) => names(page).includes("<b>Quality check</b>") && page.steps.length === 6,
  );
  await button(second, "Undo").tap();
  await untilBoard(
    "the step back with its wires",
    tabs,
    ({ steps, wires }) => steps.length === 7 && wires.length === 6,
  );
  await button(third, "Redo").click();
  const [full] = await untilBoard("the new name again", tabs, (page) =>
    names(page).includes("Check quality"),
  );

  await step(third, "Register to MNI").click();
  // The page shows each link's round trip within seconds.
  await untilState("every link to have a round trip", readAll(tabs), (pages) =>
    pages.every(
      ({ links }) =>
        links.length === 2 && links.every((link) => /^direct \(P2P\), .*ms$/.test(link)),
    ),
  );
  await shoot(first, "board-wide");
  await shoot(second, "board-phone");
  await shoot(third, "board-dark");
  const [wide, shown] = await second.evaluate(() => [
    document.documentElement.scrollWidth,
    innerWidth,
  ]);
  assert.ok(
    wide <= shown && shown === 390,
    `the phone's page scrolls sideways: ${wide} > ${shown}`,
  );
  const jumped = await first.evaluate(() => window.jumped);
  assert.ok(jumped < 0.02, `the page jumps about: ${jumped}`);

  // The host's tab closes while an edit is under way.
  await Promise.all([
    first.close(),
    button(second, "GLM")
      .or(second.getByRole("button", { name: "GLM" }))
      .first()
      .click(),
  ]);
  const rest = [second, third];
  const left = await untilState(
    "the others to show a new host and a whole star",
    readAll(rest),
    isWhole,
  );
  assert.notEqual(left[0].host, alone.id);
  assert.ok(Number(left[0].epoch) > Number(alone.epoch));
  for (const { change, took } of left) {
    assert.match(change, /, from Ann; left · \d\d:\d\d:\d\d$/);
    assert.match(took, /^\d+ m?s$/);
  }
  world.note(`the host's tab closed: ${left.map(({ took }) => took).join(", ")}`);
  await untilBoard(
    "the board intact, and the edit in it",
    rest,
    ({ steps, wires }) =>
      steps.length === 8 && full.steps.every((step) => steps.includes(step)) && wires.length === 6,
  );

  const fourth = await browser.tab(url, WIDE);
  await untilBoard(
    "a newcomer to have the board",
    [...rest, fourth],
    ({ steps }) => steps.length === 8,
  );
  const [now] = await untilState(
    "one whole star of three",
    readAll([second, third, fourth]),
    isWhole,
  );
  await shoot(third, "board-new-host-dark");
  await shoot(second, "board-new-host-phone");

  // Every member may replace the host.
  await button(fourth, "Drop the host").click();
  const dropped = await untilState(
    "another host by resignation",
    readAll([second, third, fourth]),
    (pages) => isWhole(pages) && pages[0].host !== now.host,
  );
  for (const { change, said, took } of dropped) {
    assert.match(change, /handed over/);
    assert.ok(
      said.endsWith(`the host now, seen here in ${took.replace(" ", "\u00a0")}`),
      `also where the star is out of sight: ${said}`,
    );
  }
  world.note(`the host dropped: ${dropped.map(({ took }) => took).join(", ")}`);
  for (const tab of [second, third]) {
    const jumped = await tab.evaluate(() => window.jumped);
    assert.ok(jumped < 0.02, `the page jumps about when the host changes: ${jumped}`);
  }
});

scenario("two tabs of one browser are two members", async (world) => {
  const [server, browser] = await Promise.all([world.server(), world.browser()]);
  const first = await browser.tab(`${server.url}/`, WIDE);
  const open = () => browser.tabIn(first.context(), `${server.url}/`);
  const second = await open();
  await untilState("two names", readAll([first, second]), (pages) =>
    pages.every(({ names }) => new Set(names).size === 2),
  );
  assert.equal(
    await first.evaluate(() => localStorage.getItem("peerstar:name")),
    null,
    "the browser keeps only a chosen name for the next visit",
  );
  const given = await first.getByLabel("Your name").inputValue();
  await first.reload();
  assert.equal(
    await first.getByLabel("Your name").inputValue(),
    given,
    "a reload keeps the person's name",
  );
  await first.getByLabel("Your name").fill("Ann");
  await first.keyboard.press("Enter");
  await untilState("the name to be known", readAll([second]), ([{ names }]) =>
    names.includes("Ann"),
  );
  const third = await open();
  await untilState("the third to be another Ann", readAll([first, third]), (pages) =>
    pages.every(({ names }) => names.includes("Ann") && names.includes("Ann 2")),
  );
  assert.equal(await third.getByLabel("Your name").inputValue(), "Ann 2");
});

scenario(
  "a swipe on the board scrolls the page where the board has nothing more to show",
  async (world) => {
    const [server, browser] = await Promise.all([world.server(), world.browser()]);
    const tab = await browser.tab(`${server.url}/`, PHONE);
    await button(tab, "Start with an example").tap();
    await untilState("the example", readAll([tab]), ([page]) => page.steps.length === 6);
    const { x, y, width, height } = await tab.locator("#view").boundingBox();
    const devtools = await tab.context().newCDPSession(tab);
    const touch = (type, ...touchPoints) =>
      devtools.send("Input.dispatchTouchEvent", { type, touchPoints });
    const finger = (up) => ({ x: x + width / 2, y: y + height - 40 - up });
    await touch("touchStart", finger(0));
    for (let up = 15; up <= 240; up += 15) await touch("touchMove", finger(up));
    await touch("touchEnd");
    await untilState(
      "the star to come nearer",
      () => tab.evaluate(() => scrollY),
      (at) => at > 100,
    );
  },
);

scenario("the keyboard alone can do everything", async (world) => {
  const [server, browser] = await Promise.all([world.server(), world.browser()]);
  const tab = await browser.tab(`${server.url}/`, { ...WIDE, reducedMotion: "reduce" });
  await untilState("to be connected", readAll([tab]), ([page]) => page.host === page.id);
  const press = async (...keys) => {
    for (const key of keys) await tab.keyboard.press(key);
  };
  const focused = () =>
    tab.evaluate(
      () => document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent,
    );
  /** Waits for the focus. It follows the group's delivery, a moment after the key. */
  const untilFocused = (label, what) => untilState(what, focused, (now) => now === label);
  const tabTo = async (label) => {
    for (let n = 0; n < 40 && !(await focused()).startsWith(label); n++) await press("Tab");
    assert.ok((await focused()).startsWith(label), `no Tab leads to ${label}`);
  };
  await tabTo("Load DICOM");
  await press("Enter");
  await tabTo("GLM");
  await press("Enter");
  const [start] = await untilState(
    "two steps",
    readAll([tab]),
    ([page]) => page.steps.length === 2,
  );
  await tab.evaluate(() => document.getElementById("fit").focus());
  await press("Tab");
  await untilFocused("Load DICOM", "the focus on the step");
  // Escape deselects the step. The focus stays, and the keys still work.
  await press("Escape", "ArrowDown", "ArrowDown", "Shift+ArrowRight");
  await untilState("the step to have moved", readAll([tab]), ([page]) =>
    page.steps.some((step) => step.startsWith("Load DICOM") && !start.steps.includes(step)),
  );
  await press("Enter");
  await tab.keyboard.type("Load NIfTI");
  await press("Enter");
  await untilFocused("Load NIfTI", "the focus to be back on the step");
  await press("w", "Tab", "Enter");
  await untilState(
    "a wire",
    readAll([tab]),
    ([page]) => String(page.wires) === "Wire from Load NIfTI to GLM",
  );
  await tabTo("Wire from Load NIfTI");
  await press("Delete");
  await untilState("no wire", readAll([tab]), ([page]) => page.wires.length === 0);
  await press("Control+z");
  await untilState("the wire again", readAll([tab]), ([page]) => page.wires.length === 1);
  await press("Control+z", "Control+z", "Control+z");
  await untilState(
    "wire, name and place undone",
    readAll([tab]),
    ([page]) => page.wires.length === 0 && String(page.steps) === String(start.steps),
  );
  await press("Control+Shift+z", "Control+y");
  await untilState("place and name again", readAll([tab]), ([page]) =>
    page.steps.some((step) => step.startsWith("Load NIfTI")),
  );
  await tab.locator(".step").first().focus();
  await press("Delete");
  await untilFocused("GLM", "the focus to go to the next step");
  await press("Delete");
  await untilState("an empty board", readAll([tab]), ([page]) => page.steps.length === 0);
  await untilState(
    "the focus to stay at the board",
    () => tab.evaluate(() => document.activeElement.id),
    (id) => id === "view",
  );
  await tabTo("Help");
  await press("Enter");
  await tab.locator(".sheet").waitFor();
  await press("Escape");
  await tab.locator(".sheet").waitFor({ state: "hidden" });
  await tab.getByLabel("Name of another step").focus();
  await tab.keyboard.type("Typed");
  await press("Enter");
  await untilBoard("the step", [tab], ({ steps }) => steps.length === 1);
  await press("Control+z");
  await untilBoard(
    "an empty field passes the undo keys to the board",
    [tab],
    ({ steps }) => steps.length === 0,
  );
});

scenario("a press with the pointer directs the keys, and Escape cancels a drag", async (world) => {
  const [server, browser] = await Promise.all([world.server(), world.browser()]);
  const tabs = [
    await browser.tab(`${server.url}/`, WIDE),
    await browser.tab(`${server.url}/`, WIDE),
  ];
  const [tab] = tabs;
  await untilState("two tabs to show one whole star", readAll(tabs), isWhole);
  await tab.locator(".preset", { hasText: "Skull strip" }).click();
  await untilBoard("a step", tabs, ({ steps }) => steps.length === 1);
  await tab.keyboard.press("Delete");
  await untilBoard("the new step to be deleted by key", tabs, ({ steps }) => steps.length === 0);

  await button(tab, "Start with an example").click();
  const [{ steps }] = await untilBoard(
    "the example everywhere",
    tabs,
    ({ steps }) => steps.length === 6,
  );
  await wire(tab, "Load DICOM", "Skull strip");
  await untilState(
    "the page to keep the existing wire",
    readAll([tab]),
    ([page]) => page.said.endsWith("already.") && page.wires.length === 5,
  );

  const box = await step(tab, "GLM").boundingBox();
  await tab.mouse.move(box.x + 40, box.y + 20);
  await tab.mouse.down();
  await tab.mouse.move(box.x + 240, box.y + 220, { steps: 12 });
  await untilBoard("the drag everywhere", tabs, (page) => String(page.steps) !== String(steps));
  await tab.keyboard.press("Escape");
  await untilBoard(
    "the board as before the drag",
    tabs,
    (page) => String(page.steps) === String(steps),
  );
  await tab.mouse.move(box.x + 340, box.y + 320, { steps: 4 });
  await tab.mouse.up();
  await button(tab, "Undo").click();
  await untilBoard(
    "undo to take back what was done before the drag",
    tabs,
    (page) => page.steps.length === 0,
  );
  await button(tab, "Redo").click();
  await untilBoard("the example again", tabs, (page) => page.steps.length === 6);

  await drag(tab, "GLM", 2000, 0);
  const inView = () =>
    tab.evaluate(() =>
      ["#view", ".step.selected"].map(
        (found) => document.querySelector(found).getBoundingClientRect().right,
      ),
    );
  await untilState("a step at the edge to be whole in view", inView, ([view, step]) => step < view);
  await button(tab, "Undo").click();

  await tab.getByText("Help").click();
  await tab.locator(".sheet").waitFor();
  await step(tab, "GLM").click();
  await tab.locator(".sheet").waitFor({ state: "hidden" });
  await button(tab, "Delete").dblclick();
  await untilBoard(
    "one step less, not two",
    tabs,
    (page) => page.steps.length === 5 && !names(page).includes("GLM"),
  );
});

scenario(
  "a phone on a wide board shows readable names and can show the whole board",
  async (world) => {
    const [server, browser] = await Promise.all([world.server(), world.browser()]);
    const wide = await browser.tab(`${server.url}/`, WIDE);
    await button(wide, "Start with an example").click();
    await untilBoard("the example", [wide], ({ steps }) => steps.length === 6);
    const phone = await browser.tab(`${server.url}/`, PHONE);
    await untilBoard("the example on the phone", [wide, phone], ({ steps }) => steps.length === 6);
    const look = () =>
      phone.evaluate(() => {
        const view = document.getElementById("view").getBoundingClientRect();
        const boxes = [...document.querySelectorAll(".step")].map((box) =>
          box.getBoundingClientRect(),
        );
        return {
          scale: boxes[0].width / 172,
          all: boxes.every(
            ({ left, right, top, bottom }) =>
              left >= view.left && right <= view.right && top >= view.top && bottom <= view.bottom,
          ),
          pressed: document.getElementById("fit").getAttribute("aria-pressed"),
        };
      });
    assert.deepEqual(await look(), { scale: 0.75, all: false, pressed: "false" });
    await button(phone, "Fit").tap();
    await untilState(
      "all of it",
      look,
      ({ scale, all, pressed }) => all && scale < 0.75 && pressed === "true",
    );
    await button(phone, "Fit").tap();
    await untilState(
      "its full size",
      look,
      ({ scale, pressed }) => scale === 1 && pressed === "false",
    );
  },
);

scenario("large letters and narrow windows do not break the layout", async (world) => {
  const [server, browser] = await Promise.all([world.server(), world.browser()]);
  for (const [width, letters] of [
    [320, 16],
    [390, 32],
    [1440, 32],
  ]) {
    const tab = await browser.tab(`${server.url}/?page=${width}`, {
      viewport: { width, height: 900 },
    });
    await tab.evaluate((px) => (document.documentElement.style.fontSize = `${px}px`), letters);
    await button(tab, "Start with an example").click();
    await untilState("the example", readAll([tab]), ([page]) => page.steps.length === 6);
    const over = await tab.evaluate(() => {
      const card = document.querySelector(".board").getBoundingClientRect();
      const out = [...document.querySelectorAll(".bar button")].filter(
        (button) => button.getBoundingClientRect().right > card.right && !button.matches(".preset"),
      );
      const tall = [...document.querySelectorAll(".step .name")].filter(
        (name) => name.getBoundingClientRect().height > 56,
      );
      return {
        sideways: document.documentElement.scrollWidth - innerWidth,
        out: [...out, ...tall].map((element) => element.textContent),
      };
    });
    assert.ok(
      over.sideways <= 0 && over.out.length === 0,
      `${width} wide, letters of ${letters}: ${JSON.stringify(over)}`,
    );
  }
});

scenario("a lone member finds its board again after a reload", async (world) => {
  const [server, browser] = await Promise.all([world.server(), world.browser()]);
  const tab = await browser.tab(`${server.url}/`, WIDE);
  await button(tab, "Start with an example").click();
  const [before] = await untilState(
    "the example",
    readAll([tab]),
    ([page]) => page.steps.length === 6 && page.said.includes("added"),
  );
  await tab.reload();
  const [after] = await untilState(
    "the kept board",
    readAll([tab]),
    ([page]) =>
      page.steps.length === 6 &&
      page.wires.length === 5 &&
      page.said === "Your board from last time is back",
  );
  assert.notEqual(after.id, before.id);
  assert.deepEqual(after.steps, before.steps);
});

scenario("two pages talk over a plain PeerJS connection by id", async (world) => {
  const [server, browser] = await Promise.all([world.server(), world.browser()]);
  const tabs = await Promise.all([1, 2].map(() => browser.tab(`${server.url}/`, WIDE)));
  const pages = await untilState("two tabs to show one whole star", readAll(tabs), isWhole);
  await tabs[0].getByText("Your id, and connecting by id").click();
  await tabs[0].getByLabel("Id of someone here").fill(pages[1].id.slice(0, 8));
  await tabs[0].keyboard.press("Enter");
  await untilState(
    "hello over a connection of their own",
    readAll(tabs),
    ([from, to]) =>
      from.hand.startsWith("Connected to") &&
      to.hand.includes("says “hello”") &&
      to.said === to.hand,
  );
  await tabs[0].getByLabel("Id of someone here").fill("nobody-here");
  await tabs[0].keyboard.press("Enter");
  await untilState(
    "the page to report an unknown id",
    readAll(tabs),
    ([page]) => page.hand === "Nobody here has that id.",
  );
});

scenario("two pages of one server do not meet", async (world) => {
  const [server, browser] = await Promise.all([world.server(), world.browser()]);
  const [ours, theirs] = await Promise.all(
    ["one", "two ü/?"].map((page) =>
      browser.tab(`${server.url}/?page=${encodeURIComponent(page)}`, WIDE),
    ),
  );
  const pages = await untilState("each to be alone and host", readAll([ours, theirs]), (all) =>
    all.every(({ id, host, count }) => id === host && count === "only you"),
  );
  assert.deepEqual(
    pages.map(({ page }) => page),
    ["one", "two ü/?"],
  );
});

scenario("the page also works under a path of the server", async (world) => {
  const [server, browser] = await Promise.all([
    world.server({ SERVER__PATH: "/deep/down/" }),
    world.browser(),
  ]);
  const tabs = await Promise.all([1, 2].map(() => browser.tab(`${server.url}/deep/down/`, WIDE)));
  await untilState("two tabs to show one whole star", readAll(tabs), isWhole);
});

scenario(
  "the page reports a lost server, the board goes on, and the page reconnects by itself",
  async (world) => {
    // Another server serves the page than the one that the page talks to.
    const [server, from, browser] = await Promise.all([
      world.server(),
      world.server(),
      world.browser(),
    ]);
    const url = `${from.url}/?server=${server.url}/`;
    const tabs = [await browser.tab(url, PHONE), await browser.tab(url, WIDE)];
    const [before] = await untilState("two tabs to show one whole star", readAll(tabs), isWhole);
    await server.end("SIGKILL");
    await untilState("both to report that the server is out of reach", readAll(tabs), (pages) =>
      pages.every(({ status }) => status.startsWith("Server out of reach")),
    );
    for (const tab of tabs)
      assert.ok(
        await button(tab, "Drop the host").isDisabled(),
        "without a server no host can be chosen",
      );
    await tabs[1].getByRole("button", { name: "GLM" }).click();
    await untilBoard(
      "the board to go on over the direct link",
      tabs,
      ({ steps }) => steps.length === 1,
    );
    await shoot(tabs[0], "away-phone");
    await server.begin();
    const [after] = await untilState(
      "both to be back in one whole star",
      readAll(tabs),
      (pages) => isWhole(pages) && pages.every(({ status }) => status === "Connected"),
      30_000,
    );
    assert.deepEqual(
      [after.host, after.epoch],
      [before.host, before.epoch],
      "a restart of the server does not change the host",
    );
    for (const tab of tabs) assert.ok(await button(tab, "Drop the host").isEnabled());
  },
);

scenario(
  "over the relay alone, a lost server ends every link, and the page shows unsent edits",
  async (world) => {
    const [server, from, browser] = await Promise.all([
      world.server({ PAGES__STAR: 1 }),
      world.server(),
      world.browser(),
    ]);
    const url = `${from.url}/?server=${server.url}/`;
    const tabs = [await browser.tab(url, WIDE), await browser.tab(url, WIDE)];
    await untilState("relayed links", readAll(tabs), (pages) =>
      pages.every(({ links }) => links.length === 1 && /^relayed, .*ms$/.test(links[0])),
    );
    await server.end("SIGKILL");
    const waiting = () =>
      tabs[1].evaluate(() =>
        [...document.querySelectorAll(".step.waiting .name")].map(({ textContent }) => textContent),
      );
    await untilState(
      "no link",
      readAll(tabs),
      (pages) =>
        pages.every(
          ({ links, status }) => String(links) === "…" && status.endsWith("Your changes wait."),
        ),
      20_000,
    );
    await tabs[1].locator(".preset", { hasText: "GLM" }).click();
    await untilState(
      "the edits to wait for the server",
      waiting,
      (names) => String(names) === "GLM",
    );
    await server.begin();
    await untilBoard("the edit everywhere", tabs, ({ steps }) => steps.length === 1);
    assert.deepEqual(await waiting(), []);
  },
);

scenario("the board reports a server that was never reached", async (world) => {
  const [from, browser] = await Promise.all([world.server(), world.browser()]);
  const nowhere = await freePort();
  const tab = await browser.tab(`${from.url}/?server=http://127.0.0.1:${nowhere}/`, WIDE);
  await tab
    .locator(".empty")
    .getByText(`No server at http://127.0.0.1:${nowhere}/ yet; trying again…`)
    .waitFor();
});

scenario("a refused page says why and disables all controls", async (world) => {
  const [server, browser] = await Promise.all([world.server(), world.browser()]);
  for (const [query, why] of [
    ["key=wrong", "“key”"],
    [`page=${"x".repeat(1100)}`, "too long"],
  ]) {
    const tab = await browser.tab(`${server.url}/?${query}`, WIDE);
    await untilState("the page to explain", readAll([tab]), ([page]) => page.status.includes(why));
    await button(tab, "Reload").waitFor();
    assert.ok(await tab.getByText("Connecting…").isHidden());
    assert.equal((await read(tab)).said, "", "the page reports nothing twice");
    const live = await tab.evaluate(() =>
      [
        ...document.querySelectorAll(
          "#rename, #new-step, #my-name, #drop, #example, #hand-id, #steps",
        ),
      ]
        .filter((element) => !element.closest("[inert]"))
        .map(({ id }) => id),
    );
    assert.deepEqual(live, []);
  }
});

scenario("the page reports an invalid server in its address", async (world) => {
  const [server, browser] = await Promise.all([world.server(), world.browser()]);
  for (const bad of ["my.server.example:9000", "ftp://example.org/"]) {
    const tab = await browser.tab(`${server.url}/?server=${encodeURIComponent(bad)}`, WIDE);
    const { status } = await untilState(
      "the page to report it",
      () => read(tab),
      ({ status }) => !status.startsWith("Connecting"),
    );
    assert.match(
      status,
      /“server” in its address is to be an address such as "https:.*and this is/,
    );
    assert.ok(status.includes(bad));
    assert.equal(
      await tab.evaluate(() => document.getElementById("connecting").textContent.trim()),
      status,
    );
    await tab.context().close();
  }
});
