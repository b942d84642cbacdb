// Which history goes on after the server was gone, and what the pages are told that they lose.
import assert from "node:assert/strict";
import { Member, modes, sleep } from "./support/group.mjs";
import { scenario } from "./support/scenario.mjs";
import { untilState } from "./support/until.mjs";

const page = "https://example.org/history";
/** Away for longer is long; a history is young for as long. */
const RESUME_MS = 1_000;

const all = (members, body) => Promise.all(members.map(({ tab }) => tab.evaluate(body)));
const recovered = ({ tab }) =>
  tab.evaluate(() => diary.events.filter(({ kind }) => kind === "recovered"));
const states = (members, what, good) =>
  untilState(
    what,
    () => all(members, () => getState()),
    (each) => each.every(good),
    20_000,
  );

/** Two members that have said five things each, over a wire that can be held; and how others join. */
async function withPast(world) {
  const [server, site, browser] = await Promise.all([
    world.server({ PAGES__RESUME_MS: RESUME_MS }),
    world.site(),
    world.browser(),
  ]);
  const wire = await world.proxy(server.port);
  const join = (name, port) =>
    Member.join(browser, site, name, {
      page,
      server: `http://127.0.0.1:${port}`,
      debug: true,
      ...modes["relay only"].options,
    });
  const old = [await join("ann", wire.port), await join("bob", wire.port)];
  await untilState(
    "both to be together",
    () => all(old, () => group.members.length),
    (each) => each.every((n) => n === 2),
  );
  for (const { tab } of old)
    await tab.evaluate(async () => {
      for (let i = 0; i < 5; i++) await say();
    });
  const [past] = await states(old, "ten messages each", (state) => state.length === 10);
  return { server, wire, old, past, newcomer: () => join("cyd", server.port) };
}

/** Long enough for what a newcomer founds to be young no more, and for those who are away to be away for long. */
const wait = () => sleep(4 * RESUME_MS);

scenario(
  "the server is gone for a while, a page is opened anew at once, and those who come back late lose nothing",
  async (world) => {
    const { server, wire, old, past, newcomer } = await withPast(world);
    wire.held = true;
    await server.end("SIGKILL");
    wire.cut();
    await server.begin();
    const cyd = await newcomer();
    await cyd.tab.evaluate(() => say());
    await wait();
    wire.held = false;
    const everyone = [...old, cyd];
    for (const state of await states(
      everyone,
      "what was before and what came since, everywhere",
      (each) => each.length === 11,
    ))
      assert.deepEqual(state, [...past, "cyd#1"]);
    for (const member of old)
      assert.deepEqual(
        (await recovered(member)).flatMap(({ lost }) => lost),
        [],
      );
    assert.ok((await recovered(cyd)).some(({ reason }) => reason === "replaced"));
    assert.deepEqual(
      (await recovered(cyd)).flatMap(({ lost }) => lost.filter(({ mine }) => mine)),
      [],
    );
    await old[0].tab.evaluate(() => say());
    await states(everyone, "one more everywhere", (each) => each.at(-1) === "ann#6");
  },
);

scenario(
  "a history that has to be given up is handed to the pages that had it, and they send their own again",
  async (world) => {
    const { wire, old, past, newcomer } = await withPast(world);
    wire.held = true;
    wire.cut();
    // The server knows that they are gone, and goes on.
    const cyd = await newcomer();
    await cyd.tab.evaluate(() => say());
    await wait();
    await all(old, () =>
      group.on("recovered", ({ lost }) =>
        lost.forEach(({ data, mine }) => mine && group.send(data)),
      ),
    );
    wire.held = false;
    const [first, ...others] = await states(
      [...old, cyd],
      "everything everywhere",
      (each) => each.length === 11,
    );
    for (const other of others) assert.deepEqual(other, first);
    assert.equal(first[0], "cyd#1");
    assert.deepEqual(first.slice(1).sort(), past.slice().sort());
    for (const member of old) {
      const { complete, reason, lost, lostMore } = (await recovered(member)).at(-1);
      assert.deepEqual([complete, reason, lostMore], [false, "replaced", false]);
      assert.deepEqual(
        lost.map(({ data }) => data),
        past,
      );
      assert.ok(
        lost.every(
          ({ data, mine, from }) =>
            mine === data.startsWith(member.name) && mine === (from === member.id),
        ),
      );
      const [restore] = await member.tab.evaluate(() =>
        diary.events.filter(({ kind }) => kind === "restore").slice(-1),
      );
      assert.deepEqual(restore.about, { reason, lost, lostMore });
    }
  },
);
