// Stock PeerJS without pages, as with every PeerServer.
import assert from "node:assert/strict";
import { begin, happened, link } from "./support/pair.mjs";
import { scenario } from "./support/scenario.mjs";
import { untilState } from "./support/until.mjs";

async function two(world, settings) {
  const [server, site, browser] = await Promise.all([
    world.server(settings),
    world.site(),
    world.browser(),
  ]);
  const [ann, bob] = await Promise.all([1, 2].map(() => browser.tab(`${site.url}/stock.html`)));
  return { server, ann, bob };
}

scenario("two stock clients open, connect and send data both ways", async (world) => {
  const { server, ann, bob } = await two(world);
  await link(ann, bob, server);
  const things = ["hello", { nested: [1, null, "ü"] }, 42];
  await ann.evaluate((things) => things.forEach((thing) => say("bob", thing)), things);
  await bob.evaluate(() => say("ann", new Uint8Array(200_000).fill(7)));
  await untilState(
    "bob to hear three things",
    () => bob.evaluate(() => said.ann),
    (heard) => heard.length === 3,
  );
  assert.deepEqual(await bob.evaluate(() => said.ann), things);
  const [bytes] = await untilState(
    "ann to hear 200 kB",
    () => ann.evaluate(() => said.bob),
    (heard) => heard.length === 1,
  );
  assert.deepEqual(bytes, { bytes: 200_000, sum: 1_400_000 });
});

scenario("a client without an id is given one", async (world) => {
  const { server, ann } = await two(world);
  assert.equal(await begin(ann, undefined, server.peerOptions), "open");
  assert.match(await ann.evaluate(() => peer.id), /^[0-9a-f-]{36}$/);
});

scenario("an id in use is refused as unavailable-id, and its owner keeps it", async (world) => {
  const { server, ann, bob } = await two(world);
  assert.equal(await begin(ann, "ann", server.peerOptions), "open");
  assert.equal(await begin(bob, "ann", server.peerOptions), "unavailable-id");
  assert.equal(await ann.evaluate(() => peer.open), true);
  assert.equal(await begin(bob, "bob", server.peerOptions), "open");
  await bob.evaluate(() => dial("ann"));
  await happened(ann, "bob open");
});

scenario("a wrong key is refused as invalid-key", async (world) => {
  const { server, ann } = await two(world);
  assert.equal(await begin(ann, "ann", { ...server.peerOptions, key: "wrong" }), "invalid-key");
});

scenario("dialling an absent id ends in peer-unavailable", async (world) => {
  const { server, ann } = await two(world, { PEERJS__EXPIRE_MS: 500 });
  assert.equal(await begin(ann, "ann", server.peerOptions), "open");
  await ann.evaluate(() => dial("nobody"));
  await happened(ann, "peer-unavailable");
});
