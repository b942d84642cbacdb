// The UDP half of a page's wire: a proxy before coturn. Each socket of the browser has its own
// socket behind the wire, so coturn tells them apart by port.
import { createSocket } from "node:dgram";

/** Bytes of an IPv4 and a UDP header, which count against the bandwidth. */
const HEADERS = 28;

const now = () => performance.now();

export class UdpWire {
  static start(target, lanes) {
    return new Promise((done, fail) => {
      const wire = new UdpWire(target, lanes);
      wire.near.once("error", fail).bind(0, "127.0.0.1", () => done(wire));
    });
  }

  near = createSocket("udp4");
  /** Sockets towards coturn, by the address and port of the browser's socket. */
  fars = new Map();

  constructor(target, { up, down }) {
    Object.assign(this, { target, up, down });
    this.near.on("message", (packet, { address, port }) =>
      pass(up, packet, this.#far(address, port)),
    );
  }

  get port() {
    return this.near.address().port;
  }

  /**
   * Returns the function that sends to coturn for one socket of the browser. Firefox also uses
   * sockets on the machine's other addresses.
   */
  #far(address, port) {
    const name = `${address} ${port}`;
    const known = this.fars.get(name);
    if (known) return known.send;
    const socket = createSocket("udp4");
    const waiting = [];
    const far = { socket, send: (packet) => waiting.push(packet) };
    this.fars.set(name, far);
    socket.on("error", () => {}); // the port is closed, so the packet is lost
    socket.on("message", (packet) =>
      pass(this.down, packet, (packet) => this.ended || this.near.send(packet, port, address)),
    );
    socket.connect(this.target, "127.0.0.1", () => {
      far.send = (packet) => this.ended || socket.send(packet);
      for (const packet of waiting) far.send(packet);
    });
    return (packet) => far.send(packet);
  }

  end() {
    this.ended = true;
    for (const { socket } of this.fars.values()) socket.close();
    return new Promise((done) => this.near.close(done));
  }
}

function pass(lane, packet, send) {
  const sent = now();
  const arrives = lane.packet(packet.length + HEADERS, sent);
  if (arrives === undefined) return;
  if (arrives <= sent) send(packet);
  else setTimeout(send, arrives - sent, packet);
}
