// Tests the npm package as its users get it: packs it, unpacks it beside PeerJS, and compares the
// list of its files. Checks its types with this TypeScript and with the oldest that docs/CLIENT.md
// names. Imports it in Node and in jsdom.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const away = mkdtempSync(join(tmpdir(), "peerstar-package-"));
const run = (command, ...args) =>
  execFileSync(command, args, {
    cwd: away,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
/**
 * Runs a program in Node and returns what became of it. The program must end without being stopped.
 */
const node = (code) =>
  spawnSync(process.execPath, ["--input-type=module", "--eval", code], {
    cwd: away,
    encoding: "utf8",
    timeout: 20_000,
  });

const oldest = JSON.parse(
  readFileSync(join(import.meta.dirname, "node_modules/typescript/package.json"), "utf8"),
).version;

try {
  const [{ filename, files }] = JSON.parse(
    run("npm", "pack", root, "--json", "--silent", "--pack-destination", away),
  );
  assert.deepEqual(files.map(({ path }) => path).sort(), [
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "dist-npm/channels/channel.d.ts",
    "dist-npm/channels/requests.d.ts",
    "dist-npm/errors.d.ts",
    "dist-npm/events.d.ts",
    "dist-npm/group-types.d.ts",
    "dist-npm/index.d.ts",
    "dist-npm/index.js",
    "dist-npm/index.js.map",
    "dist-npm/page-events.d.ts",
    "dist-npm/page-group.d.ts",
    "dist-npm/page-options.d.ts",
    "dist-npm/restore-info.d.ts",
    "dist-npm/ticket.d.ts",
    "package.json",
  ]);

  const installed = join(away, "node_modules/peerstar");
  mkdirSync(installed, { recursive: true });
  run("tar", "-xzf", filename, "--strip-components=1", "-C", installed);
  symlinkSync(join(root, "node_modules/peerjs"), join(away, "node_modules/peerjs"));
  symlinkSync(join(import.meta.dirname, "node_modules/jsdom"), join(away, "node_modules/jsdom"));
  cpSync(join(import.meta.dirname, "consumer.ts"), join(away, "consumer.ts"));
  writeFileSync(join(away, "package.json"), '{ "type": "module" }');

  checkTypes();
  checkNode();
} catch (error) {
  // tsc writes its errors to stdout.
  if (error.stdout) process.stderr.write(error.stdout);
  throw error;
} finally {
  rmSync(away, { recursive: true, force: true });
}

/**
 * consumer.ts also contains errors that are expected. They are missed if a type has become `any`.
 */
function checkTypes() {
  const guide = readFileSync(join(root, "../docs/CLIENT.md"), "utf8");
  assert.ok(
    guide.includes(`TypeScript ${oldest.replace(/\.\d+$/, "")} or newer`),
    `docs/CLIENT.md does not name ${oldest}`,
  );
  const common = ["--noEmit", "--strict", "--target", "es2022", "--lib", "es2022,dom"];
  const now = join(root, "node_modules/.bin/tsc");
  const then = join(import.meta.dirname, "node_modules/.bin/tsc");
  for (const [tsc, module, resolution, ...more] of [
    [now, "esnext", "bundler", "--types", ""],
    [now, "nodenext", "nodenext", "--types", ""],
    // The types of PeerJS need a newer TypeScript, so declaration files are not checked here.
    [then, "esnext", "node", "--skipLibCheck"],
    [then, "nodenext", "nodenext", "--skipLibCheck"],
  ])
    run(
      tsc,
      ...common,
      "--module",
      module,
      "--moduleResolution",
      resolution,
      ...more,
      "consumer.ts",
    );
}

function checkNode() {
  const names = node('console.log(Object.keys(await import("peerstar")).sort().join())');
  assert.equal(names.stdout.trim(), "PageGroup,PeerstarError", names.stderr);

  // Node stands for a server that renders a page: the constructor explains, and Node ends.
  for (const options of ["", '{ page: "p", server: "https://127.0.0.1:9/" }']) {
    const made = node(
      `const { PageGroup } = await import("peerstar"); try { new PageGroup(${options}); } catch (error) { console.log(String(error)); }`,
    );
    assert.match(made.stdout, /^TypeError: .*only in the browser/, made.stderr);
    assert.equal(made.signal, null, "Node ends by itself");
  }

  // In jsdom a group is made, sends bytes of both realms, fails to reach its server, and is left.
  // Then Node ends.
  const jsdom = node(`
    import { JSDOM } from "jsdom";
    const { window } = new JSDOM("", { url: "http://127.0.0.1:9/board" });
    // Copies the page's names to the global object, as test runners do.
    for (const name of ["document", "location", "origin", "WebSocket", "addEventListener", "removeEventListener"]) {
      Object.defineProperty(globalThis, name, { value: typeof window[name] === "function" && !/^[A-Z]/.test(name) ? window[name].bind(window) : window[name], configurable: true });
    }
    const { PageGroup } = await import("peerstar");
    const group = new PageGroup();
    const sends = [new Uint8Array(1), new window.ArrayBuffer(1), new window.Uint8Array(1)].map((data) => group.send(data).catch(({ code }) => code));
    const wrong = await group.send(new window.Headers()).catch(({ name, message }) => name + ": " + message);
    const closed = new Promise((done) => group.on("close", done));
    setTimeout(() => group.leave(), 50);
    const { code } = await closed;
    console.log(JSON.stringify([code, await Promise.all(sends), wrong]));
    window.close();
  `);
  assert.equal(jsdom.signal, null, `Node ends by itself: ${jsdom.stderr}`);
  const [code, sent, wrong] = JSON.parse(jsdom.stdout.trim().split("\n").at(-1) || "[]");
  assert.deepEqual([code, sent], [1000, ["Closed", "Closed", "Closed"]], jsdom.stderr);
  assert.match(wrong, /^TypeError: Headers cannot be sent/);
}
