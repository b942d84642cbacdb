// Asks the server's `health` route once, over HTTP.

export interface HealthAnswer {
  /**
   * - `there`: an answer after which dialling makes sense.
   * - `hidden`: an answer that the page may not read. A proxy without a server may have given it.
   * - `nothing`: no answer, or an error of a proxy or server (5xx).
   * - `blocked`: the page's Content Security Policy forbids the request.
   */
  readonly found: "there" | "hidden" | "nothing" | "blocked";
  /** The answer in words. Absent if the browser gives no details. */
  readonly why?: string;
}

/** Asks the route once, without the browser's cache. */
export async function probe(url: string, signal: AbortSignal): Promise<HealthAnswer> {
  const policy = watchPolicy();
  const options: RequestInit = { cache: "no-store", signal };
  try {
    // A proxy answers 5xx for a server that is away. Any other answer, such as 404, does not speak
    // against the server.
    const { status } = await fetch(url, { ...options, redirect: "manual" });
    return status < 500
      ? { found: "there" }
      : { found: "nothing", why: `GET ${url} is answered ${status}` };
  } catch {
    // Nobody answers, or the page may not read the answer, or may not ask.
  }
  try {
    await fetch(url, { ...options, mode: "no-cors" });
    return { found: "hidden", why: `GET ${url} is answered, and this page may not read it` };
  } catch {
    return policy.has(url) ? { found: "blocked" } : { found: "nothing" };
  }
}

/** Addresses that the page's Content Security Policy has blocked. */
let blocked: Set<string> | undefined;

function watchPolicy(): ReadonlySet<string> {
  if (blocked) return blocked;
  const seen = (blocked = new Set<string>());
  globalThis.document?.addEventListener(
    "securitypolicyviolation",
    ({ disposition, blockedURI }) => {
      if (disposition === "enforce" && seen.size < 64) seen.add(blockedURI);
    },
  );
  return seen;
}
