// Where things are: the page that is shared, and the server.

/** The server's limit on a page's name. */
const MAX_PAGE_BYTES = 1024;

export type Address = {
  /** The page's whole name; everyone with the same one meets. */
  readonly page: string;
  readonly server: string;
  readonly key: string;
};

/** `?page=` names another page, `?key=` another key than PeerJS's own, `?server=` another server than the one it came from. */
export function addressOf(url: URL): Address {
  const here = new URL(".", url);
  here.search = here.hash = "";
  return {
    page: url.searchParams.get("page") || url.origin + url.pathname,
    server: url.searchParams.get("server") || here.href,
    key: url.searchParams.get("key") || "peerjs",
  };
}

/** Why the server would refuse this name, in words, or nothing. */
export function pageProblem(page: string): string | undefined {
  const bytes = new TextEncoder().encode(page).length;
  return bytes > MAX_PAGE_BYTES
    ? `The page's name is too long: ${bytes} bytes, and ${MAX_PAGE_BYTES} is the most.`
    : undefined;
}
