// Messages and requests from page to page: in order, once, through the death of the host.
import assert from "node:assert/strict";
import { Member, modes } from "./support/group.mjs";
import { scenario } from "./support/scenario.mjs";
import { untilState } from "./support/until.mjs";

const page = "https://example.org/direct";

/** Notes what a page is sent, and answers requests. */
const listen = ({ tab }) =>
  tab.evaluate(async () => {
    window.directs = [];
    group.on("direct", (data, { from }) => directs.push([from, data]));
    window.asked = 0;
    group.handle(async (data) => {
      asked++;
      if (data === "fail") throw new Error("not today");
      return { doubled: data * 2, bytes: new Uint8Array([data]) };
    });
    await group.opened;
    return group.id;
  });
/** Calls a method of the group. Returns its result, or the error in words. */
const outcome = ({ tab }, method, ...args) =>
  tab.evaluate(
    async ({ method, args }) => {
      try {
        return await group[method](...args);
      } catch ({ code, message }) {
        return `${code}: ${message}`;
      }
    },
    { method, args },
  );

for (const [mode, { server: settings, options }] of Object.entries(modes)) {
  scenario(
    `pages send to and ask one another, through a change of host, ${mode}`,
    async (world) => {
      const [server, site, ...browsers] = await Promise.all([
        world.server(settings),
        world.site(),
        world.browser(),
        world.browser(),
        world.browser(),
      ]);
      const members = [];
      const ids = [];
      for (const [i, name] of ["ann", "bob", "cyd"].entries()) {
        const member = await Member.join(browsers[i], site, name, {
          page,
          server: server.url,
          ...options,
        });
        members.push(member);
        ids.push(await listen(member));
      }
      const [ann, bob, cyd] = members;
      const together = (some) =>
        untilState(
          "all to be together",
          () => Promise.all(some.map((member) => member.summary())),
          (each) => each.every((s) => s.members === some.length && s.host === each[0].host),
          20_000,
        );
      await together(members);

      // Between two that do not host, to and from the host.
      for (let i = 0; i < 5; i++) await outcome(bob, "sendTo", ids[2], i);
      await outcome(ann, "sendTo", ids[2], "of the host");
      await outcome(cyd, "sendTo", ids[0], "to the host");
      assert.deepEqual(await cyd.tab.evaluate(() => directs), [
        ...[0, 1, 2, 3, 4].map((i) => [ids[1], i]),
        [ids[0], "of the host"],
      ]);
      assert.deepEqual(await ann.tab.evaluate(() => directs), [[ids[2], "to the host"]]);
      assert.deepEqual(await bob.tab.evaluate(() => directs), []);
      assert.deepEqual(
        await bob.tab.evaluate(async (id) => {
          const { doubled, bytes } = await group.request(id, 21);
          return [doubled, [...bytes]];
        }, ids[2]),
        [42, [21]],
      );
      assert.equal(await outcome(bob, "request", ids[2], "fail"), "Rejected: not today");

      // The host dies with messages on their way.
      await bob.tab.evaluate((id) => {
        window.sent = Promise.all(Array.from({ length: 50 }, (_, i) => group.sendTo(id, `m${i}`)));
        window.lost = group.request(group.host, 1).catch(({ code }) => code);
      }, ids[2]);
      await ann.browser.kill();
      await bob.tab.evaluate(() => sent.then(() => true));
      assert.deepEqual(
        await cyd.tab.evaluate(() =>
          directs.map(([, data]) => data).filter((data) => `${data}`[0] === "m"),
        ),
        Array.from({ length: 50 }, (_, i) => `m${i}`),
      );
      await together([bob, cyd]);
      const lost = await bob.tab.evaluate(() => lost);
      assert.ok(
        lost === "Gone" || lost === "Uncertain" || lost.doubled === 2,
        JSON.stringify(lost),
      );
      assert.match(await outcome(bob, "sendTo", ids[0], "nobody there"), /^Gone: /);
      assert.equal(await cyd.tab.evaluate(() => asked), 2);
    },
  );
}
