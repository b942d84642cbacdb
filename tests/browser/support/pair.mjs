// Ann and Bob: two tabs, each with a stock PeerJS client (pages/stock.html).
import assert from "node:assert/strict";
import { untilState } from "./until.mjs";

/** Starts a client. Returns `open`, or the type of its error. */
export const begin = (tab, id, options) =>
  tab.evaluate(([id, options]) => begin(id, options), [id, options]);

/** Connects Ann to Bob. `annsPort` may be the port of a proxy between Ann and the server. */
export async function link(ann, bob, server, annsPort = server.port) {
  assert.equal(await begin(ann, "ann", { ...server.peerOptions, port: annsPort }), "open");
  assert.equal(await begin(bob, "bob", server.peerOptions), "open");
  await ann.evaluate(() => dial("bob"));
  const ends = () =>
    Promise.all([ann.evaluate(() => isOpen("bob")), bob.evaluate(() => isOpen("ann"))]);
  await untilState("the link to open at both ends", ends, (ends) => ends.every(Boolean));
}

/** Sends a word in each direction over the link between Ann and Bob. */
export async function talk(ann, bob, word) {
  await ann.evaluate((word) => say("bob", `${word} from ann`), word);
  await bob.evaluate((word) => say("ann", `${word} from bob`), word);
  const heard = () => Promise.all([bob.evaluate(() => said.ann), ann.evaluate(() => said.bob)]);
  const both = ([bobs, anns]) =>
    bobs.includes(`${word} from ann`) && anns.includes(`${word} from bob`);
  await untilState(`"${word}" to cross the link both ways`, heard, both, 3_000);
}

/** Waits until a tab's diary holds an event `times` times. */
export const happened = (tab, event, { times = 1, within = 10_000 } = {}) =>
  untilState(
    `"${event}", ${times} ×`,
    () => tab.evaluate(() => events),
    (events) => events.filter((e) => e === event).length >= times,
    within,
  );

export async function nothingClosed(...tabs) {
  for (const tab of tabs) {
    const events = await tab.evaluate(() => events);
    assert.ok(
      !events.some((event) => event.endsWith(" close")),
      `a connection was closed: ${events.join(", ")}`,
    );
  }
}
