// The address that peerstar.js was loaded from, which is the server's. served.ts sets it; in a
// bundle it stays unset.

export const loadedFrom: { url?: string } = {};
