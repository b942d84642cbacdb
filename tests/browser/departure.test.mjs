// Stock PeerJS never notices by itself that the other side is gone; the server's LEAVE tells it.
import { happened, link } from "./support/pair.mjs";
import { scenario } from "./support/scenario.mjs";

const RETURN_MS = 1_000;
/** How long the server waits for one whose browser closed its socket with 1001, as browsers do with a closed tab. */
const GRACE_MS = 1_000;
/** From a departure to its effect on the other side. */
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

scenario(
  "a closed tab closes the other side's connection when its grace is over",
  async (world) => {
    const { ann, bob } = await linked(world);
    await closesFor(bob, world, () => ann.close(), GRACE_MS + SOON_MS);
  },
);

scenario(
  "a tab that goes to another address closes the other side's connection when its grace is over",
  async (world) => {
    const { ann, bob } = await linked(world);
    await closesFor(bob, world, () => ann.goto("about:blank"), GRACE_MS + SOON_MS);
  },
);

scenario(
  "a killed browser closes the other side's connection once its time to return is over",
  async (world) => {
    const { bob, annsBrowser } = await linked(world);
    await closesFor(bob, world, () => annsBrowser.kill(), RETURN_MS + SOON_MS);
  },
);
