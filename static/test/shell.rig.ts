// A shell over a fake browser and a fake page, for the tests of the shell.

import { Shell } from "../src/shell.ts";
import type { Ticket } from "../src/ticket.ts";
import { FakeEnv, FakeLink, FakePage } from "./rig.ts";

export interface RigOptions {
  profile?: unknown;
  ticket?: Ticket;
  p2p?: boolean;
  /** Whether PeerJS opens the connections that are dialled. */
  dials?: boolean;
}

export function rig({ profile, ticket, p2p = true, dials = false }: RigOptions = {}) {
  const env = new FakeEnv();
  // A host that is alone asks the server before it delivers anything.
  env.alive = true;
  const page = new FakePage();
  page.dials = dials;
  const lines: string[] = [];
  const shell = new Shell(env, { id: "me", counted: 1000, profile, ticket, p2p }, page, (line) =>
    lines.push(line()),
  );
  shell.start();
  const alone = {
    host: "me",
    epoch: 5,
    members: 1,
    roster: [{ id: "me", group: 2 }],
    p2p: true,
    relay: { maxMessageBytes: 65_536, maxBytesPerS: 0 },
    resumeMs: 30_000,
    pingMs: 5000,
  };
  const link = (id: string): FakeLink => {
    const made = new FakeLink(id, `dc_${id}`);
    shell.accept(made);
    made.opens();
    return made;
  };
  const sent = (type: string): unknown[] =>
    env.last.sent
      .map((text) => JSON.parse(text) as { type: string; payload: unknown })
      .filter((m) => m.type === type)
      .map(({ payload }) => payload);
  const { story, claims, signals, ices, dialled, errors: words, ids: names } = page;
  return {
    env,
    shell,
    page,
    story,
    claims,
    signals,
    words,
    ices,
    names,
    lines,
    dialled,
    alone,
    link,
    sent,
  };
}
