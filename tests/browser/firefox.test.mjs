// Firefox closes a page's WebSockets with 1001 when a navigation begins, even if the navigation is
// a download and the page stays. Chromium does not.
import assert from "node:assert/strict";
import { clock, Crowd, die } from "./support/group.mjs";
import { scenario } from "./support/scenario.mjs";
import { untilState } from "./support/until.mjs";

/** Time that the server waits for a client whose browser closed its socket with 1001. */
const GRACE_MS = 1_000;
/** Number of messages, at 20 a second. Sending them takes longer than the grace time. */
const MANY = 60;

/** Actions of a page that make Firefox close its WebSockets although the page stays. */
const interruptions = {
  "a download": () => Object.assign(document.createElement("a"), { href: "/download" }).click(),
  "an answer without content": () =>
    Object.assign(document.createElement("a"), { href: "/no-content" }).click(),
  "window.stop()": () => window.stop(),
};

scenario(
  "Firefox: a download that a member or the host starts is no departure",
  async (world) => {
    const [server, site, chromium, firefox] = await Promise.all([
      world.server(),
      world.site(),
      world.chromium(),
      world.firefox(),
    ]);
    const crowd = new Crowd(world, server, site, {
      page: "https://example.org/download",
      server: server.url,
      debug: true,
    });
    Object.assign(crowd, { mode: "p2p", everyMs: 50 });
    await crowd.add(chromium, "ann");
    const fox = await crowd.add(firefox, "fox");
    await crowd.add(chromium, "bob");
    await crowd.settled();
    for (const role of ["member", "host"]) {
      if (role === "host") await crowd.appoint("firefox");
      const before = await counts(crowd);
      for (const [name, interrupt] of Object.entries(interruptions)) {
        const dials = await fox.tab.evaluate(() => window.dials.length);
        await fox.tab.evaluate(interrupt);
        await untilState(
          `${name} to close the ${role}'s WebSocket`,
          () => fox.tab.evaluate(() => window.dials.length),
          (n) => n > dials,
        );
        const delivered = () =>
          Promise.all(crowd.members.map(({ tab }) => tab.evaluate(() => diary.messages.length)));
        const had = await delivered();
        await untilState(
          "the members to go on sending",
          delivered,
          (all) => all.every((n, i) => n >= had[i] + MANY),
          20_000,
        );
      }
      assert.deepEqual(
        await counts(crowd),
        before,
        `a download of the ${role} counted as a departure`,
      );
      assert.equal((await crowd.host()) === fox, role === "host");
    }
    await crowd.compare();
  },
  90_000,
);

/** Returns the number of changes of host and of members that each member was told. */
const counts = (crowd) =>
  Promise.all(
    crowd.members.map(({ tab }) =>
      tab.evaluate(
        () => diary.events.filter(({ kind }) => kind === "host" || kind === "member").length,
      ),
    ),
  );

for (const [name, kind] of [
  ["Chromium", "chromium"],
  ["Firefox", "firefox"],
]) {
  scenario(
    `${name}: a host that really leaves is replaced immediately, without the grace time`,
    async (world) => {
      const crowd = await Crowd.gather(world, { mode: "relay only", browsers: ["chromium", kind] });
      const [witness] = crowd.members;
      for (const way of ["closed", "navigated", "navigated slowly", "left"]) {
        const host = crowd.members[1];
        await witness.tab.evaluate((id) => group.resign(id), host.id);
        await untilState(
          "the other member to host",
          () => witness.summary(),
          (s) => s.host === host.id,
        );
        const { epoch } = await witness.summary();
        const at = clock();
        await go(host, way, crowd.site);
        const heard = () =>
          witness.tab.evaluate(
            (epoch) => diary.events.find((e) => e.kind === "host" && e.epoch > epoch)?.at,
            epoch,
          );
        const took = Math.round((await untilState(`the next host (${way})`, heard, Boolean)) - at);
        world.note(`${way}: ${took} ms`);
        assert.ok(took < GRACE_MS, `${way}: the next host came after ${took} ms`);
        crowd.members.splice(1);
        if (way !== "closed") await host.tab.close();
        await crowd.add(host.browser);
        await crowd.settled();
      }
    },
    90_000,
  );
}

function go(host, way, site) {
  switch (way) {
    // The page stays until the answer arrives, and reconnects meanwhile.
    case "navigated slowly":
      return host.tab.goto(`${site.url}/slow`);
    case "left":
      return host.tab.evaluate(() => group.leave());
    default:
      return die(way, host);
  }
}
