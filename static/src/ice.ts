// Keeps those of the server's ICE servers that this browser accepts. One bad entry would make every
// RTCPeerConnection impossible.

type Construct = (config: RTCConfiguration) => void;

/**
 * Returns the browser's objection to a configuration. Undefined: the browser accepts it, or has no
 * WebRTC.
 */
export function objection(
  config: RTCConfiguration,
  construct: Construct = constructConnection,
): string | undefined {
  try {
    construct(config);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function constructConnection(config: RTCConfiguration): void {
  // A connection gathers and sends nothing before it makes an offer.
  if (typeof RTCPeerConnection !== "undefined") new RTCPeerConnection(config).close();
}

export interface AcceptedServers {
  readonly servers: RTCIceServer[];
  /** The servers that were left out and why, in words. */
  readonly problem: string | undefined;
}

/**
 * Leaves out the servers that the browser refuses. `rtc` is the page's own configuration, which it
 * accepts.
 */
export function acceptServers(
  rtc: RTCConfiguration,
  servers: readonly RTCIceServer[],
  construct: Construct = constructConnection,
): AcceptedServers {
  const whole = (list: readonly RTCIceServer[]): string | undefined =>
    objection({ ...rtc, iceServers: [...(rtc.iceServers ?? []), ...list] }, construct);
  const against = whole(servers);
  if (against === undefined) return { servers: [...servers], problem: undefined };
  const refused: string[] = [];
  const accepted = servers.filter((server) => {
    const why = objection({ iceServers: [server] }, construct);
    if (why !== undefined) refused.push(`${urlsOf(server)}: ${why}`);
    return why === undefined;
  });
  const rest = whole(accepted);
  return {
    servers: rest === undefined ? accepted : [],
    problem: refused.length > 0 ? refused.join("; ") : against,
  };
}

function urlsOf(server: unknown): string {
  const urls =
    typeof server === "object" && server !== null ? (server as { urls?: unknown }).urls : undefined;
  return [urls].flat().map(String).join(", ");
}
