// The errors of the library, in words for the person who reads them in a console.

/**
 * - `Backpressure`: too much waits to be sent, so this message was not taken.
 * - `TooLarge`: the message is above 1 MiB.
 * - `Uncertain`: this page was away for too long to know whether the others have the message.
 * - `Closed`: the group has ended.
 * - `Refused`: the server does not let this page in.
 * - `Unreachable`: the server, or the host, cannot be reached. The library keeps trying.
 */
export type PeerstarErrorCode =
  | "Backpressure"
  | "TooLarge"
  | "Uncertain"
  | "Closed"
  | "Refused"
  | "Unreachable";

const MESSAGES: Readonly<Record<PeerstarErrorCode, string>> = {
  Backpressure:
    "Too much waits to be sent. This message was not taken: wait for earlier sends to resolve, then send it again.",
  TooLarge: "A message may be 1 MiB at most. Send files over group.peer instead.",
  Uncertain:
    "This page was out of touch for so long that nobody can say whether the others got this message.",
  Closed: "The group is closed: nothing can be sent any more.",
  Refused: "The server does not let this page in.",
  Unreachable: "The server cannot be reached.",
};

/** The error that promises of this library reject with and the `error` event carries. */
export class PeerstarError extends Error {
  override readonly name = "PeerstarError";

  constructor(
    /** Kind of the error, as a word that code can compare. */
    readonly code: PeerstarErrorCode,
    message: string = MESSAGES[code],
  ) {
    super(message);
  }
}
