// Five members, each saying twenty things a second, while nine hosts die: nothing is lost, repeated or reordered.
import { Crowd, kinds, modes } from "./support/group.mjs";
import { scenario } from "./support/scenario.mjs";

const nine = [...kinds, "killed", "closed", "resigned"];

for (const mode of Object.keys(modes)) {
  scenario(`hosts die in every way, ${mode}`, async (world) => {
    const crowd = await Crowd.gather(world, { mode });
    for (const kind of nine) {
      const took = await crowd.death(kind);
      const { messages } = await crowd.compare();
      world.note(`${kind}: ${Math.round(Math.min(...took))}–${Math.round(Math.max(...took))} ms, ${messages} messages`);
    }
  }, 240_000);
}
