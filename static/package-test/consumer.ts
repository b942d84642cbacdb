// Code of a page with a bundler. It is only compiled, never run.
import {
  PageGroup,
  PeerstarError,
  type Channel,
  type GroupTypes,
  type LostMessage,
  type MessageInfo,
  type PageGroupEvents,
  type PageGroupOptions,
  type PeerstarErrorCode,
  type RestoreInfo,
} from "peerstar";

const options: PageGroupOptions = {
  page: "https://example.org/board",
  server: "https://peers.example.org/",
  key: "peerjs",
  profile: { name: "Ann" },
  debug: true,
  p2p: true,
  ticket: async () => (await fetch("/ticket")).text(),
  rtc: { iceTransportPolicy: "relay" },
};
const group = new PageGroup(options);
const lines: string[] = [];

group.onSnapshot = () => lines;
group.onRestore = (state) => void lines.splice(0, Infinity, ...(state as string[]));
group.onRestore = (state, { reason, lost, lostMore }: RestoreInfo) =>
  console.log(state, reason === "replaced", lost.length, lostMore);
group.on("recovered", ({ complete, via, awayMs, reason, lost }) => {
  const again = (message: LostMessage): unknown => message.mine && group.send(message.data);
  console.log(
    complete,
    via,
    awayMs,
    reason,
    lost.map(again),
    lost[0]?.from,
    lost[0]?.seq,
    lost[0]?.epoch,
  );
});
group.on("message", (data: unknown, { from, seq, epoch }: MessageInfo) =>
  lines.push(`${from} ${seq} ${epoch} ${String(data)}`),
);
group.on("member", ({ kind, id, profile }) =>
  console.log(kind === "join" ? "came" : "left", id, profile),
);
group.on("profile", ({ id, profile }) => console.log(id, profile, group.profileOf(id)));
group.on("status", ({ state, server }) => console.log(state === "open" && !server));
group.on("error", (error) => {
  const code: PeerstarErrorCode = error.code;
  console.log(error instanceof PeerstarError, code, error.message);
});
const told = ({ host, tookMs }: PageGroupEvents["host"][0]): void =>
  console.log(host, tookMs.toFixed(0));
group.on("host", told).off("host", told);
group.profile = { name: "Anne" };
await group.send(new Uint8Array(3));
group.peer
  .call(group.members[0] ?? group.id, new MediaStream())
  .on("stream", (stream) => console.log(stream.id));
group.resign();
group.leave();

const joined = await group.opened;
console.log(joined.first, joined.host);
const controller = new AbortController();
group.on("host", told, { signal: controller.signal, once: true });
const stable: readonly string[] = group.members;
const ended: Promise<void> = group.leave();
console.log(stable, ended);

// Channels have types of their own.
const board: Channel<{ message: { readonly x: number } }> = group.channel("board");
board.on("message", ({ x }, { from, seq }) => console.log(x.toFixed(1), from, seq), { once: true });
board.on("member", ({ id }) => console.log(id));
board.onSnapshot = () => [];
board.onRestore = (state, { lost }) => console.log(state, lost[0]?.data.x);
await board.send({ x: 1 });
const texts2: Channel<{ message: string }> = new PageGroup<{ message: string }>();
console.log(group.channel("plain").name, texts2.name);
// @ts-expect-error a message of this channel has an x
await board.send({ y: 1 });

// @ts-expect-error there is no such event
group.on("nonsense", () => {});
// @ts-expect-error there is no such option
new PageGroup({ pages: "" });

// A group with types: messages and profiles are checked.
interface Chat extends GroupTypes {
  message: { readonly text: string };
  profile: { readonly name: string };
}
const chat = new PageGroup<Chat>({ profile: { name: "Ann" } });
chat.on("message", ({ text }, { from }) => console.log(from, text.toUpperCase()));
chat.on("member", ({ id, profile }) => console.log(id, profile?.name.length));
chat.on("profile", ({ profile }) => console.log(profile?.name));
chat.on("recovered", ({ lost }) => lost.filter(({ mine }) => mine).map(({ data }) => data.text));
chat.onRestore = (state, { lost }) => console.log(state, lost[0]?.data.text);
await chat.send({ text: "hello" });
chat.profile = { name: "Anne" };
console.log(chat.profile?.name, chat.profileOf(chat.id)?.name);
const both: PageGroup<Chat>[] = [chat, new PageGroup<Chat>()];
// biome-ignore lint/complexity/noBannedTypes: an app may write it so
const plain: PageGroup<{}> = group;
const texts = new PageGroup<{ message: string }>();
texts.on("message", (text) => lines.push(text.trim()));
texts.profile = { anything: "JSON" };
console.log(both.length, plain.id);

// @ts-expect-error a message of this group has a text
await chat.send({ words: "hello" });
// @ts-expect-error a profile of this group has a name
chat.profile = {};
// @ts-expect-error the same in the options
new PageGroup<Chat>({ profile: { name: 1 } });
// @ts-expect-error a message of this group has no words
chat.on("message", ({ words }) => console.log(words));
// @ts-expect-error without types a message is unknown
group.on("message", (data) => data.text);
