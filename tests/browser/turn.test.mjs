// Members that may use only a real TURN server. The credentials in OPEN and ICE must open it.
import assert from "node:assert/strict";
import { Member } from "./support/group.mjs";
import { scenario } from "./support/scenario.mjs";
import { untilState } from "./support/until.mjs";

const options = { page: "https://example.org/turn", rtc: { iceTransportPolicy: "relay" } };

/** Starts a page whose data can pass only over TURN. */
async function open(world, { secret = "north", ttl = 3600 } = {}) {
  const [turn, site, browser] = await Promise.all([
    world.turn("north"),
    world.site(),
    world.browser(),
  ]);
  const ice = [{ urls: [turn.url] }];
  const server = await world.server({
    RELAY__ENABLED: false,
    ICE__SERVERS: JSON.stringify(ice),
    ICE__TURN_SECRET: secret,
    ICE__TURN_TTL_S: ttl,
  });
  const join = (name) => Member.join(browser, site, name, { ...options, server: server.url });
  return { turn, join };
}

/** Waits until all members are linked to their host. */
const linked = (members) =>
  untilState(
    "all to be linked",
    () => Promise.all(members.map(({ tab }) => tab.evaluate(() => summary()))),
    (each) => each.every((s) => s.members === members.length && (s.isHost || s.path === "p2p")),
    20_000,
  );

const heard = (members) =>
  Promise.all(members.map(({ tab }) => tab.evaluate(() => diary.messages)));

/** Lets each member send a message. Fails unless all receive all of them in the same order. */
async function talk(members) {
  await linked(members);
  for (const { tab } of members) await tab.evaluate(() => void say());
  const all = await untilState(
    "all to be heard",
    () => heard(members),
    (each) =>
      each.every((m) =>
        members.every(({ name }) => m.slice(-members.length).some((w) => w.startsWith(name))),
      ),
    20_000,
  );
  for (const each of all)
    assert.deepEqual(each.slice(-members.length), all[0].slice(-members.length));
}

/** Returns the types of the ICE candidates that a member's connections use. */
const candidates = ({ tab }) =>
  tab.evaluate(async () => {
    const kinds = [];
    for (const { peerConnection } of Object.values(group.peer.connections).flat()) {
      const stats = new Map((await peerConnection.getStats()).entries());
      const transport = [...stats.values()].find(({ type }) => type === "transport");
      const pair = stats.get(transport?.selectedCandidatePairId);
      if (pair)
        kinds.push(
          stats.get(pair.localCandidateId).candidateType,
          stats.get(pair.remoteCandidateId).candidateType,
        );
    }
    return kinds;
  });

scenario("two members that may use only TURN exchange messages over it", async (world) => {
  const { join } = await open(world);
  const members = [await join("ann"), await join("bob")];
  await talk(members);
  for (const member of members) assert.deepEqual(await candidates(member), ["relay", "relay"]);
});

scenario("a newcomer reaches a member whose first credentials have expired", async (world) => {
  const { turn, join } = await open(world, { ttl: 5 });
  const members = [await join("ann"), await join("bob")];
  await talk(members);
  const renewed = () =>
    new Set(turn.log.flatMap((line) => line.match(/\d+:[0-9a-f-]{36}/g) ?? [])).size;
  const before = renewed();
  // The first credentials expire, by coturn's clock.
  await new Promise((done) => setTimeout(done, 6000));
  members.push(await join("cyd"));
  await talk(members);
  assert.ok(
    renewed() >= before + 2,
    `${renewed()} users after ${before}: the host's new credentials and the newcomer's`,
  );
});

scenario("credentials signed with another secret do not work", async (world) => {
  const { turn, join } = await open(world, { secret: "south" });
  const members = [await join("ann"), await join("bob")];
  await untilState(
    "coturn to refuse",
    () => turn.log.filter((line) => line.includes("Cannot find credentials")).length,
    (refusals) => refusals > 1,
    20_000,
  );
  for (const { tab } of members) await tab.evaluate(() => void say().catch(() => {}));
  for (const member of members) assert.deepEqual(await candidates(member), []);
  assert.deepEqual(await heard([members[1]]), [[]], "the member that dials hears nothing");
});
