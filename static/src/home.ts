// Where the server is if the page does not say: peerstar.js comes from the server it talks to (served.ts sets this).

export const home: { url?: string } = {};
