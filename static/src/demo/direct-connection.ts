// Opens a plain PeerJS connection to one member by its id, to show that PeerJS still works beside
// the group.
import type { DataConnection } from "peerjs";
import { need, onSubmit, put } from "./dom.ts";
import { nameIn } from "./model/read.ts";
import type { People } from "./people.ts";

export type Dialler = {
  connect(
    id: string,
    options: { label: string; reliable: boolean; serialization: string },
  ): DataConnection | undefined;
  on(event: "connection", then: (connection: DataConnection) => void): unknown;
};

const LABEL = "hello";
const ANSWER_MS = 8000;

export class DirectConnection {
  private open: DataConnection | undefined;

  constructor(
    private readonly peer: Dialler,
    me: string,
    private readonly members: () => readonly string[],
    private readonly people: People,
    say: (text: string) => void,
  ) {
    put("my-id", me);
    need("copy").addEventListener("click", () => void copy(me));
    onSubmit("hand-form", "hand-id", (text) => this.dial(text));
    peer.on("connection", (connection) => {
      if (connection.label !== LABEL) return;
      connection.on("data", (data) => {
        const words = `${people.nameOf(connection.peer)} says “${nameIn(data, 60) ?? "…"}” over a connection of your own.`;
        put("hand-result", words);
        // The element above may be folded up, so the text is shown under the board as well.
        say(words);
      });
    });
  }

  private dial(text: string): void {
    const known = this.members().filter((id) => id.startsWith(text));
    const [id] = known;
    if (known.length > 1 && id !== text)
      return put("hand-result", "More than one id here begins like this.");
    if (id === undefined) return put("hand-result", "Nobody here has that id.");
    this.open?.close();
    put("hand-result", `Connecting to ${this.people.nameOf(id)}…`);
    const connection = this.peer.connect(id, {
      label: LABEL,
      reliable: true,
      serialization: "json",
    });
    if (!connection) return put("hand-result", "The server is out of reach just now.");
    this.open = connection;
    // PeerJS itself has no timeout.
    const timer = setTimeout(
      () =>
        connection === this.open &&
        put("hand-result", `${this.people.nameOf(id)} does not answer.`),
      ANSWER_MS,
    );
    connection.on("open", () => {
      clearTimeout(timer);
      put("hand-result", `Connected to ${this.people.nameOf(id)}, and said hello.`);
      void connection.send("hello");
    });
  }
}

/**
 * Copies the id. Without https there is no clipboard: then the id is selected, so that a person can
 * copy it.
 */
async function copy(id: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(id);
    put("copy-word", "Copied");
  } catch {
    getSelection()?.selectAllChildren(need("my-id"));
    put("copy-word", "Selected");
  }
  setTimeout(() => put("copy-word", "Copy"), 1500);
}
