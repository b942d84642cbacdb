// The library in a page: order over every path, late joiners, sizes, refusals, and pages shared
// with stock PeerJS.
import assert from "node:assert/strict";
import { Member, modes } from "./support/group.mjs";
import { chromiumOnly, scenario } from "./support/scenario.mjs";
import { until, untilState } from "./support/until.mjs";

const page = "https://example.org/group";

/** Opens one member in each tab of one browser. */
async function open(
  world,
  { settings = {}, options = {}, names = ["ann", "bob", "cyd"], browser: flags } = {},
) {
  const [server, site, browser] = await Promise.all([
    world.server(settings),
    world.site(),
    world.browser(flags),
  ]);
  const join = (name, own = {}) =>
    Member.join(browser, site, name, { page, server: server.url, ...options, ...own });
  const members = [];
  for (const name of names) members.push(await join(name));
  return { server, site, browser, members, join };
}

const all = (members, body) => Promise.all(members.map(({ tab }) => tab.evaluate(body)));

const together = (members, path) =>
  untilState(
    "all to be together",
    () => all(members, () => summary()),
    (each) =>
      each.every(
        (s) =>
          s.members === members.length &&
          s.host === each[0].host &&
          (!path || s.isHost || s.path === path),
      ),
    15_000,
  );

const events = ({ tab }, kind) =>
  tab.evaluate((kind) => diary.events.filter((event) => event.kind === kind), kind);
const happened = (member, kind, good = () => true, within = 10_000) =>
  untilState(
    `${kind} at ${member.name}`,
    () => events(member, kind),
    (list) => list.some(good),
    within,
  );

for (const [mode, { server: settings, options }] of Object.entries(modes)) {
  scenario(`three members receive all messages in the same order, ${mode}`, async (world) => {
    const { members } = await open(world, { settings, options });
    await together(members, mode === "relay only" ? "relay" : "p2p");
    await all(members, async () => {
      for (let i = 0; i < 10; i++) await Promise.all([say(), say(), say()]);
    });
    const heard = await untilState(
      "90 messages each",
      () => all(members, () => diary.messages),
      (each) => each.every((m) => m.length === 90),
    );
    for (const each of heard) assert.deepEqual(each, heard[0]);
    for (const name of ["ann", "bob", "cyd"])
      assert.deepEqual(
        heard[0].filter((w) => w.startsWith(name)),
        Array.from({ length: 30 }, (_, i) => `${name}#${i + 1}`),
      );
    const [seqs] = await all(members, () => diary.times.map(([, , , seq]) => seq));
    assert.deepEqual(
      seqs,
      [...seqs].sort((a, b) => a - b),
    );
  });
}

scenario("a late joiner starts from a snapshot and misses nothing after it", async (world) => {
  const { members, join } = await open(world, { names: ["ann", "bob"] });
  await together(members, "p2p");
  await all(members, () => chat(20));
  await until("40 messages", () => members[0].tab.evaluate(() => diary.messages.length > 40));
  const late = [await join("cyd"), await join("dan")];
  for (const member of late) await happened(member, "restore");
  await all(members, () => hush());
  await all(late, () => say());
  const everyone = [...members, ...late];
  const [first, ...others] = await untilState(
    "all members to have equally many messages",
    () => all(everyone, () => getState()),
    (each) => each.every((s) => s.length === each[0].length && s.some((w) => w.startsWith("dan"))),
  );
  for (const other of others) assert.deepEqual(other, first);
  for (const member of late) {
    const [recovered] = await events(member, "recovered");
    assert.deepEqual([recovered.complete, recovered.via], [true, "snapshot"]);
  }
});

scenario(
  "every member knows every profile from the start and after a change, whoever hosts",
  async (world) => {
    const { members, join } = await open(world, { names: [] });
    const add = async (name) => members.push(await join(name, { profile: { name } }));
    for (const name of ["ann", "bob", "cyd"]) await add(name);
    await together(members);
    const names = (member) =>
      member.tab.evaluate(
        (ids) => ids.map((id) => group.profileOf(id)?.name),
        members.map(({ id }) => id),
      );
    const known = (...wanted) =>
      untilState(
        `all to know ${wanted}`,
        () => Promise.all(members.map(names)),
        (each) => each.every((seen) => String(seen) === String(wanted)),
      );
    await known("ann", "bob", "cyd");
    await members[1].tab.evaluate(() => {
      group.profile = { name: "Bobby" };
    });
    await members[0].tab.evaluate(() => {
      group.profile = { name: "Anne" };
    });
    await known("Anne", "Bobby", "cyd");
    await add("dan");
    await known("Anne", "Bobby", "cyd", "dan");
    const [host] = members.splice(0, 1);
    await host.tab.close();
    await together(members);
    await add("eve");
    await members[1].tab.evaluate(() => {
      group.profile = { name: "Cydney" };
    });
    await known("Bobby", "Cydney", "dan", "eve");
    // Each member was announced once with its profile of that time. Each later change was announced
    // once.
    const eventsAbout = async (member, of, kind) =>
      (await events(member, kind))
        .filter(({ id, change }) => id === of.id && change !== "leave")
        .map(({ profile }) => profile.name);
    const [bob, cyd, dan, eve] = members;
    assert.deepEqual(
      [await eventsAbout(cyd, bob, "member"), await eventsAbout(cyd, bob, "profile")],
      [["bob"], ["Bobby"]],
    );
    assert.deepEqual(
      [await eventsAbout(dan, cyd, "member"), await eventsAbout(dan, cyd, "profile")],
      [["cyd"], ["Cydney"]],
    );
    assert.deepEqual(
      [
        await eventsAbout(bob, eve, "member"),
        await eventsAbout(eve, bob, "member"),
        await eventsAbout(eve, bob, "profile"),
      ],
      [["eve"], ["Bobby"], []],
    );
    for (const bad of [null, "undefined", "'x'.repeat(1023)"]) {
      assert.match(
        await bob.tab.evaluate((bad) => {
          try {
            group.profile = bad && eval(bad);
            return "taken";
          } catch (error) {
            return error.message;
          }
        }, bad),
        /^a profile is .*JSON.* and this/,
      );
    }
  },
);

scenario(
  "wrong arguments fail immediately, and returned objects belong to the page",
  async (world) => {
    const { members } = await open(world, {
      names: ["ann", "bob"],
      options: { profile: { name: "x", at: [1] } },
    });
    await together(members, "p2p");
    const [ann, bob] = members;
    const words = await ann.tab.evaluate(() => {
      const { constructor: PageGroup } = group;
      const wrongs = [
        () => new PageGroup({ server: "localhost:9000" }),
        () => new PageGroup({ server: "example.org/peer" }),
        () => new PageGroup({ server: "https://" }),
        () => new PageGroup({ server: "ftp://x/" }),
        () => new PageGroup({ ticket: null }),
        () => new PageGroup({ ticket: Promise.resolve("t") }),
        () => new PageGroup({ profile: null }),
        () => group.resign(new MouseEvent("click")),
        () => group.resign(null),
      ];
      return wrongs.map((wrong) => {
        try {
          wrong();
          return "nothing";
        } catch (error) {
          return `${error.name}: ${error.message}`;
        }
      });
    });
    for (const word of words.slice(0, 4))
      assert.match(word, /^TypeError: the option `server` is an address such as/);
    for (const word of words.slice(4, 6))
      assert.match(word, /^TypeError: the option `ticket` is a text, or a function/);
    for (const word of words.slice(6))
      assert.match(
        word,
        /^TypeError: (a profile is anything JSON but null|resign\(\) takes the id of a member)/,
      );

    // A page that changes a returned profile changes nothing elsewhere.
    await bob.tab.evaluate(() => {
      const profile = group.profileOf(group.members.find((id) => id !== group.id));
      profile.loop = profile;
      group.profile.at.push(2);
      group.on("profile", ({ profile }) => (profile.loop = profile));
    });
    assert.deepEqual(
      await bob.tab.evaluate(() => [
        group.profile,
        group.profileOf(group.members.find((id) => id !== group.id)),
      ]),
      Array(2).fill({ name: "x", at: [1] }),
    );
    for (const name of ["y", "z"]) {
      await ann.tab.evaluate((name) => void (group.profile = { name }), name);
      await happened(bob, "profile", ({ profile }) => profile.name === name);
    }
    // An absent member cannot become the host, so another member does.
    await ann.tab.evaluate(() => group.resign("nobody"));
    await happened(bob, "host", ({ isHost }) => isHost);
  },
);

scenario(
  "JSON and bytes of up to a megabyte arrive over P2P and over the relay",
  async (world) => {
    for (const p2p of [true, false]) {
      const { members } = await open(world, { names: ["ann", "bob"], options: { p2p } });
      await together(members, p2p ? "p2p" : "relay");
      await all(members, () => {
        window.got = [];
        const describe = (d) =>
          d instanceof ArrayBuffer
            ? ["buffer", d.byteLength, new Uint8Array(d).reduce((a, b) => (a * 31 + b) % 65_521, 7)]
            : d instanceof Uint8Array
              ? ["bytes", d.length, d.reduce((a, b) => (a * 31 + b) % 65_521, 7)]
              : typeof d === "string" && d.length > 99
                ? ["text", d.length]
                : Array.isArray(d)
                  ? d.map(describe)
                  : d;
        group.on("message", (data) => window.got.push(describe(data)));
        window.describe = describe;
      });
      const sent = await members[1].tab.evaluate(async () => {
        const bytes = new Uint8Array(1_000_000).map((_, i) => (i * 7919) >> 3);
        const things = [
          null,
          0,
          "",
          "ü€😀",
          [1, [2, { a: null }]],
          { "": [] },
          bytes,
          bytes.slice(0, 70_001).buffer,
          [1, bytes.slice(0, 3), { x: 1 }],
          'x"\\ü😀'.repeat(90_000),
          "after",
        ];
        await Promise.all(things.map((thing) => group.send(thing)));
        return things.map(describe);
      });
      const heard = await untilState(
        "all of it",
        () => all(members, () => window.got),
        (each) => each.every((got) => got.length === sent.length),
        20_000,
      );
      for (const got of heard) assert.deepEqual(got, sent);
      const code = await members[0].tab.evaluate(() =>
        group.send(new Uint8Array((1 << 20) + 1)).then(
          () => "sent",
          (error) => error.code,
        ),
      );
      assert.equal(code, "TooLarge");
    }
  },
  90_000,
);

scenario(
  "a snapshot of several megabytes reaches a late joiner while the others go on",
  async (world) => {
    for (const p2p of [true, false]) {
      const { members, join } = await open(world, { names: ["ann", "bob"], options: { p2p } });
      await together(members, p2p ? "p2p" : "relay");
      await all(members, () => {
        group.onSnapshot = () => ({ words: getState(), load: 'ü"x'.repeat(1_500_000) });
        chat(50);
      });
      // One snapshot serves all who join within 3 s, so Cyd must not get Bob's earlier one.
      await new Promise((done) => setTimeout(done, 3_200));
      const cyd = await join("cyd");
      await happened(cyd, "restore", ({ load }) => load === 4_500_000, 20_000);
      await all(members, () => hush());
      const everyone = [...members, cyd];
      const [first, ...others] = await untilState(
        "all members to have equally many messages",
        () => all(everyone, () => getState()),
        (each) => each.every((s) => s.length === each[0].length),
      );
      for (const other of others) assert.deepEqual(other, first);
      for (const member of everyone)
        assert.deepEqual(
          (await events(member, "status")).map(({ state }) => state),
          ["open"],
        );
    }
  },
  90_000,
);

scenario(
  "too many messages at once fail with Backpressure, and every accepted message arrives",
  async (world) => {
    const { members } = await open(world, { names: ["ann", "bob"] });
    await together(members, "p2p");
    const { sent, refused } = await members[1].tab.evaluate(async () => {
      const load = "x".repeat(20_000);
      const ends = await Promise.all(
        Array.from({ length: 400 }, () =>
          say(load).then(
            () => "sent",
            (error) => error.code,
          ),
        ),
      );
      return {
        sent: ends.filter((end) => end === "sent").length,
        refused: ends.filter((end) => end === "Backpressure").length,
      };
    });
    assert.equal(sent + refused, 400);
    assert.ok(refused > 100 && sent > 150, `${sent} sent, ${refused} refused`);
    const heard = await untilState(
      "all that was taken",
      () => all(members, () => diary.messages.length),
      (each) => each.every((n) => n === sent),
    );
    assert.deepEqual(heard, [sent, sent]);
  },
);

scenario("a refused member is told why, and its sends are rejected", async (world) => {
  const { join } = await open(world, { names: [] });
  const member = await join("ann", { key: "wrong" });
  const [{ code, reason }] = await happened(member, "close");
  assert.equal(code, 4401);
  assert.match(reason, /key/i);
  assert.deepEqual(
    (await events(member, "error")).map(({ code }) => code),
    ["Refused"],
  );
  assert.equal(
    await member.tab.evaluate(() => group.send(1).catch((error) => error.code)),
    "Refused",
  );
});

scenario("an old page and a new server report that their versions differ", async (world) => {
  const [server, site, browser] = await Promise.all([
    world.server(),
    world.site(),
    world.browser(),
  ]);
  const tab = await browser.tab(`${site.url}/group.html`);
  await tab.waitForFunction(() => window.ready);
  // The server recognises the library's version by this parameter alone.
  await tab.evaluate(() => {
    window.WebSocket = class extends WebSocket {
      constructor(url) {
        super(url.replace("group=2", "group=3"));
      }
    };
  });
  const id = await tab.evaluate((options) => begin("ann", options), { page, server: server.url });
  const member = new Member(browser, tab, "ann", id);
  const [{ code, reason }] = await happened(member, "close");
  assert.equal(code, 4426);
  assert.match(reason, /reload the page/);
  assert.match((await events(member, "error"))[0].message, /reload the page/);
});

scenario("an absent server is Unreachable, and is found once it starts", async (world) => {
  const { server, join } = await open(world, { names: [] });
  await server.end();
  const member = await join("ann");
  const sending = member.tab.evaluate(() => say());
  await happened(member, "error", ({ code }) => code === "Unreachable");
  await server.begin();
  await sending;
  assert.deepEqual(await member.tab.evaluate(() => diary.messages), ["ann#1"]);
});

scenario("leave() is announced to the others and ends everything here", async (world) => {
  const { members } = await open(world);
  await together(members);
  const [host, bob, cyd] = members;
  await host.tab.evaluate(() => group.leave());
  await happened(host, "close", ({ code, reason }) => code === 1000 && reason === "left");
  assert.equal(await host.tab.evaluate(() => group.send(1).catch((error) => error.code)), "Closed");
  await happened(bob, "member", ({ change, id }) => change === "leave" && id === host.id);
  await all([bob, cyd], () => say());
  await together([bob, cyd]);
});

scenario("a listener that throws breaks nothing", async (world) => {
  const { members } = await open(world, { names: ["ann", "bob"] });
  await together(members);
  await all(members, () => {
    group.on("message", () => {
      throw new Error("a listener's own fault");
    });
    for (const kind of ["host", "link", "member"])
      group.on(kind, () => Promise.reject(new Error("and later")));
  });
  await all(members, () => Promise.all([say(), say()]));
  await untilState(
    "four messages each",
    () => all(members, () => diary.messages),
    (each) => each.every((m) => m.length === 4),
  );
});

scenario(
  "a slow onSnapshot and a slow onRestore delay delivery and lose nothing",
  async (world) => {
    const { members, join } = await open(world, { names: ["ann", "bob"] });
    await together(members, "p2p");
    await all(members, () => {
      const give = () => getState();
      group.onSnapshot = async () => {
        const before = diary.messages.length;
        await new Promise((done) => setTimeout(done, 400));
        if (diary.messages.length !== before)
          diary.events.push({ kind: "error", code: "delivered meanwhile" });
        return give();
      };
      chat(25);
    });
    const cyd = await join("cyd");
    await happened(cyd, "restore");
    await all(members, () => hush());
    const states = () => all([...members, cyd], () => getState());
    const [first, ...others] = await untilState(
      "all members to have equally many messages",
      states,
      (each) => each.every((s) => s.length === each[0].length) && each[0].length > 20,
    );
    for (const other of others) assert.deepEqual(other, first);
    for (const member of members) assert.deepEqual(await events(member, "error"), []);
  },
);

chromiumOnly(
  "a page back from the back-forward cache rejoins with the same id and misses nothing",
  async (world) => {
    const { site, members } = await open(world, {
      browser: { without: ["--disable-back-forward-cache"] },
    });
    await together(members, "p2p");
    const cyd = members[2];
    await all(members, () => say());
    await until("three messages", () => cyd.tab.evaluate(() => diary.messages.length === 3));
    await cyd.tab.evaluate(() => {
      window.same = true;
    });
    await cyd.tab.goto(`${site.url}/stock.html`);
    await happened(members[0], "member", ({ change, id }) => change === "leave" && id === cyd.id);
    await all(members.slice(0, 2), () => Promise.all([say(), say()]));
    // A page from the cache fires no `load` event.
    await cyd.tab.goBack({ waitUntil: "commit" });
    assert.equal(
      await cyd.tab.evaluate(() => window.same),
      true,
      "the browser did not keep the page",
    );
    await together(members, "p2p");
    await cyd.tab.evaluate(() => say());
    const states = await untilState(
      "eight messages",
      () => all(members, () => getState()),
      (each) => each.every((s) => s.length === 8),
    );
    for (const state of states) assert.deepEqual(state, states[0]);
    assert.equal((await cyd.summary()).id, cyd.id);
  },
);

scenario(
  "a cut WebSocket reconnects by itself, and P2P delivery goes on meanwhile",
  async (world) => {
    const [server, site, browser] = await Promise.all([
      world.server(),
      world.site(),
      world.browser(),
    ]);
    const wire = await world.proxy(server.port);
    const options = { page, server: `http://127.0.0.1:${wire.port}` };
    const members = [];
    for (const name of ["ann", "bob", "cyd"])
      members.push(await Member.join(browser, site, name, options));
    await together(members, "p2p");
    await all(members, () => chat(25));
    for (let round = 0; round < 3; round++) {
      wire.cut();
      await new Promise((done) => setTimeout(done, 700));
    }
    await all(members, () => hush());
    await untilState(
      "all sends resolved",
      () => all(members, () => summary()),
      (each) => each.every((s) => s.resolved === s.said),
    );
    const states = await untilState(
      "all members to have equally many messages",
      () => all(members, () => diary.messages),
      (each) => each.every((m) => m.length === each[0].length),
    );
    for (const state of states) assert.deepEqual(state, states[0]);
    assert.equal(new Set(states[0]).size, states[0].length);
    for (const member of members) {
      assert.deepEqual(
        await events(member, "recovered").then((list) => list.filter((e) => !e.complete)),
        [],
      );
      // The page is told that the server is lost, and that it is back.
      const statuses = await untilState(
        "the server to be back",
        () => events(member, "status"),
        (list) => list.at(-1).server,
      );
      assert.ok(statuses.some(({ server }) => !server));
    }
  },
);

scenario("stock clients and group members share a page", async (world) => {
  const { server, site, browser, join } = await open(world, { names: [] });
  const path = `/pages/~${Buffer.from(page).toString("base64url")}/`;
  const stock = await browser.tab(`${site.url}/member.html`);
  assert.equal(
    await stock.evaluate(([options]) => begin("sam", options), [{ ...server.peerOptions, path }]),
    "open",
  );
  assert.equal(await stock.evaluate(() => assigned.host), "sam");
  const members = [await join("ann"), await join("bob")];
  // A stock client cannot order messages for others, so it does not host.
  await untilState(
    "ann to host",
    () => stock.evaluate(() => assigned),
    ({ host, cause }) => host === members[0].id && cause === "upgraded",
  );
  await all(members, () => Promise.all([say(), say(), say()]));
  const heard = await untilState(
    "six messages",
    () => all(members, () => getState()),
    (each) => each.every((m) => m.length === 6),
  );
  assert.deepEqual(heard[0], heard[1]);
  // Stock PeerJS works in both directions beside the group, whose own connections stay hidden.
  await members[0].tab.evaluate(() => {
    window.talks = [];
    group.peer.on("connection", (c) => c.on("data", (data) => window.talks.push([c.peer, data])));
    for (const c of Object.values(group.peer.connections).flat())
      if (!c.label.startsWith("peerstar:"))
        c.on("data", (data) => window.talks.push([c.peer, data]));
  });
  await until("sam to be linked to the host", () =>
    stock.evaluate(() => links.get(assigned.host)?.open),
  );
  await stock.evaluate(() => say("hello from stock"));
  await untilState(
    "the host's app to hear sam",
    () => members[0].tab.evaluate(() => window.talks),
    (talks) => talks.some(([from, data]) => from === "sam" && data === "hello from stock"),
  );
  await members[1].tab.evaluate(() => {
    const c = group.peer.connect("sam", { reliable: true });
    c.on("open", () => c.send("hello from group"));
  });
  await untilState(
    "sam to hear bob",
    () => stock.evaluate(() => heard),
    (heard) => heard.includes("hello from group"),
  );
  // The group, too, counts all three as members.
  const everyone = [members[0].id, members[1].id, "sam"].sort();
  for (const ids of await all(members, () => group.members))
    assert.deepEqual([...ids].sort(), everyone);
});
