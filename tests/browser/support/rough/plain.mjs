// The simplest star on stock PeerJS (support/plain.mjs) on the same rough wires, as far as it can be compared: while its
// hosts die.
import { PlainCrowd } from "../plain.mjs";
import { pace } from "./matrix.mjs";
import { Network } from "./network.mjs";

const TOGETHER_MS = 45_000;
const TRIES = 3;
/** In that time every link of the star is up again, so that what is lost is lost by the next host's death alone. */
const TALK_MS = 1_000;

const kinds = {
  killed: "killed",
  closed: "closed",
  navigated: "navigated",
  frozen: "stopped",
  gone: "gone",
};

class Star extends PlainCrowd {
  async place(name) {
    const { wire, rtc } = await this.network.wire(this.server.port, name);
    return { peerOptions: { ...this.server.peerOptions, port: wire.tcp.port, config: rtc }, wire };
  }

  /** A page that gave its host up too early gets another chance, as by people who reload. */
  async settled() {
    for (let tries = 1; ; tries++) {
      try {
        return await super.settled(TOGETHER_MS / TRIES);
      } catch (error) {
        if (tries === TRIES) throw error;
      }
    }
  }

  async die(kind, host) {
    if (kind === "gone") host.wire.stall();
    else await super.die(kind, host);
  }
}

export class PlainRough {
  /** Stock PeerJS has no relay: one of the two ways is enough. */
  static knows = ({ relay, event }) => relay === "allowed" && event in kinds;

  static async start(world, { rtt, loss, seed, everyMs }) {
    const [network, server, site] = await Promise.all([
      Network.start(world, { rtt, loss, seed }),
      world.plainServer(),
      world.site(),
    ]);
    const star = Object.assign(new Star(world, server, site, everyMs ?? pace(network.conditions)), {
      network,
    });
    return new PlainRough(star);
  }

  constructor(star) {
    this.star = star;
  }

  async gather(count = 5) {
    return failing(async () => {
      for (let i = 0; i < count; i++) await this.star.add(await this.star.world.browser());
      await this.star.settled();
      return {};
    });
  }

  set(conditions) {
    this.star.network.set(conditions);
  }

  run(event) {
    return failing(async () => {
      await this.star.talk(TALK_MS);
      return this.star.death(kinds[event]);
    });
  }
}

const failing = async (work) => ({
  elections: {},
  ...(await work().catch((error) => ({
    error: error.message.split("\n")[0],
    details: error.stack,
  }))),
});
