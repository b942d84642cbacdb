// A seeded random number generator, so that a run on a rough wire can be repeated.

/**
 * Returns a function that returns numbers in [0, 1). The same seed (a text) gives the same numbers.
 */
export function seeded(seed) {
  let state = hash(String(seed));
  // the mulberry32 algorithm
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Returns the 32-bit FNV-1a hash of a text. */
function hash(text) {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value | 0;
}
