// ICE servers, as far as this browser takes them. One bad entry would make every RTCPeerConnection impossible.

type Make = (config: RTCConfiguration) => void;

/** What the browser says against a configuration; undefined if it takes it, or has no WebRTC at all. */
export function objection(config: RTCConfiguration, make: Make = connect): string | undefined {
  try {
    make(config);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function connect(config: RTCConfiguration): void {
  // Nothing is gathered or sent before an offer is made.
  if (typeof RTCPeerConnection !== "undefined") new RTCPeerConnection(config).close();
}

export interface Sorted {
  readonly servers: RTCIceServer[];
  /** In words, what was left out and why. */
  readonly problem: string | undefined;
}

/** Leaves out the servers that the browser refuses. `rtc` is the page's own configuration, which it takes. */
export function sortOut(
  rtc: RTCConfiguration,
  servers: readonly RTCIceServer[],
  make: Make = connect,
): Sorted {
  const whole = (list: readonly RTCIceServer[]): string | undefined =>
    objection({ ...rtc, iceServers: [...(rtc.iceServers ?? []), ...list] }, make);
  const against = whole(servers);
  if (against === undefined) return { servers: [...servers], problem: undefined };
  const refused: string[] = [];
  const taken = servers.filter((server) => {
    const why = objection({ iceServers: [server] }, make);
    if (why !== undefined) refused.push(`${urlsOf(server)}: ${why}`);
    return why === undefined;
  });
  const rest = whole(taken);
  return {
    servers: rest === undefined ? taken : [],
    problem: refused.length > 0 ? refused.join("; ") : against,
  };
}

function urlsOf(server: unknown): string {
  const urls =
    typeof server === "object" && server !== null ? (server as { urls?: unknown }).urls : undefined;
  return [urls].flat().map(String).join(", ");
}
