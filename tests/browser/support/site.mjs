// A small site whose pages load stock PeerJS from npm. Its origin differs from the server's, as in
// practice.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const packaged = (name) => dirname(require.resolve(`${name}/package.json`));

const files = {
  "/stock.html": ["text/html", join(here, "../pages/stock.html")],
  "/member.html": ["text/html", join(here, "../pages/member.html")],
  "/recipe.html": ["text/html", join(here, "../pages/recipe.html")],
  "/plain.html": ["text/html", join(here, "../pages/plain.html")],
  "/throughput-group.html": ["text/html", join(here, "../pages/throughput-group.html")],
  "/throughput-plain.html": ["text/html", join(here, "../pages/throughput-plain.html")],
  "/throughput.js": ["text/javascript", join(here, "../pages/throughput.js")],
  "/peerjs.js": ["text/javascript", join(packaged("peerjs"), "dist/peerjs.min.js")],
  "/yjs.js": ["text/javascript", join(packaged("yjs"), "dist/yjs.mjs")],
  "/group.html": ["text/html", join(here, "../pages/group.html")],
  "/peerstar.js": [
    "text/javascript",
    process.env.PEERSTAR_JS ?? join(here, "../../../static/dist/peerstar.js"),
  ],
};

/** Modules of lib0, by the names under which Yjs imports them. */
const lib0 = /^\/lib0\/([\w/.]+?)(\.js)?$/;
const find = (path) =>
  files[path] ??
  (lib0.test(path) ? ["text/javascript", join(packaged("lib0"), path.replace(lib0, "$1.js"))] : []);

/** Answers that do not come from a file. */
const answers = {
  "/download": (response) =>
    response
      .writeHead(200, {
        "content-type": "application/octet-stream",
        "content-disposition": "attachment; filename=x.bin",
      })
      .end("x"),
  "/no-content": (response) => response.writeHead(204).end(),
  "/slow": (response) =>
    setTimeout(() => response.writeHead(200, { "content-type": "text/html" }).end("slow"), 400),
};

export class Site {
  static start() {
    return new Promise((done) => {
      const server = createServer(async (request, response) => {
        const { pathname } = new URL(request.url, "http://site");
        if (answers[pathname]) return answers[pathname](response);
        const [type, path] = find(pathname);
        if (!path) return response.writeHead(404).end();
        response
          .writeHead(200, { "content-type": `${type}; charset=utf-8` })
          .end(await readFile(path));
      });
      server.listen(0, "127.0.0.1", () => done(new Site(server)));
    });
  }

  constructor(server) {
    this.server = server;
    this.url = `http://127.0.0.1:${server.address().port}`;
  }

  end() {
    this.server.closeAllConnections();
    return new Promise((done) => this.server.close(done));
  }
}
