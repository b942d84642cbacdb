// The library with servers that require a ticket or hand out credentials that expire.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { Member } from "./support/group.mjs";
import { scenario } from "./support/scenario.mjs";
import { until, untilState } from "./support/until.mjs";

const page = "https://example.org/ticket";
const secret = "0123456789abcdef0123456789abcdef";
const guarded = { AUTH__TICKET_SECRET: secret };

/** Returns a ticket as a site signs it: for this page, valid for a minute. */
function ticket(claims = {}, key = secret) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ page, exp: Math.floor(Date.now() / 1000) + 60, ...claims })}`;
  return `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;
}

const expired = () => ticket({ exp: Math.floor(Date.now() / 1000) - 60 });

/**
 * Joins with tickets from `give(n)`, where `n` counts them. Without `give`, `options` holds a
 * ticket or none.
 */
async function join(browser, site, name, options, give) {
  const tab = await browser.tab(`${site.url}/group.html`);
  await tab.waitForFunction(() => window.ready);
  const asked = [];
  await tab.exposeFunction("ask", () => give(asked.push(performance.now())));
  const id = await tab.evaluate(
    ([name, options, asks]) => begin(name, { ...options, ...(asks && { ticket: () => ask() }) }),
    [name, { page, ...options }, give !== undefined],
  );
  return Object.assign(new Member(browser, tab, name, id), { asked });
}

const events = ({ tab }, kind) =>
  tab.evaluate((kind) => diary.events.filter((event) => event.kind === kind), kind);
const happened = (member, kind, good = () => true) =>
  untilState(
    `${kind} at ${member.name}`,
    () => events(member, kind),
    (list) => list.some(good),
    15_000,
  );

scenario(
  "the library asks for a ticket before every connection and replaces an expired one",
  async (world) => {
    const [server, site, browser] = await Promise.all([
      world.server(guarded),
      world.site(),
      world.browser(),
    ]);
    const wire = await world.proxy(server.port);
    const ann = await join(
      browser,
      site,
      "ann",
      { server: `http://127.0.0.1:${wire.port}` },
      (n) => (n === 1 ? expired() : ticket()),
    );
    await happened(ann, "open");
    assert.equal(ann.asked.length, 2);
    wire.cut();
    await until("a third ticket", () => ann.asked.length === 3);
    await ann.tab.evaluate(() => say());
    const status = await untilState(
      "the server to be back",
      () => events(ann, "status"),
      (list) => list.at(-1).server,
    );
    assert.ok(status.some(({ server }) => !server));
    assert.deepEqual(await events(ann, "error"), []);
  },
);

scenario(
  "an invalid ticket, or an expired fixed one, closes the group with a helpful reason",
  async (world) => {
    const [server, site, browser] = await Promise.all([
      world.server(guarded),
      world.site(),
      world.browser(),
    ]);
    for (const [given, code, words] of [
      [undefined, 4407, /a ticket is needed/],
      [ticket({ page: "https://example.org/other" }), 4407, /for another page/],
      [
        ticket({}, "another secret of 32 characters!"),
        4407,
        /not signed with this server's secret/,
      ],
      [expired(), 4507, /has run out.*`ticket` a function/],
    ]) {
      const member = await join(browser, site, "ann", {
        server: server.url,
        ...(given && { ticket: given }),
      });
      const [end] = await happened(member, "close");
      assert.equal(end.code, code);
      assert.match(end.reason, words);
      const [error] = await events(member, "error");
      assert.equal(error.code, "Refused");
      assert.match(error.message, words);
    }
  },
);

scenario("a member that may not host waits for one that may", async (world) => {
  const [server, site, browser] = await Promise.all([
    world.server(guarded),
    world.site(),
    world.browser(),
  ]);
  const guest = await join(browser, site, "guest", { server: server.url }, () =>
    ticket({ host: false }),
  );
  const [error] = await happened(guest, "error");
  assert.equal(error.code, "Unreachable");
  assert.match(error.message, /nobody who may host the page is there.*trying on/);
  assert.deepEqual(await events(guest, "status"), [], "it is connecting, as at first");
  const host = await join(browser, site, "host", { server: server.url }, () => ticket());
  await happened(guest, "open", ({ host: id }) => id === host.id);
  await guest.tab.evaluate(() => say());
});

scenario("TURN credentials are renewed for new and for open connections", async (world) => {
  const settings = {
    // Firefox refuses ICE servers on the ports that it blocks, such as 9.
    ICE__SERVERS: '[{"urls":["turn:127.0.0.1:3479"]}]',
    ICE__TURN_SECRET: "north",
    ICE__TURN_TTL_S: 5,
  };
  const [server, site, browser] = await Promise.all([
    world.server(settings),
    world.site(),
    world.browser(),
  ]);
  const members = [];
  for (const name of ["ann", "bob"])
    members.push(
      await join(browser, site, name, {
        server: server.url,
        rtc: { bundlePolicy: "max-bundle" },
      }),
    );
  const [ann, bob] = members;
  await happened(ann, "link", ({ path }) => path === "p2p");
  /** Returns the credentials for new connections and those of the connection to Bob. */
  const used = () =>
    ann.tab.evaluate((id) => {
      const standing = group.peer.connections[id]
        .find(({ open }) => open)
        .peerConnection.getConfiguration();
      return [group.peer.options.config, standing].map(
        ({ iceServers: [{ username }], bundlePolicy }) => [username, bundlePolicy],
      );
    }, bob.id);
  const [[first]] = await used();
  const [, id] = first.split(":");
  assert.equal(id, ann.id);
  const now = await untilState("fresh ones", used, ([[fresh]]) => fresh !== first);
  assert.deepEqual(now[0], now[1]);
  assert.equal(now[0][1], "max-bundle");
});

scenario("a ticket that names an id gives the page that id, also after a reload", async (world) => {
  const [server, site, browser] = await Promise.all([
    world.server(guarded),
    world.site(),
    world.browser(),
  ]);
  const host = await join(browser, site, "host", { server: server.url }, () => ticket());
  // PeerJS allows only letters and digits in ids. Data channels work with this id, too.
  const id = "jürgen@example.org";
  const heard = () => host.tab.evaluate(() => diary.messages);
  let member = await join(browser, site, "j", { server: server.url }, () => ticket({ id }));
  for (let load = 1; load <= 3; load++) {
    const [open] = await happened(member, "open");
    assert.deepEqual(
      [open.id, await member.tab.evaluate(() => [group.id, group.peer.id])],
      [id, [id, id]],
    );
    await happened(member, "link", ({ path }) => path === "p2p");
    for (let i = 0; i < 3; i++) await member.tab.evaluate(() => say());
    await untilState("what it said", heard, (all) => all.length === 3 * load);
    assert.deepEqual((await heard()).slice(-3), ["j#1", "j#2", "j#3"]);
    if (load < 3) {
      await member.tab.close();
      // A fixed ticket works as well as a function.
      member = await join(browser, site, "j", { server: server.url, ticket: ticket({ id }) });
      assert.equal(member.id, id);
    }
  }
  assert.deepEqual(await host.tab.evaluate(() => group.members.length), 2);
});

scenario(
  "a second tab with the same ticket id is refused, and the first stays the host",
  async (world) => {
    const [server, site, browser] = await Promise.all([
      world.server(guarded),
      world.site(),
      world.browser(),
    ]);
    const first = await join(browser, site, "first", { server: server.url }, () =>
      ticket({ id: "ann" }),
    );
    await happened(first, "host", ({ isHost }) => isHost);
    const { epoch } = await first.summary();
    const second = await join(browser, site, "second", { server: server.url }, () =>
      ticket({ id: "ann" }),
    );
    const [end] = await happened(second, "close");
    assert.equal(end.code, 4409);
    const [error] = await events(second, "error");
    assert.equal(error.code, "Refused");
    assert.match(error.message, /second tab.*\(ann\).*one page at a time/);
    await first.tab.evaluate(() => say());
    const { isHost, epoch: now } = await first.summary();
    assert.deepEqual([isHost, now], [true, epoch]);
    assert.deepEqual(await second.tab.evaluate(() => diary.messages), []);
  },
);
