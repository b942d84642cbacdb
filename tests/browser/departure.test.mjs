// Stock PeerJS never notices by itself that the other side has left. The server's LEAVE tells it.
import { happened, link } from "./support/pair.mjs";
import { scenario } from "./support/scenario.mjs";

const RETURN_MS = 1_000;
/**
 * Time that the server waits for a client whose socket was closed with 1001, as browsers do for a
 * closed tab.
 */
const GRACE_MS = 1_000;
/** Longest time from a departure to its effect on the other side. */
const SOON_MS = 1_500;

async function linked(world) {
  const [server, site, annsBrowser, bobsBrowser] = await Promise.all([
    world.server({ LIVENESS__RETURN_MS: RETURN_MS }),
    world.site(),
    world.browser(),
    world.browser(),
  ]);
  const [ann, bob] = await Promise.all(
    [annsBrowser, bobsBrowser].map((browser) => browser.tab(`${site.url}/stock.html`)),
  );
  await link(ann, bob, server);
  return { ann, bob, annsBrowser };
}

async function closesFor(bob, world, depart, within) {
  const start = performance.now();
  const departed = depart();
  await happened(bob, "ann close", { within });
  world.note(`closed after ${Math.round(performance.now() - start)} ms`);
  await departed;
}

scenario("a closed tab ends the other side's connection after the grace time", async (world) => {
  const { ann, bob } = await linked(world);
  await closesFor(bob, world, () => ann.close(), GRACE_MS + SOON_MS);
});

scenario(
  "a tab that navigates away ends the other side's connection after the grace time",
  async (world) => {
    const { ann, bob } = await linked(world);
    await closesFor(bob, world, () => ann.goto("about:blank"), GRACE_MS + SOON_MS);
  },
);

scenario(
  "a killed browser ends the other side's connection after the time to return",
  async (world) => {
    const { bob, annsBrowser } = await linked(world);
    await closesFor(bob, world, () => annsBrowser.kill(), RETURN_MS + SOON_MS);
  },
);
