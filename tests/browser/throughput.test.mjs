// At full speed every message arrives once and in order. scripts/throughput measures the speed.
import { Contest, contenders } from "./support/contest.mjs";
import { scenario } from "./support/scenario.mjs";

scenario(
  "many messages at once arrive once and in order, here and with stock PeerJS",
  async (world) => {
    const browsers = [];
    for (let i = 0; i < 3; i++) browsers.push(await world.browser());
    for (const contender of contenders.slice(0, 2)) {
      const contest = await Contest.gather(world, contender, browsers);
      for (const hostSends of [false, true]) {
        const rate = await contest.run({ hostSends, inFlight: 64, forMs: 500, warmMs: 0 });
        world.note(
          `${contender}, ${hostSends ? "the host" : "a member"} sends: ${Math.round(rate)}/s`,
        );
      }
      await contest.end();
    }
  },
);
