// Tests the channels of a page: their messages beside those of the group itself.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LocalChannel } from "../src/channels/channel.ts";
import { rig } from "./shell.rig.ts";

/** Opens a channel and notes its messages. */
function listen({ shell }: ReturnType<typeof rig>, name: string) {
  const app = new LocalChannel();
  const heard: unknown[] = [];
  app.events.on("message", (data, { from, seq }) => heard.push([data, from, seq]));
  shell.openChannel(name, app);
  return { app, heard };
}

test("a channel hears its own messages only, in the one order of the group", async () => {
  const made = rig();
  const { env, shell, story, alone } = made;
  const [chat, board] = [listen(made, "chat"), listen(made, "board")];
  env.last.says({ type: "OPEN", payload: alone });
  await env.settle();
  await Promise.all([
    shell.send("chat", "a"),
    shell.send("", "b"),
    shell.send("board", new Uint8Array([1])),
    shell.send("chat", "c"),
    shell.send("nobody opened this", "d"),
    env.settle(),
  ]);
  const first = (chat.heard[0] as [unknown, string, number])[2];
  assert.deepEqual(chat.heard, [
    ["a", "me", first],
    ["c", "me", first + 3],
  ]);
  assert.deepEqual(board.heard, [[new Uint8Array([1]), "me", first + 2]]);
  assert.deepEqual(
    story.filter((line) => line.startsWith("me: ")).length,
    1,
    "only the group's own message",
  );
});
