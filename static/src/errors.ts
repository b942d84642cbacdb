// The errors of the library, in words for the person who reads them in a console.

/**
 * - `Backpressure`: too much waits to be sent, so this message was not taken.
 * - `TooLarge`: the message is above 1 MiB.
 * - `Uncertain`: this page was away for too long to know whether the others have the message.
 * - `Closed`: the group has ended.
 * - `Refused`: the server does not let this page in.
 * - `Unreachable`: the server, or the host, cannot be reached. The library keeps trying.
 *
 * Messages and requests to one member have these besides:
 * - `Gone`: the member is not here, or left before it had the message.
 * - `Unsupported`: the member's library does not know messages to one member.
 * - `NoHandler`: the member's page answers no requests on this channel.
 * - `Timeout`: no answer came in time.
 * - `Rejected`: the member's handler failed or refused; the message has its words.
 */
export type PeerstarErrorCode =
  | "Backpressure"
  | "TooLarge"
  | "Uncertain"
  | "Closed"
  | "Refused"
  | "Unreachable"
  | "Gone"
  | "Unsupported"
  | "NoHandler"
  | "Timeout"
  | "Rejected";

const MESSAGES: Readonly<Record<PeerstarErrorCode, string>> = {
  Backpressure:
    "Too much waits to be sent. This message was not taken: wait for earlier sends to resolve, then send it again.",
  TooLarge: "A message may be 1 MiB at most. Send files over group.peer instead.",
  Uncertain:
    "This page was out of touch for so long that nobody can say whether the others got this message.",
  Closed: "The group is closed: nothing can be sent any more.",
  Refused: "The server does not let this page in.",
  Unreachable: "The server cannot be reached.",
  Gone: "That member is not here, and did not get this message.",
  Unsupported: "That member's library does not know messages to one member.",
  NoHandler: "That member's page answers no requests on this channel.",
  Timeout: "No answer came in time. The other page may have handled the request.",
  Rejected: "The other page refused the request.",
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
