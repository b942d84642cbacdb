// Entry of peerstar.js, the file that a Peerstar server serves.

import { loadedFrom } from "./loaded-from.ts";

// The address is only kept here, not checked: a copy in a blob: or data: URL must load as well.
loadedFrom.url = import.meta.url;

export * from "./index.ts";
