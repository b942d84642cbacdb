// The peerstar server on a free port.
import { createServer } from "node:net";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { kill, marked, start } from "./process.mjs";
import { until } from "./until.mjs";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");
const binary = process.env.PEERSTAR_BIN ?? resolve(root, "target/debug/peerstar");

export const peerOptionsAt = (port) => ({
  host: "127.0.0.1",
  port,
  path: "/",
  secure: false,
  config: { iceServers: [] },
});

export class Server {
  /**
   * `settings` are environment variables without their prefix, for example `{ LIVENESS__RETURN_MS:
   * 1000 }`.
   */
  static async start(settings = {}) {
    const server = new Server(settings, await freePort());
    await server.begin();
    return server;
  }

  /** Lines that the server wrote. A failed test prints them. */
  log = [];
  /** Whether the process lives. */
  runs = false;

  constructor(settings, port) {
    this.settings = settings;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** Options for stock PeerJS: `new Peer(id, options)`. */
  get peerOptions() {
    return peerOptionsAt(this.port);
  }

  /** Returns the value of a metric without labels, whose name is given without the prefix. */
  async metric(name) {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const [, value] = text.match(new RegExp(`^peerstar_${name} (.*)$`, "m")) ?? [];
    if (value === undefined) throw new Error(`there is no metric peerstar_${name}`);
    return Number(value);
  }

  async begin() {
    const env = marked({
      PEERSTAR__SERVER__HOST: "127.0.0.1",
      PEERSTAR__SERVER__PORT: String(this.port),
      PEERSTAR__ICE__SERVERS: "[]", // no STUN or TURN server outside this machine
    });
    delete env.PORT; // the server prefers PORT to its own setting
    for (const [key, value] of Object.entries(this.settings))
      env[`PEERSTAR__${key}`] = String(value);
    this.child = start(binary, [], env);
    this.ended = new Promise((done) =>
      this.child.once("exit", (code, signal) => done(signal ?? code)),
    );
    this.child.once("error", (error) => this.log.push(error.message));
    for (const stream of [this.child.stdout, this.child.stderr])
      stream.on("data", (text) => this.log.push(...String(text).trimEnd().split("\n")));
    let exit;
    this.runs = true;
    void this.ended.then((how) => {
      exit = how;
      this.runs = false;
    });
    try {
      await until(`${binary} to answer /health at ${this.url}`, async () => {
        if (exit !== undefined || !this.child.pid) return true;
        return (await fetch(`${this.url}${this.settings.SERVER__PATH ?? "/"}health`)).ok;
      });
    } catch (error) {
      throw new Error(`${error.message}\n${this.log.join("\n")}`);
    }
    if (exit !== undefined || !this.child.pid)
      throw new Error(`${binary} did not start (${exit ?? "not found"}):\n${this.log.join("\n")}`);
  }

  async end(signal = "SIGKILL") {
    if (!this.child?.pid) return;
    kill(this.child.pid, signal);
    await this.ended;
  }
}

/**
 * Returns a port that is free now. The server needs to know its port before it starts and when it
 * restarts.
 */
export function freePort() {
  return new Promise((done, fail) => {
    const probe = createServer().once("error", fail);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });
}
