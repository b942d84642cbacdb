// What a page with a bundler writes; it need only compile.
import {
  PageGroup,
  PeerstarError,
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

// @ts-expect-error there is no such event
group.on("nonsense", () => {});
// @ts-expect-error nor such an option
new PageGroup({ pages: "" });
