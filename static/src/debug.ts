// `debug: true`: what happens, a line each, in the words of the documentation.

export type Teller = (line: () => string) => void;

export function teller(on: boolean, id: string, now: () => number): Teller {
  if (!on) return () => {};
  const start = now();
  return (line) => console.debug(`peerstar ${short(id)} +${((now() - start) / 1000).toFixed(3)} s: ${line()}`);
}

export function short(id: string | undefined): string {
  return id === undefined ? "nobody" : id.slice(0, 8);
}
