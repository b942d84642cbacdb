// Channels in pages: one order over all, parts that pages hand on which have not opened them, and
// the promises of a group's beginning and end.
import assert from "node:assert/strict";
import { Member, modes } from "./support/group.mjs";
import { scenario } from "./support/scenario.mjs";
import { untilState } from "./support/until.mjs";

const page = "https://example.org/channels";

/** Opens a board on a channel: its state is the list of its messages. */
const openBoard = ({ tab }, name = "board") =>
  tab.evaluate((name) => {
    const board = group.channel(name);
    const told = { list: [], seqs: [], restored: 0, recovered: [] };
    board.onSnapshot = () => told.list;
    board.onRestore = (given) => {
      told.list = [...(given ?? [])];
      told.restored++;
    };
    board.on("message", (word, { seq }) => {
      told.list.push(word);
      told.seqs.push(seq);
    });
    board.on("recovered", ({ complete, via }) => told.recovered.push({ complete, via }));
    window.boards = { ...window.boards, [name]: told };
    return group.channel(name) === board && group.channel("") === group;
  }, name);
const board = ({ tab }, name = "board") => tab.evaluate((name) => boards[name], name);

for (const [mode, { server: settings, options }] of Object.entries(modes)) {
  scenario(`a channel survives pages that have not opened it, ${mode}`, async (world) => {
    const [server, site, ...browsers] = await Promise.all([
      world.server(settings),
      world.site(),
      world.browser(),
      world.browser(),
      world.browser(),
    ]);
    const join = (browser, name) =>
      Member.join(browser, site, name, { page, server: server.url, ...options });
    const together = (members) =>
      untilState(
        "all to be together",
        () => Promise.all(members.map((member) => member.summary())),
        (each) => each.every((s) => s.members === members.length && s.host === each[0].host),
        20_000,
      );
    const ann = await join(browsers[0], "ann");
    assert.ok(await openBoard(ann));
    await ann.tab.evaluate(async () => {
      await group.opened;
      for (const word of ["a", "b"]) await group.channel("board").send(word);
      await group.send("said to all");
    });
    const bob = await join(browsers[1], "bob");
    await together([ann, bob]);
    await ann.tab.evaluate(async () => {
      await group.channel("board").send(new Uint8Array([1, 2]).length);
      await group.channel("unread").send("nobody listens");
    });
    await untilState(
      "bob to have heard all",
      () => bob.tab.evaluate(() => getState()),
      (state) => state.includes("said to all"),
    );
    await ann.browser.kill();
    // Bob hosts now, and has opened no channel.
    const cyd = await join(browsers[2], "cyd");
    await openBoard(cyd);
    await together([bob, cyd]);
    const told = await untilState(
      "cyd's board",
      () => board(cyd),
      ({ list }) => list.length === 3,
    );
    assert.deepEqual(told.list, ["a", "b", 2]);
    assert.deepEqual(told.recovered.at(-1)?.complete, true);
    assert.deepEqual(await cyd.tab.evaluate(() => getState()), ["said to all"]);
    // Opened late, on both: the same.
    for (const member of [bob, cyd]) {
      await openBoard(member, "unread");
      await untilState(
        `what was unread at ${member.name}`,
        () => board(member, "unread"),
        ({ list }) => list.length === 1,
      );
    }
    await openBoard(bob);
    assert.deepEqual(
      await untilState(
        "bob's board",
        () => board(bob),
        ({ list }) => list.length === 3,
      ).then(({ list }) => list),
      told.list,
    );
  });
}

scenario(
  "channels share one order, and a group's promises tell its beginning and end",
  async (world) => {
    const [server, site, browser] = await Promise.all([
      world.server({}),
      world.site(),
      world.browser(),
    ]);
    const ann = await Member.join(browser, site, "ann", { page, server: server.url });
    const bob = await Member.join(browser, site, "bob", { page, server: server.url });
    for (const member of [ann, bob])
      await member.tab.evaluate(async () => {
        window.order = [];
        for (const name of ["x", "y"])
          group.channel(name).on("message", (word, { seq }) => order.push([seq, name, word]));
        group.on("message", (word, { seq }) => order.push([seq, "", word]));
        await group.opened;
      });
    await Promise.all(
      [ann, bob].map(({ tab }) =>
        tab.evaluate(async () => {
          for (let i = 0; i < 20; i++)
            await Promise.all(["x", "", "y"].map((name) => group.channel(name).send(i)));
        }),
      ),
    );
    const [first, second] = await untilState(
      "120 messages each",
      () => Promise.all([ann, bob].map(({ tab }) => tab.evaluate(() => order))),
      (each) => each.every((list) => list.length === 120),
    );
    assert.deepEqual(first, second);
    assert.deepEqual(
      first,
      [...first].sort(([a], [b]) => a - b),
    );
    const ended = await bob.tab.evaluate(async () => {
      const told = [];
      const controller = new AbortController();
      group.on("close", ({ code }) => told.push(code), { once: true });
      group.on("close", () => told.push("aborted"), { signal: controller.signal });
      controller.abort();
      const { members } = group;
      const isStable = members === group.members;
      await group.leave();
      await group.leave();
      return [
        told,
        isStable,
        await group
          .channel("x")
          .send(1)
          .catch(({ code }) => code),
      ];
    });
    assert.deepEqual(ended, [[1000], true, "Closed"]);
    const refused = await ann.tab.evaluate(async (server) => {
      const other = new PageGroup({ page: "x", server, key: "wrong" });
      return other.opened.catch(({ code }) => code);
    }, server.url);
    assert.equal(refused, "Refused");
  },
);
