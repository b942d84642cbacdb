// After a lost WebSocket the P2P link must go on, and `peer.reconnect()` must lead to `open` again.
import assert from "node:assert/strict";
import { begin, happened, link, nothingClosed, talk } from "./support/pair.mjs";
import { scenario } from "./support/scenario.mjs";
import { until } from "./support/until.mjs";

const RETURN_MS = 1_000;

/** Starts a linked pair, with a proxy between Ann and the server. */
async function linked(world) {
  const [server, site, browser] = await Promise.all([
    world.server({ LIVENESS__RETURN_MS: RETURN_MS }),
    world.site(),
    world.browser(),
  ]);
  const wire = await world.proxy(server.port);
  const [ann, bob] = await Promise.all([1, 2].map(() => browser.tab(`${site.url}/stock.html`)));
  await link(ann, bob, server, wire.port);
  return { server, wire, ann, bob };
}

/** Checks that the WebSocket works: another link can be made over it. */
async function signalsAgain(bob) {
  await bob.evaluate(() => dial("ann", { label: "another" }));
  await happened(bob, "ann open", { times: 2 });
}

scenario("a cut WebSocket does not end the link, and reconnect() opens again", async (world) => {
  const { wire, ann, bob } = await linked(world);
  wire.cut();
  const cutAt = performance.now();
  await happened(ann, "disconnected");
  await talk(ann, bob, "while cut");
  await ann.evaluate(() => reconnectUntilOpen());
  await happened(ann, "open", { times: 2 });
  assert.equal(await ann.evaluate(() => peer.id), "ann");

  // A client that returned in time must not count as left when the time to return ends.
  let round = 0;
  await until("the link to carry data until the time to return is well over", async () => {
    await talk(ann, bob, `round ${++round}`);
    return performance.now() - cutAt > 2 * RETURN_MS;
  });
  await nothingClosed(ann, bob);
  await signalsAgain(bob);
});

scenario(
  "reconnect() opens again while the server still holds the old WebSocket",
  async (world) => {
    const { wire, ann, bob } = await linked(world);
    wire.cutBrowserSide();
    await happened(ann, "disconnected");
    await ann.evaluate(() => reconnectUntilOpen());
    await happened(ann, "open", { times: 2 });
    await talk(ann, bob, "after the replacement");
    await nothingClosed(ann, bob);
    await signalsAgain(bob);
  },
);

scenario("a newcomer gets the id of a client that fell silent", async (world) => {
  const [server, site, browser] = await Promise.all([
    world.server(),
    world.site(),
    world.browser(),
  ]);
  const wire = await world.proxy(server.port);
  const [owner, newcomer] = await Promise.all(
    [1, 2].map(() => browser.tab(`${site.url}/stock.html`)),
  );
  assert.equal(await begin(owner, "ann", { ...server.peerOptions, port: wire.port }), "open");
  assert.equal(await begin(newcomer, "ann", server.peerOptions), "unavailable-id");
  wire.cutBrowserSide();
  assert.equal(await begin(newcomer, "ann", server.peerOptions), "open");
});

scenario(
  "a restart of the server does not end the link, and reconnect() opens again",
  async (world) => {
    const { server, ann, bob } = await linked(world);
    await server.end("SIGKILL");
    await Promise.all([ann, bob].map((tab) => happened(tab, "disconnected")));
    await talk(ann, bob, "without a server");
    await server.begin();
    await Promise.all([ann, bob].map((tab) => tab.evaluate(() => reconnectUntilOpen())));
    await Promise.all([ann, bob].map((tab) => happened(tab, "open", { times: 2 })));
    await talk(ann, bob, "with a new server");
    await nothingClosed(ann, bob);
    await signalsAgain(bob);
  },
);

scenario("reconnect() after disconnect() opens again", async (world) => {
  const { ann, bob } = await linked(world);
  await ann.evaluate(() => peer.disconnect());
  await talk(ann, bob, "while disconnected on purpose");
  await ann.evaluate(() => peer.reconnect());
  await happened(ann, "open", { times: 2 });
  await talk(ann, bob, "after coming back");
  await nothingClosed(ann, bob);
});
