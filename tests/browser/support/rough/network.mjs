// What the members of a page on rough wires share: a TURN server, and for each member a wire of its own to it and to the
// server. All data between browsers goes over TURN.
import { createHmac } from "node:crypto";
import { rough } from "../wire.mjs";

const SECRET = "north";
/** Longer than any run. */
const LASTS_S = 86_400;

/** What `ice.turn_secret` makes the server tell its members, for one whose TURN server has an address of its own. */
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

  /** Returns a wire to the server at this port, and what makes a browser use its TURN half for all data. */
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

  /** Changes the round trip, the losses or the bandwidth for everybody. */
  set({ rtt = this.rtt, loss = this.loss, bitsPerS = this.#bitsPerS }) {
    [this.rtt, this.loss, this.#bitsPerS] = [rtt, loss, bitsPerS];
    for (const wire of this.#wires) wire.set(this.conditions);
  }

  blackout(ms) {
    for (const wire of this.#wires) wire.blackout(ms);
  }
}
