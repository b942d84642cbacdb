// Reads the addresses of the demo: the shared page, and the server.

/** The server's limit on the name of a page. */
const MAX_PAGE_BYTES = 1024;

export type Address = {
  /** Name of the page. Everyone with the same name meets. */
  readonly page: string;
  readonly server: string;
  readonly key: string;
};

/** Returns the address and the defaults. `?page=`, `?key=` and `?server=` in it name others. */
export function addressOf(url: URL): Address {
  const here = new URL(".", url);
  here.search = here.hash = "";
  return {
    page: url.searchParams.get("page") || url.origin + url.pathname,
    server: url.searchParams.get("server") || here.href,
    key: url.searchParams.get("key") || "peerjs",
  };
}

/** Returns why the server would refuse the name of a page, in words. Undefined if it would not. */
export function pageProblem(page: string): string | undefined {
  const bytes = new TextEncoder().encode(page).length;
  return bytes > MAX_PAGE_BYTES
    ? `The page's name is too long: ${bytes} bytes, and ${MAX_PAGE_BYTES} is the most.`
    : undefined;
}
