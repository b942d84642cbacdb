// Tests where the library runs, and what it says where it cannot.

import assert from "node:assert/strict";
import { test } from "node:test";
import { checkScope, pageIn, serverIn, type Scope } from "../src/scope.ts";

const at = (href: string, more: Partial<Scope> = {}): Scope => {
  const { origin, pathname, protocol } = new URL(href);
  return {
    document: {},
    WebSocket: {},
    location: { href, origin, pathname, protocol },
    origin,
    ...more,
  };
};
const page = at("https://example.org/board?a=1#b");
const worker = (href: string): Scope => ({
  ...at(href),
  document: undefined,
  WorkerGlobalScope: {},
});

test("a page and a worker are accepted; Node, a service worker and a scope without WebSocket are refused", () => {
  checkScope(page);
  checkScope(worker("https://example.org/worker.js"));
  assert.throws(() => checkScope(globalThis as unknown as Scope), {
    name: "TypeError",
    message: /page or worker.*rendered on a server.*only in the browser/,
  });
  assert.throws(() => checkScope({}), /page or worker/);
  assert.throws(
    () => checkScope({ ...worker("https://example.org/sw.js"), ServiceWorkerGlobalScope: {} }),
    /service worker/,
  );
  assert.throws(() => checkScope({ ...page, WebSocket: undefined }), /WebSocket/);
});

test("the page's address is its name if others can have the same", () => {
  assert.equal(pageIn(undefined, page), "https://example.org/board");
  assert.equal(pageIn(undefined, at("http://localhost:8000/")), "http://localhost:8000/");
  for (const scope of [
    at("about:srcdoc"),
    at("about:blank"),
    at("data:text/html,x"),
    at("file:///home/ann/index.html"),
    at("capacitor://localhost/"),
    at("blob:https://example.org/1-2"),
    at("about:srcdoc", { origin: "https://example.org" }),
    at("https://example.org/sandboxed", { origin: "null" }),
    worker("https://example.org/worker.js"),
    worker("blob:https://example.org/1-2"),
  ]) {
    assert.throws(
      () => pageIn(undefined, scope),
      { name: "TypeError", message: /give the option `page`/ },
      scope.location?.href,
    );
    assert.equal(pageIn("a room", scope), "a room");
  }
  assert.throws(
    () => pageIn(undefined, at(`data:text/html,${"x".repeat(5000)}`)),
    ({ message }: Error) => message.length < 400,
  );
});

test("a page's name is a text of 1 to 1024 bytes", () => {
  assert.equal(pageIn("ü".repeat(512), page).length, 512);
  for (const bad of ["", "ü".repeat(513)])
    assert.throws(() => pageIn(bad, page), { name: "RangeError", message: /1 to 1024 bytes/ });
  for (const bad of [null, 7, {}])
    assert.throws(() => pageIn(bad, page), { name: "TypeError", message: /`page` is a text/ });
});

test("the server is the option, else where peerstar.js came from, else the root of this origin", () => {
  const found = (server: unknown, from: string | undefined, scope = page): string =>
    serverIn(server, from, scope).href;
  assert.equal(
    found(undefined, "https://peers.example.org/p/peerstar.js?v=1"),
    "https://peers.example.org/p/",
  );
  assert.equal(found(undefined, undefined), "https://example.org/");
  assert.equal(
    found("/path/", "https://peers.example.org/peerstar.js"),
    "https://example.org/path/",
  );
  assert.equal(found("//other.example.org/x/", undefined), "https://other.example.org/x/");
  assert.equal(found("wss://other.example.org/x/", undefined), "wss://other.example.org/x/");
  assert.equal(
    found("HTTPS://other.example.org", "blob:https://x/1", at("about:srcdoc")),
    "https://other.example.org/",
  );
});

test("a copy of peerstar.js without a server's address asks for the option only when it is needed", () => {
  for (const from of [
    "blob:https://example.org/1-2",
    "data:text/javascript,x",
    "file:///home/ann/peerstar.js",
    "chrome-extension://abc/peerstar.js",
  ]) {
    assert.throws(() => serverIn(undefined, from, page), {
      name: "TypeError",
      message: /^peerstar\.js was loaded from ".*give the option `server`/,
    });
    assert.equal(serverIn("https://peers.example.org/", from, page).host, "peers.example.org");
  }
});

test("a wrong server is a TypeError that says what is allowed", () => {
  for (const bad of [
    "my.server.example:9000",
    "my.server.example",
    "localhost:9000",
    "",
    "ftp://example.org/",
    "https://",
    "https://exa mple/",
    false,
    7,
  ])
    assert.throws(
      () => serverIn(bad, undefined, page),
      { name: "TypeError", message: /the option `server` is an address such as/ },
      String(bad),
    );
  for (const href of [
    "about:srcdoc",
    "data:text/html,x",
    "blob:https://example.org/1-2",
    "file:///home/ann/index.html",
  ]) {
    for (const server of [undefined, "/path/"])
      assert.throws(() => serverIn(server, undefined, at(href)), {
        name: "TypeError",
        message: /names no server.*give the option `server`/,
      });
  }
});
