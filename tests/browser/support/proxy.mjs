// A wire between browser and server that can be cut: no close frame, as when a network goes.
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
  /** While set, nobody gets through: as a browser that holds back its dials. */
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
      () => this.nears.delete(near) && this.fars.has(far) && !near.strayed && far.destroy(),
    );
    far.on("close", () => this.fars.delete(far) && near.destroy());
  }

  /** Nothing passes until `up`. */
  down() {
    this.isDown = true;
    this.cut();
  }

  up() {
    this.isDown = false;
  }

  /** Both sides see the end of it. */
  cut() {
    for (const end of [...this.nears, ...this.fars]) end.destroy();
  }

  /** Only the browser sees it: to the server the old connection is still there, and silent. */
  stray() {
    for (const end of this.nears) {
      end.strayed = true;
      end.destroy();
    }
  }

  end() {
    this.cut();
    return new Promise((done) => this.server.close(done));
  }
}
