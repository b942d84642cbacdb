// One DataConnection, with what PeerJS leaves to its user: a limit on dialling, a queue until it is open, and a
// heartbeat, because Chrome tells nobody that the other side has stopped.
import type { DataConnection } from "peerjs";
import { speechIn, type Speech } from "./speech.ts";

/** ICE through a TURN server takes a few seconds; beyond this nobody answers. */
const OPEN_MS = 10_000;
const BEAT_MS = 2_000;
const SILENT_MS = 8_000;

export type LinkState = "opening" | "open" | "closed";

export type LinkEvents = {
  opened?(): void;
  heard?(said: Speech): void;
  /** Once, whoever closed it and however it ended. */
  closed?(why: "closed" | "unanswered" | "silent"): void;
  /** A round trip was measured. */
  beat?(): void;
};

export class Link {
  readonly id: string;
  state: LinkState = "opening";
  /** The last round trip, once there was one. */
  rttMs: number | undefined;

  private queue: Speech[] = [];
  private deadline: ReturnType<typeof setTimeout>;
  private pulse: ReturnType<typeof setInterval> | undefined;
  private heardAt = 0;

  /** The side that dialled keeps the heartbeat (`beats`), the other one answers it. */
  constructor(
    private readonly connection: DataConnection,
    private readonly events: LinkEvents,
    private readonly beats: boolean,
  ) {
    this.id = connection.peer;
    this.deadline = setTimeout(() => this.end("unanswered"), OPEN_MS);
    connection.on("open", () => this.opened());
    connection.on("data", (data) => this.heard(data));
    connection.on("close", () => this.end("closed"));
    connection.on("error", () => this.end("closed"));
  }

  send(said: Speech): void {
    if (this.state === "open") void this.connection.send(said);
    else if (this.state === "opening") this.queue.push(said);
  }

  close(): void {
    this.end("closed");
  }

  private opened(): void {
    if (this.state !== "opening") return;
    clearTimeout(this.deadline);
    this.state = "open";
    for (const said of this.queue.splice(0)) this.send(said);
    if (this.beats) this.startBeating();
    this.events.opened?.();
  }

  private heard(data: unknown): void {
    if (this.state !== "open") return; // a closed link must stay silent, even if its backlog thaws
    this.heardAt = performance.now();
    const said = speechIn(data);
    if (said?.type === "ping") this.send({ type: "pong", at: said.at });
    else if (said?.type === "pong") {
      this.rttMs = performance.now() - said.at;
      this.events.beat?.();
    } else if (said) this.events.heard?.(said);
  }

  private startBeating(): void {
    this.heardAt = performance.now();
    const beat = () => this.send({ type: "ping", at: performance.now() });
    let lastTick = performance.now();
    this.pulse = setInterval(() => {
      const now = performance.now();
      // A page that slept itself has heard nothing either: give the other side a chance first.
      if (now - lastTick > SILENT_MS) this.heardAt = now;
      lastTick = now;
      if (now - this.heardAt > SILENT_MS) this.end("silent");
      else beat();
    }, BEAT_MS);
    beat();
  }

  private end(why: "closed" | "unanswered" | "silent"): void {
    if (this.state === "closed") return;
    this.state = "closed";
    clearTimeout(this.deadline);
    clearInterval(this.pulse);
    this.queue = [];
    this.connection.close();
    this.events.closed?.(why);
  }
}
