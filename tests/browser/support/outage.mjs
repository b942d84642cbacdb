// An outage of the server, seen by tabs of Chromium and Firefox at the same time.
import { clock, Member, sleep } from "./group.mjs";
import { untilState } from "./until.mjs";

/**
 * Stops the server for `outageMs`. Returns how many ms after its return each tab is connected
 * again.
 */
export async function measureOutage(world, { outageMs, tabs = 1, withinMs = 90_000 }) {
  const [server, site, chromium, firefox] = await Promise.all([
    world.server(),
    world.site(),
    world.chromium(),
    world.firefox(),
  ]);
  const options = {
    page: "https://example.org/outage",
    server: server.url,
    debug: true,
    p2p: false,
  };
  const members = { chromium: [], firefox: [] };
  for (const [name, browser] of Object.entries({ chromium, firefox })) {
    for (let i = 0; i < tabs; i++)
      members[name].push(await Member.join(browser, site, `${name}${i}`, options));
  }
  const all = [...members.chromium, ...members.firefox];
  await untilState(
    "all tabs to see each other",
    () => Promise.all(all.map((member) => member.summary())),
    (each) => each.every((s) => s.members === all.length),
  );
  await server.end("SIGKILL");
  await sleep(outageMs);
  await server.begin();
  const at = clock();
  const returns = () =>
    Promise.all(
      all.map(({ tab }) =>
        tab.evaluate(
          (at) => diary.events.find((e) => e.kind === "status" && e.server && e.at > at)?.at,
          at - 1_000,
        ),
      ),
    );
  const times = await untilState(
    "all tabs to be connected again",
    returns,
    (each) => each.every(Boolean),
    withinMs,
  );
  const after = times.map((time) => Math.max(0, Math.round(time - at)));
  return { chromium: after.slice(0, tabs), firefox: after.slice(tabs), members, server };
}
