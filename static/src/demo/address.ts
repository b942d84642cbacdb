// Where things are: the page that is shared, and the path a stock PeerJS client reaches it by.

/** The server's limit on a page's name. */
const MAX_PAGE_BYTES = 1024;

export type Address = {
  /** The page's whole name; everyone with the same one meets. */
  page: string;
  /** Goes into PeerJS's options, which appends `peerjs?key=…` to the path. */
  server: { host: string; port: number; path: string; secure: boolean; key: string };
};

/** Reads both out of the address bar: `?page=` names another page, `?key=` another key than PeerJS's own. */
export function addressOf(url: URL): Address {
  const secure = url.protocol === "https:";
  const page = url.searchParams.get("page") || url.origin + url.pathname;
  const base = new URL(".", url).pathname;
  return {
    page,
    server: {
      host: url.hostname,
      port: Number(url.port) || (secure ? 443 : 80),
      path: `${base}pages/~${base64url(page)}/`,
      secure,
      key: url.searchParams.get("key") || "peerjs",
    },
  };
}

/** Why the server would refuse this name, in words, or nothing. */
export function pageProblem(page: string): string | undefined {
  const bytes = new TextEncoder().encode(page).length;
  return bytes > MAX_PAGE_BYTES ? `The page's name is too long: ${bytes} bytes, and ${MAX_PAGE_BYTES} is the most.` : undefined;
}

/** Base64 of the UTF-8 bytes that needs no escaping in a path, so that no proxy can touch it. */
export function base64url(text: string): string {
  const bytes = new TextEncoder().encode(text);
  const binary = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
