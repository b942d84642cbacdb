// The recipes of docs/CLIENT.md, run unchanged on a page that knows only the server's address.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { scenario } from "./support/scenario.mjs";
import { until, untilState } from "./support/until.mjs";

const guide = readFileSync(new URL("../../docs/CLIENT.md", import.meta.url), "utf8");

function recipe(title) {
  const [, code] = guide.split(`\n### ${title}\n`)[1]?.match(/^```js\n(.*?)^```$/ms) ?? [];
  assert.ok(code, `docs/CLIENT.md has no recipe "${title}"`);
  return code;
}

/**
 * Runs a recipe in a tab for each name. With `settings`, Bob connects over a proxy that can be cut.
 */
async function cook(
  world,
  title,
  gives,
  names = ["ann", "bob"],
  { flags = [], settings, change = (code) => code } = {},
) {
  const [server, site, browser] = await Promise.all([
    world.server(settings),
    world.site(),
    world.browser({ flags }),
  ]);
  const wire = settings && (await world.proxy(server.port));
  const code = recipe(title);
  const add = async (name) => {
    const tab = await browser.tab(`${site.url}/recipe.html`);
    await tab.waitForFunction(() => window.ready);
    // Over data channels the group would go on, so WebRTC is removed. PeerJS also finds it under
    // its old name.
    if (wire)
      await tab.evaluate(() =>
        ["RTCPeerConnection", "webkitRTCPeerConnection"].forEach((name) => delete window[name]),
      );
    const url = wire && name === "bob" ? `http://127.0.0.1:${wire.port}` : server.url;
    await tab.evaluate(
      ([url, code, name, gives]) => cook(url, code, name, gives),
      [url, change(code, name), name, gives],
    );
    return tab;
  };
  const tabs = [];
  for (const name of names) tabs.push(await add(name));
  await until("all to be together", async () =>
    (await each(tabs, () => recipe.group.members.length)).every((count) => count === names.length),
  );
  return { tabs, add, wire };
}

const each = (tabs, body) => Promise.all(tabs.map((tab) => tab.evaluate(body)));
const same = (what, tabs, read, wanted) =>
  untilState(
    what,
    () => each(tabs, read),
    (all) => all.every((seen) => JSON.stringify(seen) === JSON.stringify(wanted)),
  );

scenario("recipe: chat", async (world) => {
  const { tabs, add } = await cook(world, "Chat", ["lines"]);
  await tabs[0].fill("#input", "hello");
  await tabs[0].press("#input", "Enter");
  const cyd = await add("cyd");
  await tabs[1].fill("#input", "hi");
  await tabs[1].press("#input", "Enter");
  await same("both lines everywhere", [...tabs, cyd], () => recipe.lines.map(({ text }) => text), [
    "hello",
    "hi",
  ]);
  await cyd.close();
  await same("the names that joined and left", tabs.slice(0, 1), () => noted, [
    "bob came",
    "cyd came",
    "cyd left",
  ]);
});

scenario("recipe: a shared counter", async (world) => {
  const { tabs, add } = await cook(world, "A shared counter", ["count"]);
  await each(tabs, () => {
    for (let i = 0; i < 5; i++) document.getElementById("button").click();
  });
  tabs.push(await add("cyd"));
  await tabs[2].click("#button");
  await same("eleven everywhere", tabs, () => recipe.count, 11);
});

scenario("recipe: cursors", async (world) => {
  const { tabs } = await cook(world, "Cursors: only the latest matters", []);
  await tabs[1].evaluate(() => {
    window.seen = [];
    recipe.group.on("message", ({ cursor }) => seen.push(cursor));
  });
  await tabs[0].evaluate(() => {
    for (let x = 1; x <= 500; x++)
      dispatchEvent(new PointerEvent("pointermove", { clientX: x, clientY: 7 }));
  });
  const seen = await untilState(
    "the last place",
    () => tabs[1].evaluate(() => seen),
    (seen) => String(seen.at(-1)) === "500,7",
  );
  assert.ok(seen.length < 10, `${seen.length} places were sent`);
});

scenario("recipe: a shared document with Yjs, through the death of the host", async (world) => {
  const { tabs, add } = await cook(
    world,
    "A shared document with Yjs",
    ["doc"],
    ["ann", "bob", "cyd"],
  );
  const type = (tab, word) =>
    tab.evaluate(async (word) => {
      for (let i = 0; i < 20; i++) {
        recipe.doc.getText("t").insert(0, word);
        await new Promise((done) => setTimeout(done, 20));
      }
    }, word);
  const typed = Promise.all([type(tabs[1], "b"), type(tabs[2], "c")]);
  await type(tabs[0], "a");
  await same(
    "ann's words",
    tabs.slice(1, 2),
    () => recipe.doc.getText("t").toString().replace(/[^a]/g, "").length,
    20,
  );
  await tabs.shift().close();
  const dan = await add("dan");
  await Promise.all([typed, type(dan, "d")]);
  tabs.push(dan);
  const texts = await untilState(
    "one text",
    () => each(tabs, () => recipe.doc.getText("t").toString()),
    (all) => all.every((text) => text.length === 80 && text === all[0]),
  );
  assert.equal(
    [...texts[0]].sort().join(""),
    "a".repeat(20) + "b".repeat(20) + "c".repeat(20) + "d".repeat(20),
  );
});

const text = () => recipe.doc.getText("t").toString();
/** Waits until all tabs show the same text, with each letter as often as `letters` says. */
const oneText = (tabs, letters) =>
  untilState(
    `one text of ${letters}`,
    () => each(tabs, text),
    (all) => all.every((got) => got === all[0] && [...got].sort().join("") === letters),
    20_000,
  );
const write = (tab, word, isLost = false) =>
  tab.evaluate(
    ([word, isLost]) =>
      recipe.doc.transact(
        () => recipe.doc.getText("t").insert(0, word),
        isLost ? recipe.group : undefined,
      ),
    [word, isLost],
  );

scenario("recipe: a shared document with Yjs that is not empty at the start", async (world) => {
  const held = { ann: "a", dan: "d" };
  const { tabs, add } = await cook(world, "A shared document with Yjs", ["doc"], ["ann", "bob"], {
    change: (code, name) =>
      held[name]
        ? code.replace("new Y.Doc();", `new Y.Doc();\ndoc.getText("t").insert(0, "${held[name]}");`)
        : code,
  });
  await oneText(tabs, "a");
  tabs.push(await add("dan"));
  await oneText(tabs, "ad");
});

scenario(
  "recipe: a shared document with Yjs after lost updates and a change of host",
  async (world) => {
    const { tabs } = await cook(
      world,
      "A shared document with Yjs",
      ["doc"],
      ["ann", "bob", "cyd"],
    );
    await write(tabs[1], "b", true);
    await write(tabs[2], "c", true);
    await tabs.shift().close();
    await oneText(tabs, "bc");
  },
);

scenario(
  "recipe: a shared document with Yjs after a long absence with edits on both sides",
  async (world) => {
    const { tabs, wire } = await cook(
      world,
      "A shared document with Yjs",
      ["doc"],
      ["ann", "bob", "cyd"],
      { settings: { PAGES__RESUME_MS: 1000 } },
    );
    const [ann, bob] = tabs;
    await bob.evaluate(() => {
      window.reports = [];
      recipe.group.on("error", ({ code }) => reports.push(code));
      recipe.group.on("recovered", () => reports.push("recovered"));
    });
    await write(bob, "x", true);
    await write(ann, "y", true);
    await until("bob's send to be under way", () =>
      bob.evaluate(() => recipe.group.send({}).then(() => true)),
    );
    wire.down();
    await write(bob, "b");
    await write(ann, "a");
    await until(
      "bob to be away for too long",
      () => bob.evaluate(() => reports.includes("Unreachable")),
      20_000,
    );
    wire.up();
    await until("bob to be back", () => bob.evaluate(() => reports.includes("recovered")), 20_000);
    await oneText(tabs, "abxy");
  },
);

const owners = () =>
  Object.fromEntries(
    Object.entries(recipe.owner)
      .map(([what, { id }]) => [what, id])
      .sort(),
  );
const idOf = (tab) => tab.evaluate(() => recipe.group.id);

scenario("recipe: a lock that a departure frees and a late joiner knows", async (world) => {
  const { tabs, add } = await cook(
    world,
    "A lock",
    ["owner", "take", "free", "mine"],
    ["ann", "bob", "cyd"],
  );
  const [ann, bob, cyd] = tabs;
  const ids = await Promise.all(tabs.map(idOf));
  await bob.evaluate(() => recipe.take("door"));
  await same("bob to have the door", tabs, owners, { door: ids[1] });
  await ann.evaluate(() => recipe.take("door"));
  await ann.evaluate(() => recipe.take("window"));
  await cyd.evaluate(() => recipe.free("door"));
  await same("each to have one", tabs, owners, { door: ids[1], window: ids[0] });
  const dan = await add("dan");
  await same("dan to know", [ann, bob, cyd, dan], owners, { door: ids[1], window: ids[0] });
  await bob.close();
  await same("the door to be free", [ann, cyd, dan], owners, { window: ids[0] });
  await dan.evaluate(() => recipe.take("door"));
  await same("dan to have it", [ann, cyd, dan], owners, { door: await idOf(dan), window: ids[0] });
  // Ann is the host.
  await ann.close();
  await same("the window to be free", [cyd, dan], owners, { door: await idOf(dan) });
  await dan.evaluate(() => recipe.free("door"));
  await same("all to be free", [cyd, dan], owners, {});
});

scenario("recipe: a lock whose owner was away and counted as left", async (world) => {
  const { tabs, wire } = await cook(world, "A lock", ["owner", "take"], ["ann", "bob", "cyd"], {
    settings: { LIVENESS__RETURN_MS: 0 },
  });
  const [ann, bob, cyd] = tabs;
  await bob.evaluate(() => recipe.take("door"));
  await same("bob to have the door", tabs, owners, { door: await idOf(bob) });
  wire.down();
  await same("the door to be free", [ann, cyd], owners, {});
  await cyd.evaluate(() => recipe.take("door"));
  await same("cyd to have it", [ann, cyd], owners, { door: await idOf(cyd) });
  wire.up();
  await same("bob to know", tabs, owners, { door: await idOf(cyd) });
});

scenario("recipe: an audio call", async (world) => {
  const { tabs } = await cook(world, "An audio call", ["callAll"], ["ann", "bob"], {
    flags: ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
  });
  await tabs[0].evaluate(() => recipe.callAll());
  // A remote track is muted until its first data arrives.
  const heard = () =>
    played.map((stream) =>
      stream
        .getTracks()
        .map(({ kind, muted, readyState }) => `${kind} ${readyState}${muted ? " muted" : ""}`),
    );
  await untilState(
    "both to hear the other",
    () => each(tabs, heard),
    (all) => all.every(([tracks, ...more]) => String(tracks) === "audio live" && more.length === 0),
  );
  // The group works beside the call.
  await each(tabs, () => recipe.group.send("hello"));
});
