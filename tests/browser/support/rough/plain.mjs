// The simplest star on stock PeerJS (support/plain.mjs) on the same rough wires. It is compared in
// the events in which a host dies.
import { PlainCrowd } from "../plain.mjs";
import { pace } from "./matrix.mjs";
import { Network } from "./network.mjs";

const TOGETHER_MS = 45_000;
const TRIES = 3;
/**
 * Talk before a host dies. All links of the star are up by then, so only the host's death loses
 * messages.
 */
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

  /** Tries several times, as people reload a page that gave up its host too early. */
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
  /**
   * Returns whether a cell applies. Stock PeerJS has no relay, so one of the two `relay` values is
   * enough.
   */
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
