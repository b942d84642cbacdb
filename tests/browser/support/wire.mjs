// A page's own network, as bad as people's networks are, without privileges: a TCP proxy between its browser and the
// server, and a UDP proxy between its browser and coturn. Both share the bandwidth of the page.
import { Lane } from "./wire/lane.mjs";
import { seeded } from "./wire/random.mjs";
import { TcpWire } from "./wire/tcp.mjs";
import { UdpWire } from "./wire/udp.mjs";

const now = () => performance.now();

/**
 * The conditions of a wire on which a message from one page to another and its answer take `rttMs`. The message passes
 * two wires each way, the sender's and the receiver's. `loss` is the share of packets lost in each pass.
 */
export function rough({ rttMs, loss = 0, bitsPerS = Infinity }) {
  const delayMs = rttMs / 4;
  return { delayMs, jitterMs: delayMs / 5, loss, bytesPerS: bitsPerS / 8 };
}

export class Wire {
  /** `server` and `turn` are the ports of both on this machine, `seed` any text. Without `turn` it has no UDP half. */
  static async start({ server, turn, conditions, seed = "" }) {
    const lanes = {
      up: new Lane(seeded(`${seed} up`), conditions),
      down: new Lane(seeded(`${seed} down`), conditions),
    };
    const [tcp, udp] = await Promise.all([
      TcpWire.start(server, lanes),
      turn && UdpWire.start(turn, lanes),
    ]);
    return new Wire(lanes, tcp, udp);
  }

  constructor(lanes, tcp, udp) {
    Object.assign(this, { lanes, tcp, udp });
  }

  /** The server's address over this wire. */
  get url() {
    return `http://127.0.0.1:${this.tcp.port}`;
  }

  /** coturn's address over this wire. */
  get turnUrl() {
    return `turn:127.0.0.1:${this.udp.port}?transport=udp`;
  }

  /** Changes what is sent from now on. */
  set(conditions) {
    this.#lanes((lane) => lane.set(conditions));
  }

  /** Nothing passes for so long: packets are lost, streams wait. */
  blackout(ms) {
    this.#lanes((lane) => lane.darken(now() + ms));
  }

  /** Nothing passes any more, and nobody is told: no FIN, no reset. */
  stall() {
    this.blackout(Infinity);
  }

  /** After `blackout` or `stall`: all passes again. */
  resume() {
    this.#lanes((lane) => lane.darken(-Infinity));
  }

  /** Both ends of every TCP connection see a reset. */
  cut() {
    this.tcp.cut();
  }

  #lanes(change) {
    change(this.lanes.up);
    change(this.lanes.down);
    this.tcp.changed();
  }

  end() {
    return (this.ending ??= Promise.all([this.tcp.end(), this.udp?.end()]));
  }
}
