// Types of `recovered` and `onRestore`: why a page is restored, and what it loses by that.

/** A message that this page was handed, that the group does not have, and that the library does not send again. */
export interface LostMessage {
  /** The data, as the `message` event gave it. */
  readonly data: unknown;
  /** The sender's id. */
  readonly from: string;
  /** Whether this page sent it. An app sends again only its own. */
  readonly mine: boolean;
  /** The place it had in the order that was given up. */
  readonly seq: number;
  /** The epoch of the host that had put it there. */
  readonly epoch: number;
}

/** Why a page is restored, and what it loses by that. */
export interface RestoreInfo {
  /**
   * `join`: the page has just come. `behind`: it had missed more than is kept for it. `replaced`: something that it had
   * been handed is not in what the group goes on with.
   */
  readonly reason: "join" | "behind" | "replaced";
  /** In order of seq; see `LostMessage`. */
  readonly lost: readonly LostMessage[];
  /** Whether more is lost than `lost` lists: messages beyond what is kept, or in a state that this page was restored to. */
  readonly lostMore: boolean;
}
