// Members on different nodes of a cluster behind HAProxy, while nodes die.
import assert from "node:assert/strict";
import { partForAWhile } from "./support/island.mjs";
import { begin, happened, link, nothingClosed, talk } from "./support/pair.mjs";
import { scenario } from "./support/scenario.mjs";
import { Spread } from "./support/spread.mjs";
import { until } from "./support/until.mjs";

const range = (times) => `${Math.round(Math.min(...times))}–${Math.round(Math.max(...times))} ms`;

for (const mode of ["p2p", "relay only"]) {
  scenario(`nothing is lost when the node of the host is killed, ${mode}`, async (world) => {
    const page = await Spread.gather(world, { mode, browsers: Array(3).fill("browser") });
    const [node] = page.server.nodes;
    const { took, silent, moved, hostChanged } = await page.nodeEnds(node, "SIGKILL");
    assert.equal(moved, 1, "each node has one member");
    assert.ok(!hostChanged, "the browser of the host lives");
    const { messages } = await page.compare();
    world.note(
      `first messages after ${range(took)}, silent for ${range(silent)}, ${messages} messages`,
    );
  });
}

scenario("stock clients of different nodes connect, and outlive a node", async (world) => {
  const [{ nodes, doors }, site, browser] = await Promise.all([
    world.cluster(),
    world.site(),
    world.browser(),
  ]);
  const [ann, bob, carl, dora] = await Promise.all(
    Array.from({ length: 4 }, () => browser.tab(`${site.url}/stock.html`)),
  );
  await link(ann, bob, doors[1], doors[0].port);
  await talk(ann, bob, "over two nodes");
  assert.equal(await begin(carl, "carl", doors[0].peerOptions), "open");
  assert.equal(await begin(dora, "ann", doors[2].peerOptions), "unavailable-id");

  await ann.evaluate(() => peer.disconnect());
  await talk(ann, bob, "while disconnected on purpose");
  await ann.evaluate(() => peer.reconnect());
  await happened(ann, "open", { times: 2 });

  // Carl does not come back.
  await nodes[0].end("SIGKILL");
  await Promise.all([ann, carl].map((tab) => happened(tab, "disconnected")));
  await talk(ann, bob, "without the node");
  await ann.evaluate(() => reconnectUntilOpen());
  await happened(ann, "open", { times: 3 });
  await talk(ann, bob, "on another node");
  await nothingClosed(ann, bob);
  await bob.evaluate(() => dial("ann", { label: "another" }));
  await happened(bob, "ann open", { times: 2 });
  await until(
    "the id of a client that went with its node to be free",
    async () => (await begin(dora, "carl", doors[2].peerOptions)) === "open",
  );
});

scenario(
  "nothing is lost when a node alone loses Redis, with the host of a page",
  async (world) => {
    const { messages, unresolved, parted, healed, troubles } = await partForAWhile(world, {
      seconds: 12,
      count: 20,
      hosts: true,
    });
    assert.deepEqual(troubles.mainland, []);
    world.note(
      `two halves after ${Math.round(parted)} ms, whole again ${Math.round(healed)} ms after the cut, ${messages} messages, ${unresolved.join(" and ")} waited`,
    );
  },
  120_000,
);
