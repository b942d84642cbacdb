// The surroundings of the library: a page or a worker, its address, and the defaults of the options
// `page` and `server`.

/**
 * The part of the global object that is read here. A worker has no document; Node has no document
 * and no location.
 */
export interface Scope {
  readonly document?: unknown;
  readonly location?: Pick<Location, "href" | "origin" | "pathname" | "protocol">;
  readonly origin?: string;
  readonly WebSocket?: unknown;
  readonly WorkerGlobalScope?: unknown;
  readonly ServiceWorkerGlobalScope?: unknown;
}

/**
 * The server's limit on the name of a page. A page is named before the server can say its limits.
 */
const PAGE_BYTES = 1024;

/** Throws a TypeError where no group can run. */
export function checkScope(scope: Scope): void {
  if (scope.ServiceWorkerGlobalScope !== undefined) {
    throw new TypeError(
      "a PageGroup cannot live in a service worker, which the browser ends whenever it is idle: make it in the page, or in a worker of the page",
    );
  }
  if (scope.document === undefined && scope.WorkerGlobalScope === undefined) {
    throw new TypeError(
      "a PageGroup needs a browser's page or worker, and this is neither: where pages are rendered on a server, make it only in the browser",
    );
  }
  if (scope.WebSocket === undefined)
    throw new TypeError("a PageGroup needs WebSocket, and there is none here");
}

/**
 * Returns the page's name: the option, or this page's address. Throws a TypeError if that address
 * is not one that other people share, and a RangeError for an option that is too short or too long.
 */
export function pageIn(page: unknown, scope: Scope): string {
  if (page === undefined) return ownAddress(scope);
  if (typeof page !== "string")
    throw new TypeError(`the option \`page\` is a text, and this is ${kindOf(page)}`);
  const bytes = new TextEncoder().encode(page).length;
  if (bytes < 1 || bytes > PAGE_BYTES)
    throw new RangeError(`the option \`page\` has 1 to ${PAGE_BYTES} bytes, and this has ${bytes}`);
  return page;
}

function ownAddress({ document, location, origin }: Scope): string {
  const give = "give the option `page`, a name that all who are to meet have in common";
  if (document === undefined)
    throw new TypeError(`a worker does not know which page it belongs to: ${give}`);
  // With an opaque origin (srcdoc, data:, about:blank, a sandbox), a file or an app's scheme,
  // unrelated pages elsewhere have the same address.
  const shared = location !== undefined && isWeb(location.protocol) && origin !== "null";
  if (!shared)
    throw new TypeError(
      `this page has no address of its own that others could share (${quoted(location?.href)}, origin ${quoted(origin)}): ${give}`,
    );
  return location.origin + location.pathname;
}

/**
 * Returns the server's address: the option; or the folder of `from`, where peerstar.js was loaded
 * from; or, in a bundle, the root of this origin. Throws a TypeError if that is no address of a
 * server.
 */
export function serverIn(server: unknown, from: string | undefined, { location }: Scope): URL {
  const example = 'an address such as "https://example.org/path/"';
  const option = server ?? undefined;
  if (option === undefined && from !== undefined) {
    const home = urlOf(".", from);
    if (home) return home;
    throw new TypeError(
      `peerstar.js was loaded from ${quoted(from)}, which does not say where the server is: give the option \`server\`, ${example}`,
    );
  }
  const given = option ?? "/";
  if (typeof given !== "string" || !/^(https?:|wss?:)?\//i.test(given)) {
    throw new TypeError(
      `the option \`server\` is ${example}, or a path such as "/path/", and this is ${typeof given === "string" ? JSON.stringify(given) : kindOf(given)}`,
    );
  }
  const url = urlOf(given, location?.href);
  if (url) return url;
  if (/^\/(?!\/)/.test(given))
    throw new TypeError(
      `the path ${JSON.stringify(given)} names no server, since the address here is ${quoted(location?.href)}: give the option \`server\`, ${example}`,
    );
  throw new TypeError(`the option \`server\` is ${example}, and this is ${JSON.stringify(given)}`);
}

/** Returns the address as a URL if a WebSocket can be dialled there. */
function urlOf(address: string, base: string | undefined): URL | undefined {
  try {
    const url = new URL(address, base);
    return isWeb(url.protocol) || /^wss?:$/.test(url.protocol) ? url : undefined;
  } catch {
    return undefined;
  }
}

const isWeb = (protocol: string): boolean => protocol === "http:" || protocol === "https:";

const kindOf = (value: unknown): string => (value === null ? "null" : typeof value);

/** Quotes a text for an error message. A data: URL may be long, so 80 characters are enough. */
function quoted(text: string | undefined): string {
  if (text === undefined) return "none";
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
