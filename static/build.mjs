// Builds the browser side. The same sources give the same bytes: no hashes, no dates, sorted lists.
//   node build.mjs          dist/: the demo page and peerstar.js, which the server embeds.
//   node build.mjs --test   dist-test/: every *.test.ts, bundled for `node --test`.
//   node build.mjs --npm    dist-npm/: the library for bundlers, without PeerJS.
//   node build.mjs --types  rewrites the imports in dist-npm/*.d.ts.
import { build } from "esbuild";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(fileURLToPath(import.meta.url));
const at = (...parts) => join(root, ...parts);

/** Options of every bundle for the browser. */
const browser = {
  absWorkingDir: root,
  bundle: true,
  minify: true,
  target: ["es2022"],
  // Comments that packages mark as their licence come last. `notices` adds the whole texts.
  legalComments: "eof",
  charset: "utf8",
  logLevel: "warning",
  metafile: true,
  write: false,
};

async function demo() {
  await bundle({ in: "src/demo/main.ts", out: "demo", format: "iife" });
  await bundle({ in: "src/demo/demo.css", out: "demo" });
  await cp(at("src/demo/index.html"), at("dist/index.html"));
}

/** Builds the library for pages without a bundler: one file that includes PeerJS. */
const library = () => bundle({ in: "src/served.ts", out: "peerstar", format: "esm" });

async function bundle({ in: entry, out, format }) {
  const { outputFiles, metafile } = await build({
    ...browser,
    ...(format && { format }),
    entryPoints: [{ in: at(entry), out }],
    outdir: "dist",
  });
  const licences = await notices(Object.keys(metafile.inputs));
  for (const file of outputFiles)
    await writeFile(at("dist", basename(file.path)), file.text + licences);
}

/** Returns the licences of the packages in a bundle as one comment. Copies must carry them. */
async function notices(inputs) {
  const folders = new Set(
    inputs.map((path) => /^node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]).filter(Boolean),
  );
  const texts = [];
  for (const folder of [...folders].sort()) {
    const { name, version, license } = JSON.parse(
      await readFile(at(folder, "package.json"), "utf8"),
    );
    const file = (await readdir(at(folder))).sort().find((f) => /^licen[cs]e/i.test(f));
    const text = file ? await readFile(at(folder, file), "utf8") : `Licence: ${license}`;
    texts.push(`${name} ${version}\n\n${text.trim()}`);
  }
  if (texts.length === 0) return "";
  return `/*!\n${texts.join("\n\n---\n\n").replaceAll("*/", "* /")}\n*/\n`;
}

async function npm() {
  await build({
    absWorkingDir: root,
    entryPoints: { index: "src/index.ts" },
    outdir: "dist-npm",
    bundle: true,
    format: "esm",
    target: ["es2022"],
    external: ["peerjs"],
    charset: "utf8",
    sourcemap: true,
    logLevel: "warning",
  });
}

/**
 * Rewrites `./x.ts` in the types to `./x.js`. TypeScript before 5.0 does not follow `./x.ts`, and
 * every type would be `any`.
 */
async function types() {
  for (const name of await readdir(at("dist-npm"), { recursive: true })) {
    if (!name.endsWith(".d.ts")) continue;
    const text = await readFile(at("dist-npm", name), "utf8");
    await writeFile(
      at("dist-npm", name),
      text.replace(/(\bfrom |\bimport\()"(\.{1,2}\/[^"]+)\.ts"/g, '$1"$2.js"'),
    );
  }
}

async function tests() {
  const found = [];
  for (const folder of ["src", "test"]) {
    for (const entry of await readdir(at(folder), { withFileTypes: true, recursive: true }))
      if (entry.name.endsWith(".test.ts"))
        found.push(join(entry.parentPath ?? entry.path, entry.name));
  }
  await rm(at("dist-test"), { recursive: true, force: true });
  await build({
    absWorkingDir: root,
    entryPoints: found.sort().map((path) => ({ in: path, out: basename(path, ".ts") })),
    outdir: "dist-test",
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    target: ["node20"],
    sourcemap: "inline",
    logLevel: "warning",
  });
}

/** Empties a folder except for .gitkeep, which keeps dist/ in the repository. */
async function clear(folder) {
  await mkdir(folder, { recursive: true });
  for (const name of await readdir(folder))
    if (name !== ".gitkeep") await rm(join(folder, name), { recursive: true });
}

if (process.argv.includes("--test")) await tests();
else if (process.argv.includes("--npm")) await npm();
else if (process.argv.includes("--types")) await types();
else {
  await clear(at("dist"));
  await demo();
  await library();
}
