// The pages of examples/, opened in a browser as they are; only the addresses are this test's.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { scenario } from "./support/scenario.mjs";
import { untilState } from "./support/until.mjs";

const example = (name) => readFile(new URL(`../../examples/${name}`, import.meta.url), "utf8");

/** Serves one text as a page, and runs `body` with its address. */
async function served(html, body) {
  const web = createServer((_, response) =>
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(html),
  );
  await new Promise((done) => web.listen(0, "127.0.0.1", done));
  try {
    await body(`http://127.0.0.1:${web.address().port}/`);
  } finally {
    web.closeAllConnections();
    await new Promise((done) => web.close(done));
  }
}

/** Three tabs; each sends a line, and every tab shows all lines. Then the first tab, the host, is closed. */
async function talk(world, html) {
  const browser = await world.browser();
  await served(html, async (url) => {
    const tabs = [];
    for (let i = 0; i < 3; i++) {
      tabs.push(await browser.tab(url));
    }
    await together(tabs);
    const send = (tab, line) =>
      untilState(
        `${line} to be accepted`,
        () =>
          tab.evaluate((line) => {
            const input = document.getElementById("text");
            input.value = line;
            document.getElementById("form").requestSubmit();
            return { left: input.value };
          }, line),
        ({ left }) => left === "",
      );
    const lines = (tabs, wanted) =>
      untilState(
        `${wanted} everywhere`,
        () =>
          Promise.all(
            tabs.map((tab) =>
              tab.evaluate(() => [...document.querySelectorAll("li")].map((li) => li.textContent)),
            ),
          ),
        (all) => all.every((shown) => String(shown.sort()) === String(wanted)),
      );
    for (const [i, tab] of tabs.entries()) {
      await send(tab, `line ${i}`);
      await lines(
        tabs,
        [0, 1, 2].slice(0, i + 1).map((n) => `line ${n}`),
      );
    }
    await tabs.shift().close();
    await together(tabs);
    await send(tabs[1], "line 3");
    await lines(
      tabs,
      [0, 1, 2, 3].map((n) => `line ${n}`),
    );
  });
}

/** Waits until one tab hosts, the others name it, and, with stock PeerJS, all connections are open. */
const together = (tabs) =>
  untilState(
    "one host with all connections",
    () =>
      Promise.all(
        tabs.map((tab) =>
          tab.evaluate(() => ({
            text: document.getElementById("status").textContent,
            // The library keeps its connections to itself.
            links:
              typeof members === "undefined"
                ? undefined
                : [...members].filter((l) => l.open).length,
          })),
        ),
      ),
    (all) => {
      const hosts = all.filter(({ text }) => text === "I am the host");
      const others = all.filter(({ text }) => text.endsWith(" is the host"));
      const [{ links = others.length } = {}] = hosts;
      return hosts.length === 1 && others.length === tabs.length - 1 && links === others.length;
    },
  );

scenario("example: a page with PageGroup", async (world) => {
  const server = await world.server();
  const html = await example("group.html");
  assert.ok(html.includes('from "http://localhost:9000/peerstar.js"'));
  await talk(world, html.replace("http://localhost:9000", server.url));
});

scenario("example: a page with stock PeerJS", async (world) => {
  const [server, site] = await Promise.all([world.server(), world.site()]);
  const html = await example("stock.html");
  assert.ok(html.includes("https://unpkg.com/peerjs@1.5.5/dist/peerjs.min.js"));
  await talk(
    world,
    html
      .replace("https://unpkg.com/peerjs@1.5.5/dist/peerjs.min.js", `${site.url}/peerjs.js`)
      .replace("port: 9000", `port: ${new URL(server.url).port}`),
  );
});
