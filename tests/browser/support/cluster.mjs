// A cluster: a Redis, nodes of the server, and HAProxy in front of them with `deploy/haproxy.cfg`, all
// on free ports of loopback.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { kill, marked, start } from "./process.mjs";
import { freePort, peerOptionsAt, Server } from "./server.mjs";
import { until } from "./until.mjs";

const balancerConfig = fileURLToPath(new URL("../../../deploy/haproxy.cfg", import.meta.url));
const isReady = async ({ url }) => (await fetch(`${url}/ready`)).ok;

export class Cluster {
  /**
   * Starts `count` nodes. `settings` apply to every node. `redisPort` returns the port at which node
   * `index` finds Redis, for a proxy in between.
   */
  static async start({ count = 3, settings = {}, redisPort = (port) => port } = {}) {
    const cluster = new Cluster();
    try {
      await cluster.#begin(count, settings, redisPort);
    } catch (error) {
      await cluster.end();
      throw error;
    }
    return cluster;
  }

  /** The nodes that serve. */
  nodes = [];
  /**
   * Addresses of the cluster, one for each node. HAProxy passes who comes there to that node, or to
   * another one while that node is not ready.
   */
  doors = [];
  #folder = mkdtempSync(join(tmpdir(), "peerstar-cluster-"));
  /** The next successor of a node. It does not run, or is about to end. */
  #spare;
  #balancer;
  #redis;
  /** Lines that Redis and HAProxy wrote. */
  #written = [];

  async #begin(count, settings, redisPort) {
    const port = await freePort();
    this.#redis = this.#run("redis-server", [
      ...["--bind", "127.0.0.1", "--port", String(port), "--dir", this.#folder],
      ...["--save", "", "--appendonly", "no"],
    ]);
    const servers = [];
    for (let index = 0; index <= count; index++)
      servers.push(
        new Server(
          {
            SERVER__WORKERS: 1,
            SERVER__PROXIED: true,
            CLUSTER__URL: `redis://127.0.0.1:${await redisPort(port, index)}`,
            CLUSTER__SECRET: "a secret of the tests, 32 bytes or more",
            ...settings,
          },
          await freePort(),
        ),
      );
    this.#spare = servers.at(-1);
    this.nodes = servers.slice(0, count);
    await Promise.all(this.nodes.map((node) => this.startNode(node)));
    await this.#balance(servers);
  }

  /** Starts HAProxy with a port for each node. */
  async #balance(servers) {
    const ports = [];
    for (let index = 0; index < this.nodes.length; index++) ports.push(await freePort());
    const file = join(this.#folder, "haproxy.cfg");
    writeFileSync(
      file,
      [
        readFileSync(balancerConfig, "utf8").trimEnd(),
        ...ports.map((port, index) => `    use-server node-${index} if { dst_port ${port} }`),
        ...servers.map(({ port }, index) => `    server node-${index} 127.0.0.1:${port}`),
        "",
      ].join("\n"),
    );
    this.#balancer = this.#run("/usr/sbin/haproxy", ["-q", "-f", file], {
      PEERSTAR_BIND: ports.map((port) => `127.0.0.1:${port}`).join(","),
    });
    this.doors = ports.map((port) => ({
      url: `http://127.0.0.1:${port}`,
      port,
      peerOptions: peerOptionsAt(port),
    }));
    for (const door of this.doors) await until("HAProxy to find a node", () => isReady(door));
  }

  #run(command, args, env) {
    const child = start(command, args, marked(env));
    const ended = new Promise((done) => child.once("exit", done).once("error", done));
    child.once("error", (error) => this.#written.push(error.message));
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (text) => this.#written.push(...String(text).trimEnd().split("\n")));
    return { child, ended };
  }

  /** Returns the sum of a metric over the nodes that run. */
  async sum(metric) {
    const running = this.nodes.filter((node) => node.runs);
    const values = await Promise.all(running.map((node) => node.metric(metric)));
    return values.reduce((sum, value) => sum + value, 0);
  }

  /** Last lines of each process. A failed test prints them. */
  get log() {
    return [this.#written, ...this.nodes.map(({ log }) => log)].flatMap((lines) =>
      lines.slice(-20),
    );
  }

  /** Starts a node that does not run, and waits until it is in the cluster. */
  async startNode(node) {
    await node.begin();
    await until("a node to be in the cluster", () => isReady(node));
  }

  /** Starts another node in place of this one, which still runs. */
  async startSuccessor(node) {
    await this.startNode(this.#spare);
    this.nodes[this.nodes.indexOf(node)] = this.#spare;
    this.#spare = node;
  }

  async end() {
    await Promise.all([this.#spare, ...this.nodes].map((node) => node?.end()));
    for (const { child, ended } of [this.#balancer, this.#redis].filter(Boolean)) {
      if (child.pid) kill(child.pid);
      await ended;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
