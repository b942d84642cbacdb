// The recipes of docs/CLIENT.md, run as they stand there, on a page that knows nothing but where the server is.
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

/** A kitchen with a tab for each name. */
async function cook(world, title, gives, names = ["ann", "bob"], flags = []) {
  const [server, site, browser] = await Promise.all([world.server(), world.site(), world.browser({ flags })]);
  const code = recipe(title);
  const add = async (name) => {
    const tab = await browser.tab(`${site.url}/recipe.html`);
    await tab.waitForFunction(() => window.ready);
    await tab.evaluate(([url, code, name, gives]) => cook(url, code, name, gives), [server.url, code, name, gives]);
    return tab;
  };
  const tabs = [];
  for (const name of names) tabs.push(await add(name));
  await until("all to be together", async () => (await each(tabs, () => recipe.group.members.length)).every((count) => count === names.length));
  return { tabs, add };
}

const each = (tabs, body) => Promise.all(tabs.map((tab) => tab.evaluate(body)));
const same = (what, tabs, read, wanted) =>
  untilState(what, () => each(tabs, read), (all) => all.every((seen) => JSON.stringify(seen) === JSON.stringify(wanted)));

scenario("recipe: chat", async (world) => {
  const { tabs, add } = await cook(world, "Chat", ["lines"]);
  await tabs[0].fill("#input", "hello");
  await tabs[0].press("#input", "Enter");
  const cyd = await add("cyd");
  await tabs[1].fill("#input", "hi");
  await tabs[1].press("#input", "Enter");
  await same("both lines everywhere", [...tabs, cyd], () => recipe.lines.map(({ text }) => text), ["hello", "hi"]);
  await cyd.close();
  await same("who came and went, by name", tabs.slice(0, 1), () => noted, ["bob came", "cyd came", "cyd left"]);
});

scenario("recipe: a shared counter", async (world) => {
  const { tabs, add } = await cook(world, "A shared counter", ["count"]);
  await each(tabs, () => { for (let i = 0; i < 5; i++) document.getElementById("button").click(); });
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
    for (let x = 1; x <= 500; x++) dispatchEvent(new PointerEvent("pointermove", { clientX: x, clientY: 7 }));
  });
  const seen = await untilState("the last place", () => tabs[1].evaluate(() => seen), (seen) => String(seen.at(-1)) === "500,7");
  assert.ok(seen.length < 10, `${seen.length} places were sent`);
});

scenario("recipe: a shared document with Yjs, through the death of the host", async (world) => {
  const { tabs, add } = await cook(world, "A shared document with Yjs", ["doc"], ["ann", "bob", "cyd"]);
  const type = (tab, word) => tab.evaluate(async (word) => {
    for (let i = 0; i < 20; i++) {
      recipe.doc.getText("t").insert(0, word);
      await new Promise((done) => setTimeout(done, 20));
    }
  }, word);
  const typed = Promise.all([type(tabs[1], "b"), type(tabs[2], "c")]);
  await type(tabs[0], "a");
  await same("ann's words", tabs.slice(1, 2), () => recipe.doc.getText("t").toString().replace(/[^a]/g, "").length, 20);
  await tabs.shift().close();
  const dan = await add("dan");
  await Promise.all([typed, type(dan, "d")]);
  tabs.push(dan);
  const texts = await untilState("one text", () => each(tabs, () => recipe.doc.getText("t").toString()), (all) => all.every((text) => text.length === 80 && text === all[0]));
  assert.equal([...texts[0]].sort().join(""), "a".repeat(20) + "b".repeat(20) + "c".repeat(20) + "d".repeat(20));
});

scenario("recipe: an audio call", async (world) => {
  const { tabs } = await cook(world, "An audio call", ["callAll"], ["ann", "bob"], ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]);
  await tabs[0].evaluate(() => recipe.callAll());
  // A track from afar is muted until something of it arrives.
  const heard = () => played.map((stream) => stream.getTracks().map(({ kind, muted, readyState }) => `${kind} ${readyState}${muted ? " muted" : ""}`));
  await untilState("both to hear the other", () => each(tabs, heard), (all) => all.every(([tracks, ...more]) => String(tracks) === "audio live" && more.length === 0));
  // The group goes on beside it.
  await each(tabs, () => recipe.group.send("hello"));
});
