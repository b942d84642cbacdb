// What can go wrong, worded for the person who reads it in a console.

export type PeerstarErrorCode =
  | "Backpressure"
  | "TooLarge"
  | "Uncertain"
  | "Closed"
  | "Refused"
  | "Unreachable";

const words: Readonly<Record<PeerstarErrorCode, string>> = {
  Backpressure:
    "Too much waits to be sent. This message was not taken: wait for earlier sends to resolve, then send it again.",
  TooLarge: "A message may be 1 MiB at most. Send files over group.peer instead.",
  Uncertain:
    "This page was out of touch for so long that nobody can say whether the others got this message.",
  Closed: "The group is closed: nothing can be sent any more.",
  Refused: "The server does not let this page in.",
  Unreachable: "The server cannot be reached.",
};

/** Everything that a promise of this library rejects with, and what the `error` event is given. */
export class PeerstarError extends Error {
  override readonly name = "PeerstarError";

  constructor(
    readonly code: PeerstarErrorCode,
    message: string = words[code],
  ) {
    super(message);
  }
}
