// A real TURN server, and members that may use nothing else: they are let in by the credentials that OPEN and ICE bring.
import assert from "node:assert/strict";
import { Member } from "./support/group.mjs";
import { scenario } from "./support/scenario.mjs";
import { untilState } from "./support/until.mjs";

const options = { page: "https://example.org/turn", rtc: { iceTransportPolicy: "relay" } };

/** A page whose data can go no way but over TURN. */
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

/** All have a link to their host. */
const linked = (members) =>
  untilState(
    "all to be linked",
    () => Promise.all(members.map(({ tab }) => tab.evaluate(() => summary()))),
    (each) => each.every((s) => s.members === members.length && (s.isHost || s.path === "p2p")),
    20_000,
  );

const heard = (members) =>
  Promise.all(members.map(({ tab }) => tab.evaluate(() => diary.messages)));

/** Each says one thing, and all hear them all, in the same order. */
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

/** The kinds of candidates that a member's connections run over. */
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

scenario("two members that may use nothing but TURN talk over it", async (world) => {
  const { join } = await open(world);
  const members = [await join("ann"), await join("bob")];
  await talk(members);
  for (const member of members) assert.deepEqual(await candidates(member), ["relay", "relay"]);
});

scenario(
  "who has been there for longer than the credentials last is reached with renewed ones",
  async (world) => {
    const { turn, join } = await open(world, { ttl: 5 });
    const members = [await join("ann"), await join("bob")];
    await talk(members);
    const renewed = () =>
      new Set(turn.log.flatMap((line) => line.match(/\d+:[0-9a-f-]{36}/g) ?? [])).size;
    const before = renewed();
    await new Promise((done) => setTimeout(done, 6000)); // the first credentials have run out, by coturn's clock
    members.push(await join("cyd"));
    await talk(members);
    assert.ok(
      renewed() >= before + 2,
      `${renewed()} users after ${before}: the host's new credentials and the newcomer's`,
    );
  },
);

scenario("credentials that another secret signed open nothing", async (world) => {
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
