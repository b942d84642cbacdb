// The network of a page on rough wires: one TURN server, and one wire for each member to the TURN
// server and to peerstar. All data between browsers passes the TURN server.
import { createHmac } from "node:crypto";
import { rough } from "../wire.mjs";

const SECRET = "north";
/** Lifetime of the credentials. Longer than any run. */
const LASTS_S = 86_400;

/**
 * Returns TURN credentials as the server makes them from `ice.turn_secret`. Each member has its own
 * TURN address.
 */
function credentials(name) {
  const username = `${Math.floor(Date.now() / 1000) + LASTS_S}:${name}`;
  return { username, credential: createHmac("sha1", SECRET).update(username).digest("base64") };
}

export class Network {
  static async start(world, { rtt, loss, seed }) {
    return new Network(world, await world.turn(SECRET), { rtt, loss, seed });
  }

  #wires = new Set();
  #bitsPerS = Infinity;

  constructor(world, turn, conditions) {
    Object.assign(this, { world, turn }, conditions);
  }

  get conditions() {
    return rough({ rttMs: this.rtt, loss: this.loss / 100, bitsPerS: this.#bitsPerS });
  }

  /**
   * Returns a wire to the server at `port`, and the WebRTC configuration that sends all data over
   * its TURN half.
   */
  async wire(port, name) {
    const wire = await this.world.wire({
      server: port,
      turn: this.turn.port,
      conditions: this.conditions,
      seed: `${this.seed} ${name}`,
    });
    this.#wires.add(wire);
    const rtc = {
      iceServers: [{ urls: [wire.turnUrl], ...credentials(name) }],
      iceTransportPolicy: "relay",
    };
    return { wire, rtc };
  }

  async end(wire) {
    this.#wires.delete(wire);
    await wire.end();
  }

  /** Changes the round trip, the losses or the bandwidth of all wires. */
  set({ rtt = this.rtt, loss = this.loss, bitsPerS = this.#bitsPerS }) {
    [this.rtt, this.loss, this.#bitsPerS] = [rtt, loss, bitsPerS];
    for (const wire of this.#wires) wire.set(this.conditions);
  }

  blackout(ms) {
    for (const wire of this.#wires) wire.blackout(ms);
  }
}
