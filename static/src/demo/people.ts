// The names of members, from their profiles. Names of members that have left are kept.
import { nameIn, record } from "./model/read.ts";

export const MAX_NAME = 24;
/** Maximum number of names that are kept. */
const KEPT = 400;

export class People {
  private readonly names = new Map<string, string>();

  constructor(private readonly me: string) {}

  profile(id: string, profile: unknown): void {
    const name = nameIn(record(profile)["name"], MAX_NAME);
    if (name) this.name(id, name);
  }

  name(id: string, name: string): void {
    this.names.delete(id);
    this.names.set(id, name);
    if (this.names.size > KEPT) this.names.delete(this.names.keys().next().value!);
  }

  /** Returns the name of a member, or the beginning of its id. */
  nameOf(id: string | undefined): string {
    return id === undefined ? "nobody yet" : (this.names.get(id) ?? id.slice(0, 6));
  }

  /** Returns "you" for this member, else the member's name. */
  nameOrYou(id: string | undefined): string {
    return id === this.me ? "you" : this.nameOf(id);
  }
}

/** Returns the name, with a number after it if it is taken. */
export function distinct(name: string, taken: ReadonlySet<string>): string {
  let own = name;
  for (let n = 2; taken.has(own); n++)
    own = `${nameIn(name, MAX_NAME - 1 - String(n).length)} ${n}`;
  return own;
}

/** Returns the hue of a member's colour in degrees. It is the same on every screen. */
export function hueOf(id: string): number {
  let hash = 0x811c9dc5;
  for (const letter of id) hash = Math.imul(hash ^ letter.codePointAt(0)!, 0x01000193) >>> 0;
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return ((hash >>> 8) % 12) * 30;
}

const FIRST = [
  "Calm",
  "Bright",
  "Quiet",
  "Swift",
  "Kind",
  "Brave",
  "Clear",
  "Gentle",
  "Merry",
  "Patient",
  "Steady",
  "Warm",
];
const LAST = [
  "Heron",
  "Otter",
  "Finch",
  "Lynx",
  "Marten",
  "Plover",
  "Hare",
  "Wren",
  "Badger",
  "Ibis",
  "Tern",
  "Vole",
];

/** Returns a random name for a member that has not chosen one. */
export function someName(random: () => number = Math.random): string {
  const pick = (words: readonly string[]) => words[Math.floor(random() * words.length)]!;
  return `${pick(FIRST)} ${pick(LAST)}`;
}
