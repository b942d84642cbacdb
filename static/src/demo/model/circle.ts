// A workflow has no circles. If two wires would close one, all members refuse the second in the
// group's order.
import type { Wire } from "./types.ts";

/** Returns whether a wire would close a circle. */
export function closesCircle(wires: ReadonlyMap<string, Wire>, from: string, to: string): boolean {
  const next = new Map<string, string[]>();
  for (const wire of wires.values()) next.set(wire.from, [...(next.get(wire.from) ?? []), wire.to]);
  const [seen, open] = [new Set<string>(), [to]];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (id === from) return true;
    if (seen.has(id)) continue;
    seen.add(id);
    open.push(...(next.get(id) ?? []));
  }
  return false;
}
