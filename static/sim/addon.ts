// The server's core (src/core) as a Node addon: tests/page-addon, built by `cargo build -p peerstar-page-addon`.

import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { cwd, env, platform } from "node:process";
import type { ServerMessage } from "../src/socket-types.ts";

/** Server's time in ms since its start, its clock in ms since 1970, and a random number of 32 bits. */
export type Moment = readonly [now: number, unixMs: number, random: number];

/** One life of the server's process. Each step returns a {@link Report} as JSON. */
export interface Core {
  connect(...args: [...Moment, dialled: string]): string;
  text(...args: [...Moment, session: number, text: string]): string;
  silence(now: number, session: number): void;
  /** `code` is that of the client's close frame; `null`: none came. */
  closed(...args: [...Moment, session: number, code: number | null]): string;
  timer(...args: Moment): string;
  losePage(...args: Moment): string;
  /** The page is on its own, or is not any more. */
  setAlone(...args: [...Moment, alone: boolean]): string;
  resume(...args: [...Moment, session: number]): string;
}

/** Settings of pages. Durations are in ms of the server's time. */
export interface Rules {
  readonly star: number;
  readonly deputies: number;
  readonly relay: boolean;
  readonly recoveryMs: number;
  readonly timeoutMs: number;
  readonly hostTimeoutMs: number;
  readonly freshMs: number;
  readonly returnMs: number;
  readonly probeMs: number;
  readonly hiddenMs: number;
  readonly resumeMs: number;
  readonly pingMs: number;
}

/** Parameters of a client's URL. */
export interface Dialled {
  readonly session: number;
  readonly id: string;
  readonly token: string;
  readonly group: 0 | 2;
  readonly relay: boolean;
  readonly claim: Assignment | null;
}

/** A host and its epoch. */
export interface Assignment {
  readonly epoch: number;
  readonly host: string;
}

export type Told =
  | { readonly frame: { readonly to: readonly number[]; readonly frame: ServerMessage } }
  | { readonly close: { readonly session: number; readonly code: number; readonly name: string } }
  | { readonly left: { readonly id: string } }
  | { readonly elected: Assignment & { readonly cause: string } }
  | { readonly deputy: { readonly id: string | null } };

/** Results of one step, and how the page stands after it. */
export interface Report {
  readonly told: readonly Told[];
  /** `null`: nobody hosts, or a host is waited for. */
  readonly hosted: Assignment | null;
  readonly recovering: boolean;
  /** When the page wants its timer, in the server's time. */
  readonly deadline: number | null;
  /** An invariant of the page that is broken. */
  readonly violation: string | null;
}

interface Addon {
  readonly Server: new (rules: string, slot?: number) => Core;
}

/** `process.dlopen`, which the types of Node lack. */
interface Dlopen {
  dlopen(module: object, path: string): void;
}

let addon: Addon | undefined;

/**
 * Starts a process of the server, without members. `slot` (0-255) is its share of the epochs, where there are several
 * processes.
 */
export function startCore(rules: Rules, slot?: number): Core {
  addon ??= load();
  return new addon.Server(JSON.stringify(rules), slot);
}

function load(): Addon {
  const path = addonPath();
  if (!existsSync(path))
    throw new Error(
      `${path} is missing: build it with \`cargo build -p peerstar-page-addon\` (\`npm test\` and scripts/sim do)`,
    );
  const module = { exports: {} };
  (process as typeof process & Dlopen).dlopen(module, path);
  return module.exports as Addon;
}

function addonPath(): string {
  const root = findRoot();
  const target = resolve(root, env["CARGO_TARGET_DIR"] ?? "target");
  const suffix = platform === "darwin" ? "dylib" : "so";
  return join(target, "debug", `libpeerstar_page_addon.${suffix}`);
}

/** Returns the project's root. Bundles of the simulation lie anywhere; all of them run below the root. */
function findRoot(): string {
  for (let folder = cwd(); ; folder = dirname(folder)) {
    if (existsSync(join(folder, "tests", "page-addon"))) return folder;
    if (folder === dirname(folder)) throw new Error(`${cwd()} is not in the project's folder`);
  }
}
