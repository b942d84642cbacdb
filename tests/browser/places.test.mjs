// The library in unusual places: workers, sandboxes, pages without an address, prerendered pages.
import assert from "node:assert/strict";
import { scenario } from "./support/scenario.mjs";
import { until, untilState } from "./support/until.mjs";

const page = "https://example.org/place";

/** Opens a tab that imports the library from the server. */
async function open(browser, site, server) {
  const tab = await browser.tab(`${site.url}/group.html`);
  await tab.waitForFunction(() => window.ready);
  await tab.evaluate(
    async (url) => Object.assign(window, { url, ...(await import(`${url}/peerstar.js`)) }),
    server.url,
  );
  return tab;
}

scenario(
  "a worker is a member over the relay and reports that it needs a page name",
  async (world) => {
    const [server, site, browser] = await Promise.all([
      world.server(),
      world.site(),
      world.browser(),
    ]);
    const tab = await open(browser, site, server);
    await tab.evaluate((page) => begin("ann", { page, server: url }), page);
    await tab.evaluate((page) => {
      const code = `
      import { PageGroup } from "${url}/peerstar.js";
      try { new PageGroup(); } catch (error) { postMessage({ error: String(error) }); }
      const group = new PageGroup({ page: ${JSON.stringify(page)} });
      group.on("open", ({ id }) => postMessage({ id }));
      group.on("message", (data, { from }) => postMessage({ data, own: from === group.id }));
      group.on("link", ({ path }) => postMessage({ path }));
      group.on("error", ({ code }) => postMessage({ code }));
      onmessage = ({ data }) => (data === "leave" ? group.leave() : group.send(data));
    `;
      window.reports = [];
      window.worker = new Worker(
        URL.createObjectURL(new Blob([code], { type: "text/javascript" })),
        { type: "module" },
      );
      worker.onmessage = ({ data }) => reports.push(data);
    }, page);
    const reported = (good) =>
      untilState(
        "the worker's word",
        () => tab.evaluate(() => reports),
        (all) => all.some(good),
      );
    const [first] = await reported(({ id }) => id);
    assert.match(first.error, /^TypeError: a worker does not know which page.*`page`/);
    await until("page and worker to be members", () =>
      tab.evaluate(() => group.members.length === 2),
    );
    await tab.evaluate(() => worker.postMessage({ bytes: new Uint8Array([1, 2]) }));
    await tab.evaluate(() => group.send("hello"));
    const all = await reported(({ data }) => data === "hello");
    await reported(({ data, own }) => data?.bytes?.[1] === 2 && own);
    assert.deepEqual(
      all.filter(({ code }) => code),
      [],
    );
    assert.deepEqual(
      [...new Set((await tab.evaluate(() => reports)).flatMap(({ path }) => path ?? []))],
      ["relay"],
    );
    await tab.evaluate(() => worker.postMessage("leave"));
    await until("the worker to leave", () => tab.evaluate(() => group.members.length === 1));
  },
);

scenario(
  "a page without a shared address asks for a page name and works with one",
  async (world) => {
    const [server, site, browser] = await Promise.all([
      world.server(),
      world.site(),
      world.browser(),
    ]);
    const tab = await open(browser, site, server);
    const code = (options) => `
    const post = (said) => parent.postMessage(said, "*");
    const { PageGroup } = await import("${server.url}/peerstar.js");
    try {
      const group = new PageGroup(${JSON.stringify(options)});
      group.on("open", ({ first }) => post({ in: first }));
      group.on("error", (error) => post({ error: String(error) }));
    } catch (error) { post({ error: String(error) }); }
  `;
    const outcome = (kind, options) =>
      tab.evaluate(
        ([kind, code]) =>
          new Promise((done) => {
            window.onmessage = ({ data }) => done(data);
            const html = `<script type="module">${code}</script>`;
            const frame = document.createElement("iframe");
            if (kind.includes("sandbox")) frame.sandbox = "allow-scripts";
            if (kind.includes("srcdoc")) frame.srcdoc = html;
            else if (kind === "data") frame.src = `data:text/html,${encodeURIComponent(html)}`;
            else if (kind === "blob")
              frame.src = URL.createObjectURL(new Blob([html], { type: "text/html" }));
            document.body.append(frame);
            if (kind !== "about:blank") return;
            const script = frame.contentDocument.createElement("script");
            Object.assign(script, { type: "module", textContent: code });
            frame.contentDocument.body.append(script);
          }),
        [kind, code(options)],
      );
    for (const kind of ["srcdoc", "srcdoc sandbox", "data", "blob", "about:blank"]) {
      assert.match(
        (await outcome(kind, {})).error ?? "none",
        /TypeError: this page has no address.*`page`/,
        kind,
      );
      assert.deepEqual(await outcome(kind, { page: `${page}/${kind}` }), { in: true }, kind);
    }
  },
);

scenario(
  "a library copy in a blob: or data: URL loads and asks for the server if none is given",
  async (world) => {
    const [server, site, browser] = await Promise.all([
      world.server(),
      world.site(),
      world.browser(),
    ]);
    const tab = await open(browser, site, server);
    for (const kind of ["blob", "data"]) {
      const { why, first } = await tab.evaluate(
        async ([kind, page]) => {
          const text = await (await fetch(`${url}/peerstar.js`)).text();
          const { PageGroup } = await import(
            kind === "blob"
              ? URL.createObjectURL(new Blob([text], { type: "text/javascript" }))
              : `data:text/javascript,${encodeURIComponent(text)}`
          );
          let why;
          try {
            new PageGroup({ page });
          } catch (error) {
            why = String(error);
          }
          const group = new PageGroup({ page, server: url });
          return {
            why,
            first: await new Promise((done) => group.on("open", ({ first }) => done(first))),
          };
        },
        [kind, `${page}/${kind}`],
      );
      assert.match(why, /^TypeError: peerstar\.js was loaded from "(blob|data):.*option `server`/);
      assert.equal(first, true);
    }
  },
);

scenario("bytes and objects from another frame arrive unchanged", async (world) => {
  const [server, site, browser] = await Promise.all([
    world.server(),
    world.site(),
    world.browser(),
  ]);
  const tab = await open(browser, site, server);
  const got = await tab.evaluate(async (page) => {
    const frame = document.createElement("iframe");
    document.body.append(frame);
    const foreign = frame.contentWindow;
    const group = new PageGroup({ page, server: url });
    const heard = [];
    group.on("message", (data) =>
      heard.push([
        Object.prototype.toString.call(data.it ?? data),
        String(new Uint8Array(data.it ?? data)),
      ]),
    );
    const refused = [];
    await group.send(new foreign.Uint8Array([1, 2]).buffer);
    await group.send({ it: new foreign.Uint8Array([3, 4]) });
    const things = [
      new foreign.Map(),
      new foreign.Error("x"),
      new foreign.FormData(),
      document.body,
      new foreign.Event("x"),
      navigator,
      new foreign.DOMException("x"),
      new ImageData(1, 1),
      foreign,
    ];
    for (const thing of things)
      refused.push(
        await group.send([thing]).then(
          () => "sent",
          (error) => error.name,
        ),
      );
    return { heard, refused, point: await group.send(new DOMPoint(1, 2)).then(() => "sent") };
  }, page);
  assert.deepEqual(got.heard.slice(0, 2), [
    ["[object ArrayBuffer]", "1,2"],
    ["[object Uint8Array]", "3,4"],
  ]);
  assert.deepEqual(got.refused.slice(0, 8), Array(8).fill("TypeError"));
  assert.notEqual(got.refused[8], "sent");
});

scenario(
  "a prerendered page connects and asks for a ticket only when it is shown",
  async (world) => {
    const [server, site, browser] = await Promise.all([
      world.server(),
      world.site(),
      world.browser(),
    ]);
    const tab = await open(browser, site, server);
    // The page looks prerendered, as a browser would report it. Connections and ticket requests are
    // recorded.
    await tab.evaluate(() => {
      let isPrerendering = true;
      Object.defineProperty(document, "prerendering", { get: () => isPrerendering });
      window.show = () => {
        isPrerendering = false;
        document.dispatchEvent(new Event("prerenderingchange"));
      };
      window.dialled = 0;
      const Stock = WebSocket;
      window.WebSocket = class extends Stock {
        constructor(url) {
          super(url);
          dialled++;
        }
      };
      window.asked = 0;
    });
    await tab.evaluate(
      (page) => void begin("ann", { page, server: url, ticket: () => `t${++asked}` }),
      page,
    );
    // Events that might make the page dial early.
    await tab.evaluate(() => {
      for (const [target, name] of [
        [window, "online"],
        [document, "visibilitychange"],
        [document, "resume"],
        [window, "pageshow"],
      ])
        target.dispatchEvent(new Event(name));
      window.early = say();
    });
    await tab.evaluate(
      () => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50))),
    );
    assert.deepEqual(await tab.evaluate(() => [dialled, asked]), [0, 0]);
    await tab.evaluate(() => show());
    await tab.evaluate(() => early);
    assert.deepEqual(await tab.evaluate(() => [dialled, asked]), [1, 1]);
    assert.deepEqual(
      await tab.evaluate(() => diary.events.filter(({ kind }) => kind === "error")),
      [],
    );
  },
);

scenario(
  "ICE servers that the browser refuses are left out and reported to the page as an error",
  async (world) => {
    const [server, site, browser] = await Promise.all([
      world.server({
        ICE__SERVERS: '[{"urls":["stun:refused.example:1"]},{"urls":["stun:127.0.0.1:9"]}]',
      }),
      world.site(),
      world.browser(),
    ]);
    const tabs = [];
    for (const name of ["ann", "bob"]) {
      const tab = await open(browser, site, server);
      await tab.evaluate(() => {
        // The constructor below is stricter than the server.
        const Stock = RTCPeerConnection;
        window.RTCPeerConnection = class extends Stock {
          constructor(config) {
            if (JSON.stringify(config).includes("refused"))
              throw new DOMException("not a valid STUN URL", "SyntaxError");
            super(config);
          }
        };
      });
      await tab.evaluate(([name, page]) => begin(name, { page, server: url }), [name, page]);
      tabs.push(tab);
    }
    for (const tab of tabs) {
      const errors = () =>
        tab.evaluate(() =>
          diary.events
            .filter(({ kind }) => kind === "error")
            .map(({ code, message }) => [code, message]),
        );
      const [[code, message], ...more] = await untilState(
        "the error",
        errors,
        (all) => all.length > 0,
      );
      assert.deepEqual([code, more], ["Unreachable", []]);
      assert.match(message, /stun:refused\.example:1: not a valid STUN URL/);
      await until("a data channel all the same", () =>
        tab.evaluate(() =>
          diary.events.some(({ kind, path }) => kind === "link" && path === "p2p"),
        ),
      );
    }
    const own = await tabs[0].evaluate((page) => {
      try {
        new PageGroup({ page, server: url, rtc: { iceServers: [{ urls: "stun.example.org" }] } });
      } catch (error) {
        return String(error);
      }
    }, page);
    assert.match(own, /^TypeError: the option `rtc`/);
  },
);
