// Paths to members: which one is used, and what the page is told of it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Links } from "../src/group/links.ts";
import { Paths } from "../src/group/paths.ts";
import { Step } from "../src/group/step.ts";

const SILENT_MS = 2500;

function withPaths() {
  const links = new Links(SILENT_MS);
  const step = new Step();
  const paths = new Paths(links, step);
  const bye = { t: "bye", e: 1 } as const;
  /** Sends a message, and returns the path that it took. */
  const send = (): string => {
    if (!paths.transmit("b", bye)) return "none";
    const [effect] = step.end();
    return effect?.type === "transmit" ? effect.via : assert.fail("nothing was sent");
  };
  return { links, paths, send, step };
}

test("a good data channel is used, then the relay, then a silent data channel", () => {
  const { links, send, step } = withPaths();
  assert.equal(send(), "none");
  links.opened("b", 0);
  assert.equal(send(), "p2p");
  step.begin(SILENT_MS + 1);
  links.relay = true;
  assert.equal(send(), "relay");
  links.relay = false;
  assert.equal(send(), "p2p");
});

test("the page is told a path when it changes, and again when the member is back", () => {
  const { links, paths, step } = withPaths();
  const told = (): unknown[] =>
    step.end().flatMap(({ type, ...rest }) => (type === "notice" ? [rest] : []));
  links.relay = true;
  paths.report("b");
  paths.report("b");
  assert.deepEqual(told(), [{ notice: { kind: "link", id: "b", path: "relay" } }]);
  paths.forgetAllBut("c");
  paths.report("b");
  assert.equal(told().length, 1);
});
