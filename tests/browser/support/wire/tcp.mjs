// The TCP half of a page's wire: a proxy before the server. It cuts a stream into segments, which
// arrive one by one and in order. The stream's end or reset arrives in its place. A slow reader
// makes the writer wait.
import { connect, createServer } from "node:net";

/** Bytes of a stream in one Ethernet frame. */
const SEGMENT = 1_460;
/** Bytes of an IPv4 and a TCP header. */
const HEADERS = 40;
/**
 * Bytes that one direction holds before it stops reading. Beyond them the kernel's buffers fill.
 */
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
    // With the default, `noDelay: false`, Nagle's algorithm would wait for acknowledgements that
    // loopback delays.
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

  /** Reschedules the waiting segments after the lanes' conditions have changed. */
  changed() {
    for (const { up, down } of this.connections) {
      up.pump();
      down.pump();
    }
  }

  /** Resets every connection at both ends immediately. */
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
    // On a real network the first bytes leave only after the TCP handshake.
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

/** Resets a socket. libuv cannot reset a socket that is shutting down, so that one is destroyed. */
function reset(socket) {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

const END = Symbol("end");
const RESET = Symbol("reset");

/** One direction of a connection. */
class Stream {
  /** Segments, END or RESET that wait for the lane. */
  #waiting = [];
  /** Items under way as `[item, arrival time]`, in order. */
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

  /** Delays every arrival by at least `ms` from now. */
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

  /** Moves as many items to the lane as it accepts. */
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

  /** Delivers the items that have arrived. */
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
