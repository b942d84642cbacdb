// Five members send 20 messages a second each while hosts die in every way. Nothing may be lost,
// repeated or reordered. The same with Firefox and Chromium together, where each of them is the
// host that dies.
import { Crowd, kinds, modes } from "./support/group.mjs";
import { scenario } from "./support/scenario.mjs";

const nine = [...kinds, "killed", "closed", "resigned"];

async function dies(world, crowd, kind, whose = "") {
  const took = await crowd.death(kind);
  const { messages } = await crowd.compare();
  world.note(
    `${whose}${kind}: ${Math.round(Math.min(...took))}–${Math.round(Math.max(...took))} ms, ${messages} messages`,
  );
}

for (const mode of Object.keys(modes)) {
  scenario(
    `nothing is lost when hosts die in every way, ${mode}`,
    async (world) => {
      const crowd = await Crowd.gather(world, { mode });
      for (const kind of nine) await dies(world, crowd, kind);
    },
    240_000,
  );

  if (mode === "relay only") continue;
  scenario(
    `nothing is lost when a Firefox host dies beside Chromium, ${mode}`,
    async (world) => {
      const crowd = await Crowd.gather(world, {
        mode,
        browsers: ["chromium", "firefox", "firefox"],
      });
      for (const kind of kinds) {
        await crowd.appoint("firefox");
        await dies(world, crowd, kind, "Firefox ");
      }
    },
    240_000,
  );
}
