// The recipe for an audio call, as docs/CLIENT.md has it.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { Member } from "./support/group.mjs";
import { scenario } from "./support/scenario.mjs";
import { untilState } from "./support/until.mjs";

const page = "https://example.org/call";

/** The code below a heading of the manual. */
async function recipe(heading) {
  const manual = await readFile(new URL("../../docs/CLIENT.md", import.meta.url), "utf8");
  const [, code] = new RegExp(`^### ${heading}\\n[^#]*?^\`\`\`js\\n(.*?)^\`\`\``, "ms").exec(manual) ?? [];
  assert.ok(code, `docs/CLIENT.md has no recipe "${heading}"`);
  return code;
}

scenario("one member calls another, and both hear", async (world) => {
  const code = await recipe("An audio call");
  const flags = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];
  const [server, site, browser] = await Promise.all([world.server(), world.site(), world.browser({ flags })]);
  const members = [];
  for (const name of ["ann", "bob"]) members.push(await Member.join(browser, site, name, { page, server: server.url }));
  const all = (body, argument) => Promise.all(members.map(({ tab }) => tab.evaluate(body, argument)));
  await untilState("both to see each other", () => all(() => group.members.length), (counts) => counts.every((n) => n === 2));

  await all((code) => {
    window.streams = [];
    window.play = (stream) => streams.push(stream);
    (0, eval)(code);
  }, code);
  await members[0].tab.evaluate(() => callAll());
  // A track from afar is muted until something of it arrives.
  const heard = () => all(() => streams.map((stream) => stream.getTracks().map(({ kind, muted, readyState }) => `${kind} ${readyState}${muted ? " muted" : ""}`)));
  await untilState("both to hear the other", heard, (each) => each.every(([tracks, ...more]) => tracks?.join() === "audio live" && more.length === 0));

  // The group goes on beside it.
  await all(() => say());
  await untilState("both to have what both said", () => all(() => getState().length), (counts) => counts.every((n) => n === 2));
});
