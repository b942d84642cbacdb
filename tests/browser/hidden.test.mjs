// Tabs out of sight: hidden, frozen, or kept in the back-forward cache.
import assert from "node:assert/strict";
import { Crowd } from "./support/group.mjs";
import { scenario } from "./support/scenario.mjs";
import { until, untilState } from "./support/until.mjs";

/** Number of messages while a tab is hidden or frozen. */
const MANY = 60;

/**
 * Starts Ann, the host, in a browser that throttles hidden tabs, and Bob and Cyd, always visible.
 * All send messages.
 */
async function gather(world, settings) {
  const [server, site, bare, browser] = await Promise.all([
    world.server(settings),
    world.site(),
    world.bare(),
    world.browser(),
  ]);
  const crowd = new Crowd(world, server, site, {
    page: "https://example.org/hidden",
    server: server.url,
    debug: true,
  });
  Object.assign(crowd, { mode: "p2p", everyMs: 50 });
  const ann = await crowd.add(bare);
  await ann.tab.evaluate(() => {
    window.life = [];
    for (const name of ["freeze", "resume", "visibilitychange"])
      document.addEventListener(name, () => life.push(name));
    for (const name of ["pagehide", "pageshow"])
      addEventListener(name, ({ persisted }) =>
        life.push(`${name}${persisted ? " persisted" : ""}`),
      );
  });
  const others = [await crowd.add(browser), await crowd.add(browser)];
  await crowd.settled();
  assert.equal((await ann.summary()).isHost, true);
  return { crowd, bare, ann, others };
}

const causes = ({ tab }) =>
  tab.evaluate(() => diary.events.filter(({ kind }) => kind === "host").map(({ cause }) => cause));

/** Waits until each of `others` has a host among them that was named for `cause`. */
async function replaced(others, cause) {
  const ids = others.map(({ id }) => id);
  for (const member of others) {
    await until(
      `${member.name} to have another host`,
      async () => ids.includes((await member.summary()).host),
      15_000,
    );
    await untilState(
      `${member.name} to hear why`,
      () => causes(member),
      (list) => list.at(-1) === cause,
    );
  }
}

/**
 * Waits until each of `members` was handed many more messages, some of them from each of `senders`.
 */
async function goesOn(members, senders = members) {
  const names = senders.map(({ name }) => name);
  const lengths = await Promise.all(
    members.map(({ tab }) => tab.evaluate(() => diary.messages.length)),
  );
  for (const [i, { name, tab }] of members.entries()) {
    const since = () =>
      tab.evaluate(
        (from) => diary.messages.slice(from).map((word) => word.split("#")[0]),
        lengths[i],
      );
    await untilState(
      `${name} to be handed more`,
      since,
      (words) => words.length >= MANY && names.every((name) => words.includes(name)),
      20_000,
    );
  }
}

scenario(
  "a host in a hidden tab gives way to a visible member and is handed every message meanwhile",
  async (world) => {
    const { crowd, bare, ann, others } = await gather(world, { ELECTION__HIDDEN_MS: 1_000 });
    const front = await bare.tab("about:blank");
    assert.equal(await ann.tab.evaluate(() => document.visibilityState), "hidden");
    await replaced(others, "resigned");
    assert.equal((await causes(ann)).at(-1), "resigned");
    await until(
      "the browser to slow the hidden tab: one wake-up a second",
      () =>
        ann.tab.evaluate(async () => {
          const began = now();
          // A wake-up runs all timers due within 3 ms, so each timer here has to be later than
          // that.
          for (let i = 0; i < 3; i++) await new Promise((done) => setTimeout(done, 50));
          return now() - began > 1_500;
        }),
      20_000,
    );
    await goesOn([ann, ...others]);
    assert.equal(await ann.tab.evaluate(() => document.visibilityState), "hidden");
    await crowd.compare();
    // A tab that becomes visible again does not become the host again.
    const { epoch } = await ann.summary();
    await front.close();
    await until("ann's tab to be seen", () =>
      ann.tab.evaluate(() => document.visibilityState === "visible"),
    );
    await goesOn([ann, ...others]);
    assert.equal((await ann.summary()).epoch, epoch);
    await crowd.compare();
  },
);

scenario(
  "a frozen host is replaced, and thawed it misses nothing and loses no message of its own",
  async (world) => {
    const { crowd, bare, ann, others } = await gather(world, { ELECTION__HIDDEN_MS: 0 });
    await bare.tab("about:blank");
    await bare.freeze(ann.tab);
    await replaced(others, "stalled");
    await goesOn(others);
    // Frozen, Ann was handed nothing and still believes that she hosts.
    assert.equal((await ann.summary()).isHost, true);
    assert.deepEqual(await ann.tab.evaluate(() => life), ["visibilitychange", "freeze"]);
    await bare.thaw(ann.tab);
    await until(
      "ann to be a member",
      async () => (await ann.summary()).host === (await others[0].summary()).host,
    );
    await goesOn([ann, ...others]);
    assert.deepEqual(await ann.tab.evaluate(() => life), ["visibilitychange", "freeze", "resume"]);
    await crowd.compare();
  },
);

scenario(
  "a former host that returns from the back-forward cache is a member and misses nothing",
  async (world) => {
    const { crowd, ann, others } = await gather(world);
    await ann.tab.goto(`${crowd.site.url}/stock.html`);
    await replaced(others, "left");
    await goesOn(others);
    await ann.tab.goBack();
    const life = await ann.tab.evaluate(() => life);
    assert.ok(
      life.includes("pageshow persisted"),
      `the browser did not keep the page: ${life.join(", ")}`,
    );
    await crowd.settled();
    await goesOn([ann, ...others]);
    await crowd.compare();
  },
);
