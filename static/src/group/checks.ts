// Checks of the form of values that other members send: their pages may run any code.

export type Check = (value: unknown) => boolean;
export type Fields = Readonly<Record<string, Check>>;

export const count: Check = (v) => typeof v === "number" && Number.isSafeInteger(v) && v >= 0;
export const text: Check = (v) => typeof v === "string";
export const flag: Check = (v) => typeof v === "boolean";
export const any: Check = () => true;
export const list =
  (of: Check): Check =>
  (v) => {
    if (!Array.isArray(v)) return false;
    for (const item of v) if (!of(item)) return false;
    return true;
  };
export const shape = (fields: Fields): Check => {
  const names = Object.keys(fields);
  const checks = Object.values(fields);
  // A plain loop: every entry of every message passes here.
  return (v) => {
    if (typeof v !== "object" || v === null) return false;
    for (let i = 0; i < checks.length; i++)
      if (!(checks[i] as Check)((v as Record<string, unknown>)[names[i] as string])) return false;
    return true;
  };
};
export const pair =
  (a: Check, b: Check): Check =>
  (v) =>
    Array.isArray(v) && v.length === 2 && a(v[0]) && b(v[1]);
export const perhaps =
  (of: Check): Check =>
  (v) =>
    v === undefined || of(v);

/** Fields of a place. */
export const place: Fields = { r: count, e: count, s: count };
