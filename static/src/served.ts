// The entry of peerstar.js, the file that a Peerstar server serves.

import { home } from "./home.ts";

home.url = new URL(".", import.meta.url).href;

export * from "./index.ts";
