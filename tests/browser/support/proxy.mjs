// A TCP proxy between browser and server that can be cut without a close frame, like a failing
// network.
import { connect, createServer } from "node:net";

export class TcpProxy {
  static start(port) {
    return new Promise((done) => {
      const proxy = new TcpProxy();
      proxy.server = createServer((near) => proxy.join(near, connect(port, "127.0.0.1")));
      proxy.server.listen(0, "127.0.0.1", () => done(proxy));
    });
  }

  isDown = false;
  nears = new Set();
  fars = new Set();
  /** Whether new connections are refused, as if the browser held its dials back. */
  held = false;

  get port() {
    return this.server.address().port;
  }

  join(near, far) {
    if (this.held || this.isDown) {
      near.on("error", () => {}).destroy();
      far.on("error", () => {}).destroy();
      return;
    }
    this.nears.add(near);
    this.fars.add(far);
    near.on("error", () => {}).on("data", (data) => far.write(data));
    far.on("error", () => {}).on("data", (data) => near.write(data));
    near.on(
      "close",
      () => this.nears.delete(near) && this.fars.has(far) && !near.isCut && far.destroy(),
    );
    far.on("close", () => this.fars.delete(far) && near.destroy());
  }

  /** Cuts all connections and refuses new ones until `up`. */
  down() {
    this.isDown = true;
    this.cut();
  }

  up() {
    this.isDown = false;
  }

  /** Ends all connections. Both sides see the end. */
  cut() {
    for (const end of [...this.nears, ...this.fars]) end.destroy();
  }

  /**
   * Ends all connections for the browser only. The server still holds them open, and they stay
   * silent.
   */
  cutBrowserSide() {
    for (const end of this.nears) {
      end.isCut = true;
      end.destroy();
    }
  }

  end() {
    this.cut();
    return new Promise((done) => this.server.close(done));
  }
}
