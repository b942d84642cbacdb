// Members without a browser, in a worker thread of this process (see sockets-worker.mjs).
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";

const { build } = createRequire(new URL("../../../static/package.json", import.meta.url))(
  "esbuild",
);

export class SocketMembers {
  /** Members join at `server`, unless `join` names another address. */
  static async start(server, page, { mayHost = false } = {}) {
    const {
      outputFiles: [bundle],
    } = await build({
      entryPoints: [fileURLToPath(new URL("sockets-worker.mjs", import.meta.url))],
      bundle: true,
      platform: "node",
      format: "cjs",
      write: false,
      logLevel: "warning",
    });
    return new SocketMembers(
      new Worker(bundle.text, { eval: true, workerData: { server: server.url, page, mayHost } }),
    );
  }

  /** Errors of the worker. A failed test prints them. */
  log = [];
  #token = 0;
  #asked = new Map();
  /** The error that ended the worker. */
  #died;

  constructor(worker) {
    this.worker = worker;
    worker.on("message", ({ token, answer }) => {
      this.#asked.get(token).done(answer);
      this.#asked.delete(token);
    });
    worker.on("error", (error) => {
      this.log.push(error.stack);
      this.#died = error;
      for (const { fail } of this.#asked.values()) fail(error);
    });
  }

  #ask(command, argument) {
    if (this.#died) return Promise.reject(this.#died);
    const token = ++this.#token;
    return new Promise((done, fail) => {
      this.#asked.set(token, { done, fail });
      this.worker.postMessage({ token, command, argument });
    });
  }

  /** Lets `count` members join. Returns how many there are now. */
  join = (count, url) => this.#ask("join", { count, url });
  chat = (perS) => this.#ask("chat", perS);
  hush = () => this.#ask("hush");
  /** Returns the fewest and the most members that one of these sees. */
  seen = () => this.#ask("seen");
  see = (count) => this.#ask("see", count);
  summary = () => this.#ask("summary");
  /** Returns the messages that the first member was handed. */
  heard = () => this.#ask("heard");
  rejected = () => this.#ask("rejected");
  said = () => this.#ask("said");
  others = (model) => this.#ask("others", model);

  end = () => this.worker.terminate();
}
