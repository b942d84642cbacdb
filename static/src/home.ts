// Where the library was loaded from: peerstar.js comes from the server it talks to (served.ts sets this). Unset in a bundle.

export const home: { from?: string } = {};
