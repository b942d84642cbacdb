// Outages of the server. Firefox delays a page's next WebSocket after each one that failed. So the
// library asks the server over HTTP and dials a WebSocket only when it answers.
import assert from "node:assert/strict";
import { Member } from "./support/group.mjs";
import { measureOutage } from "./support/outage.mjs";
import { scenario } from "./support/scenario.mjs";
import { until } from "./support/until.mjs";

const OUTAGE_MS = 12_000;
/** Longest pause between two HTTP requests, plus the time that a browser may need to connect. */
const BACK_MS = 3_000 + 3_000;

const browsers = { Chromium: (world) => world.chromium(), Firefox: (world) => world.firefox() };

const dials = ({ tab }) => tab.evaluate(() => window.dials);

scenario(
  "after an outage two Firefox tabs return as soon as Chromium tabs, with few failed WebSockets",
  async (world) => {
    const { chromium, firefox, members } = await measureOutage(world, {
      outageMs: OUTAGE_MS,
      tabs: 2,
    });
    world.note(
      `back after ${chromium.join(", ")} ms in Chromium, ${firefox.join(", ")} ms in Firefox`,
    );
    for (const member of [...members.chromium, ...members.firefox]) {
      // The first dial, one dial without an HTTP answer after 5 s, and the dial that succeeded.
      const { length } = await dials(member);
      assert.ok(length <= 4, `${member.name} dialled ${length} times`);
    }
    for (const ms of [...chromium, ...firefox]) assert.ok(ms < BACK_MS, `${ms} ms`);
  },
  90_000,
);

for (const [name, start] of Object.entries(browsers)) {
  scenario(`${name}: a page whose policy forbids HTTP requests still reconnects`, async (world) => {
    const [server, site, browser] = await Promise.all([world.server(), world.site(), start(world)]);
    const policy = `connect-src ws://127.0.0.1:${server.port}`;
    const member = await Member.join(
      browser,
      site,
      "ann",
      { page: "https://example.org/policy", server: server.url, debug: true },
      { policy },
    );
    await until("Ann to join", async () => (await member.summary()).host);
    await server.end("SIGKILL");
    await until("three failed dials", async () => (await dials(member)).length >= 4, 20_000);
    await server.begin();
    await until(
      "ann to be back",
      () =>
        member.tab.evaluate(
          () => diary.events.filter((e) => e.kind === "status" && e.server).length >= 2,
        ),
      15_000,
    );
  });
}
