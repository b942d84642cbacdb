// A real TURN server (coturn) on free ports. It has no users of its own and accepts credentials
// that are signed with the shared secret.
import { existsSync } from "node:fs";
import { kill, marked, start } from "./process.mjs";
import { freePort } from "./server.mjs";
import { until } from "./until.mjs";

const command = "/usr/bin/turnserver";

export class Turn {
  static async start(secret) {
    if (!existsSync(command)) throw new Error(`${command} is missing: apt-get install coturn`);
    const turn = new Turn(await freePort());
    const flags = [
      "--use-auth-secret",
      `--static-auth-secret=${secret}`,
      "--realm=peerstar",
      "--listening-ip=127.0.0.1",
      "--relay-ip=127.0.0.1",
      `--listening-port=${turn.port}`,
      "--allow-loopback-peers",
      "--no-tls",
      "--no-dtls",
      "--no-cli",
      "--no-software-attribute",
      "--log-file=stdout",
      "--simple-log",
      "--verbose",
      "--pidfile=/dev/null",
      "-n",
    ];
    turn.child = start(command, flags, marked());
    for (const stream of [turn.child.stdout, turn.child.stderr])
      stream.on("data", (text) => turn.log.push(...String(text).trimEnd().split("\n")));
    turn.ended = new Promise((done) => turn.child.once("exit", done));
    try {
      await until(
        "coturn to listen",
        () => turn.log.some((line) => line.includes("admin thread")),
        30_000,
      );
    } catch (error) {
      await turn.end();
      throw new Error(`${error.message}\n${turn.log.slice(-20).join("\n")}`);
    }
    return turn;
  }

  log = [];

  constructor(port) {
    this.port = port;
    this.url = `turn:127.0.0.1:${port}?transport=udp`;
  }

  async end() {
    kill(this.child.pid);
    await this.ended;
  }
}
