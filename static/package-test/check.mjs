// The npm package as others get it: packed, unpacked beside PeerJS, its types checked, imported; and nothing else in it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const away = mkdtempSync(join(tmpdir(), "peerstar-package-"));
const run = (command, ...args) => execFileSync(command, args, { cwd: away, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });

try {
  const [{ filename, files }] = JSON.parse(run("npm", "pack", root, "--json", "--silent", "--pack-destination", away));
  assert.deepEqual(files.map(({ path }) => path).sort(), [
    "LICENSE-APACHE", "LICENSE-MIT", "README.md",
    "dist-npm/errors.d.ts", "dist-npm/index.d.ts", "dist-npm/index.js", "dist-npm/index.js.map", "dist-npm/page-group.d.ts", "dist-npm/restore-info.d.ts", "dist-npm/ticket.d.ts",
    "package.json",
  ]);

  const installed = join(away, "node_modules/peerstar");
  mkdirSync(installed, { recursive: true });
  run("tar", "-xzf", filename, "--strip-components=1", "-C", installed);
  symlinkSync(join(root, "node_modules/peerjs"), join(away, "node_modules/peerjs"));
  cpSync(join(import.meta.dirname, "consumer.ts"), join(away, "consumer.ts"));
  writeFileSync(join(away, "package.json"), '{ "type": "module" }');

  for (const [module, resolution] of [["esnext", "bundler"], ["nodenext", "nodenext"]]) {
    run(join(root, "node_modules/.bin/tsc"), "--noEmit", "--strict", "--target", "es2022", "--lib", "es2022,dom", "--types", "", "--module", module, "--moduleResolution", resolution, "consumer.ts");
  }
  const names = run(process.execPath, "--input-type=module", "--eval", 'console.log(Object.keys(await import("peerstar")).sort().join())');
  assert.equal(names.trim(), "PageGroup,PeerstarError");
} catch (error) {
  // What tsc has to say, it says on its output.
  if (error.stdout) process.stderr.write(error.stdout);
  throw error;
} finally {
  rmSync(away, { recursive: true, force: true });
}
