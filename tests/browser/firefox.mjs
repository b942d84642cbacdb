// scripts/firefox: Firefox and Chromium in one group. Each hosts and hands over to the other. Then
// Firefox dies as the host.
import { Crowd } from "./support/group.mjs";
import { nothingLeft } from "./support/process.mjs";
import { World } from "./support/scenario.mjs";
import { untilState } from "./support/until.mjs";

/** Messages between two steps of the story. */
const TALK = 100;

const world = new World({ diagnostic: (text) => console.error(text) });

async function story() {
  const [server, site, chromium, firefox] = await Promise.all([
    world.server(),
    world.site(),
    world.browser(),
    world.firefox(),
  ]);
  console.log(
    `Chromium ${chromium.browser.version()}, ${await firefox.browser.version()}; each sends 20 messages a second`,
  );
  const crowd = new Crowd(world, server, site, {
    page: "https://example.org/firefox",
    server: server.url,
    debug: true,
  });
  Object.assign(crowd, { mode: "p2p", everyMs: 50 });
  const [ann, fox] = [await crowd.add(chromium, "chromium"), await crowd.add(firefox, "firefox")];
  const others = [await crowd.add(chromium, "chromium2")];
  await goesOn(crowd, "All members are together", [ann]);
  await resign(ann, fox);
  await goesOn(crowd, "Chromium has handed over to Firefox", [fox]);
  await resign(fox, ann);
  await goesOn(crowd, "Firefox has handed over to Chromium", [ann]);
  await resign(ann, fox);
  await goesOn(crowd, "Chromium has handed over to Firefox", [fox]);
  crowd.members = [ann, ...others];
  await firefox.kill();
  await goesOn(crowd, "Firefox was killed", crowd.members);
  await crowd.add(await world.firefox(), "firefox2");
  await goesOn(crowd, "Another Firefox has joined", [ann, ...others]);
}

const resign = (from, to) => from.tab.evaluate((id) => group.resign(id), to.id);

/**
 * Waits until one of `hosts` is the host, all have a data channel to it and go on sending. Fails
 * unless all were handed the same messages.
 */
async function goesOn(crowd, what, hosts) {
  const summaries = () => Promise.all(crowd.members.map((member) => member.summary()));
  await untilState(
    `${what}: the next host`,
    summaries,
    (all) => all.every(({ host }) => hosts.some(({ id }) => id === host)),
    20_000,
  );
  await crowd.settled();
  const before = Math.max(...(await summaries()).map(({ delivered }) => delivered));
  await untilState(
    `${what}: ${TALK} messages more`,
    summaries,
    (all) => all.every(({ delivered }) => delivered >= before + TALK),
    30_000,
  );
  const { messages } = await crowd.compare();
  const host = await crowd.host();
  const [{ epoch, cause }] = await host.tab.evaluate(() =>
    diary.events.filter((e) => e.kind === "host").slice(-1),
  );
  console.log(`\n${what}: ${host.name} hosts (epoch ${epoch}${cause && `, ${cause}`})`);
  for (const { name, tab } of crowd.members.filter((member) => member !== host)) {
    const [{ path, rttMs }] = await tab.evaluate(() =>
      diary.events.filter((e) => e.kind === "link" && e.id === group.host).slice(-1),
    );
    console.log(
      `  ${name} – ${host.name}: ${path}${rttMs === undefined ? "" : `, ${rttMs.toFixed(1)} ms round trip`}`,
    );
  }
  console.log(`  ${messages} messages so far: none lost, none repeated, in the same order for all`);
}

try {
  await story();
} catch (error) {
  process.exitCode = 1;
  console.error(error.message);
  await world.printLogs();
} finally {
  await world.end().catch((error) => console.error(error.message));
  await nothingLeft();
}
