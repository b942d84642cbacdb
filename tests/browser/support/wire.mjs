// A page's own network, as bad as people's networks, without privileges. A TCP proxy stands between
// its browser and the server, a UDP proxy between its browser and coturn. Both share the page's
// bandwidth.
import { Lane } from "./wire/lane.mjs";
import { seeded } from "./wire/random.mjs";
import { TcpWire } from "./wire/tcp.mjs";
import { UdpWire } from "./wire/udp.mjs";

const now = () => performance.now();

/**
 * Returns the conditions of wires on which a message from page to page and its answer take `rttMs`
 * together. Each way passes two wires, the sender's and the receiver's. `loss` is the share of
 * packets lost in each pass.
 */
export function rough({ rttMs, loss = 0, bitsPerS = Infinity }) {
  const delayMs = rttMs / 4;
  return { delayMs, jitterMs: delayMs / 5, loss, bytesPerS: bitsPerS / 8 };
}

export class Wire {
  /**
   * `server` and `turn` are ports on this machine, `seed` is any text. Without `turn` the wire has
   * no UDP half.
   */
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

  /** Address of the server over this wire. */
  get url() {
    return `http://127.0.0.1:${this.tcp.port}`;
  }

  /** Address of coturn over this wire. */
  get turnUrl() {
    return `turn:127.0.0.1:${this.udp.port}?transport=udp`;
  }

  /** Changes the conditions for everything sent from now on. */
  set(conditions) {
    this.#lanes((lane) => lane.set(conditions));
  }

  /** Lets nothing pass for `ms`. Packets are lost, streams wait. */
  blackout(ms) {
    this.#lanes((lane) => lane.darken(now() + ms));
  }

  /** Lets nothing pass any more. Neither side sees a FIN or a reset. */
  stall() {
    this.blackout(Infinity);
  }

  /** Ends a `blackout` or `stall`. */
  resume() {
    this.#lanes((lane) => lane.darken(-Infinity));
  }

  /** Resets every TCP connection at both ends. */
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
