// Five members, each saying twenty things a second, while hosts die: nothing is lost, repeated or reordered.
import { Crowd, kinds, modes } from "./support/group.mjs";
import { scenario } from "./support/scenario.mjs";

for (const mode of Object.keys(modes)) {
  scenario(`hosts die in every way, ${mode}`, async (world) => {
    const crowd = await Crowd.gather(world, { mode });
    for (const kind of kinds) {
      const { first, last } = await crowd.death(kind);
      const { messages } = await crowd.compare();
      world.note(`${kind}: ${Math.round(first)}–${Math.round(last)} ms, ${messages} messages`);
    }
  }, 180_000);
}
