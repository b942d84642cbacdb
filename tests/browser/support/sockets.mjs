// Members without a browser, in a worker thread of this process (see sockets-worker.mjs).
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";

const { build } = createRequire(new URL("../../../static/package.json", import.meta.url))(
  "esbuild",
);

export class SocketMembers {
  static async start(server, page) {
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
      new Worker(bundle.text, { eval: true, workerData: { server: server.url, page } }),
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

  join = (count) => this.#ask("join", count);
  chat = (perS) => this.#ask("chat", perS);
  hush = () => this.#ask("hush");
  see = (count) => this.#ask("see", count);
  summary = () => this.#ask("summary");
  said = () => this.#ask("said");
  others = (model) => this.#ask("others", model);

  end = () => this.worker.terminate();
}
