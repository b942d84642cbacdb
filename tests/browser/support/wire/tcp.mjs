// The TCP half of a page's wire: stands before the server. A stream is cut into segments, which arrive in order and one
// by one; its end and a reset arrive in their place. What a reader does not take makes the writer wait.
import { connect, createServer } from "node:net";

/** What an Ethernet frame holds of a stream. */
const SEGMENT = 1_460;
/** An IPv4 and a TCP header. */
const HEADERS = 40;
/** What one direction of a connection holds before it reads no more. Beyond that the kernel's own buffers fill. */
const HOLDS = 256 << 10;

const now = () => performance.now();

export class TcpWire {
  static start(target, lanes) {
    return new Promise((done, fail) => {
      const wire = new TcpWire(target, lanes);
      wire.server.once("error", fail).listen(0, "127.0.0.1", () => done(wire));
    });
  }

  connections = new Set();

  constructor(target, lanes) {
    Object.assign(this, { target, lanes });
    // The default of `noDelay: false` would have Nagle's algorithm wait for acknowledgements that loopback delays.
    this.server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => this.#join(near));
  }

  get port() {
    return this.server.address().port;
  }

  #join(near) {
    const connection = new Connection(near, this.target, this.lanes);
    this.connections.add(connection);
    connection.ended.then(() => this.connections.delete(connection));
  }

  /** The lanes' conditions are others: what waited for the old ones looks again. */
  changed() {
    for (const { up, down } of this.connections) {
      up.pump();
      down.pump();
    }
  }

  /** Both ends of each connection see a reset, at once. */
  cut() {
    for (const connection of this.connections) connection.reset();
  }

  end() {
    this.cut();
    return new Promise((done) => this.server.close(done));
  }
}

class Connection {
  constructor(near, target, { up, down }) {
    const far = connect({ port: target, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    Object.assign(this, {
      near,
      far,
      up: new Stream(near, far, up),
      down: new Stream(far, near, down),
    });
    // Over a real network the first bytes leave when the handshake is back.
    this.up.hold(2 * up.conditions.delayMs);
    this.ended = Promise.all(
      [near, far].map((end) => new Promise((done) => end.once("close", done))),
    ).then(() => {
      this.up.stop();
      this.down.stop();
    });
  }

  reset() {
    reset(this.near);
    reset(this.far);
  }
}

/** libuv refuses to reset a socket that is being shut down, and would never close it. */
function reset(socket) {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

const END = Symbol("end");
const RESET = Symbol("reset");

/** One direction of a connection. */
class Stream {
  /** Not yet on the lane: segments, END or RESET. */
  #waiting = [];
  /** Under way: `[what, when it arrives]`, in order. */
  #flying = [];
  #holds = 0;
  #arrivesLast = -Infinity;
  #pumpTimer;
  #landTimer;
  #blocked = false;

  constructor(from, to, lane) {
    Object.assign(this, { from, to, lane });
    from.on("data", (data) => this.#read(data));
    from.on("end", () => this.#put(END));
    from.on("error", () => this.#put(RESET));
    to.on("drain", () => {
      this.#blocked = false;
      this.#land();
    });
  }

  /** Nothing arrives for so long. */
  hold(ms) {
    this.#arrivesLast = now() + ms;
  }

  #read(data) {
    for (let at = 0; at < data.length; at += SEGMENT)
      this.#waiting.push(data.subarray(at, at + SEGMENT));
    this.#holds += data.length;
    if (this.#holds > HOLDS) this.from.pause();
    this.pump();
  }

  #put(mark) {
    this.#waiting.push(mark);
    this.pump();
  }

  /** Puts on the lane what it takes. */
  pump() {
    clearTimeout(this.#pumpTimer);
    while (this.#waiting.length > 0) {
      const at = now();
      const ready = this.lane.readyAt(at);
      if (ready > at) {
        if (ready < Infinity)
          this.#pumpTimer = setTimeout(() => this.pump(), Math.ceil(ready - at));
        return;
      }
      const what = this.#waiting.shift();
      this.#arrivesLast = Math.max(
        this.#arrivesLast,
        this.lane.segment((what.length ?? 0) + HEADERS, at),
      );
      this.#flying.push([what, this.#arrivesLast]);
    }
    this.#land();
  }

  /** Hands over what has arrived. */
  #land() {
    clearTimeout(this.#landTimer);
    while (this.#flying.length > 0 && !this.#blocked) {
      const [what, arrives] = this.#flying[0];
      const wait = arrives - now();
      if (wait > 0) return void (this.#landTimer = setTimeout(() => this.#land(), wait));
      this.#flying.shift();
      this.#deliver(what);
    }
  }

  #deliver(what) {
    if (this.to.destroyed) return;
    if (what === END) return void this.to.end();
    if (what === RESET) return reset(this.to);
    this.#blocked = !this.to.write(what);
    this.#holds -= what.length;
    if (this.#holds <= HOLDS / 2 && this.from.isPaused()) this.from.resume();
  }

  get holds() {
    return this.#holds;
  }

  stop() {
    clearTimeout(this.#pumpTimer);
    clearTimeout(this.#landTimer);
  }
}
