// The entry of peerstar.js, the file that a Peerstar server serves.

import { home } from "./home.ts";

// Read only when a group is made without `server`: a copy in a blob: or data: URL must load as well.
home.from = import.meta.url;

export * from "./index.ts";
