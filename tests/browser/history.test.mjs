// Which history goes on after an outage of the server, and which losses the pages are told.
import assert from "node:assert/strict";
import { Member, modes, sleep } from "./support/group.mjs";
import { scenario } from "./support/scenario.mjs";
import { untilState } from "./support/until.mjs";

const page = "https://example.org/history";
/** A member away for longer than this is away for long. A history is young for as long. */
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

/**
 * Starts two members that have sent five messages each, over a proxy that can refuse connections.
 */
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

/** Waits until a newcomer's history is no longer young and absent members are away for long. */
const wait = () => sleep(4 * RESUME_MS);

scenario(
  "members that return late after an outage lose nothing to a page that opened first",
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
      "the old and the new messages everywhere",
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
    await states(everyone, "a further message everywhere", (each) => each.at(-1) === "ann#6");
  },
);

scenario(
  "pages that give up a history are handed what they lose and send their own messages again",
  async (world) => {
    const { wire, old, past, newcomer } = await withPast(world);
    wire.held = true;
    wire.cut();
    // The server knows that both have left and goes on.
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
      "all messages everywhere",
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
