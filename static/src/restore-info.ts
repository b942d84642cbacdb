// Types of the event `recovered` and of `onRestore`: why a page is restored, and which messages it
// loses.

/**
 * A message that this page was handed, that the group does not have, and that the library does not
 * send again. `Message` is the type of the group's messages.
 */
export interface LostMessage<Message = unknown> {
  /** Data, as the `message` event gave it. */
  readonly data: Message;
  /** Id of the sender. */
  readonly from: string;
  /** Whether this page sent the message. An app sends again only its own messages. */
  readonly mine: boolean;
  /** Sequence number of the message in the history that was given up. */
  readonly seq: number;
  /** Epoch of the host that gave the message this number. */
  readonly epoch: number;
}

/**
 * Takes the state of another member's `onSnapshot`. The group waits for its promise, if it returns
 * one.
 */
export type RestoreCallback<Message = unknown> = (
  state: unknown,
  about: RestoreInfo<Message>,
) => unknown;

/** Why a page is restored, and which messages it loses. */
export interface RestoreInfo<Message = unknown> {
  /**
   * - `join`: the page has just joined.
   * - `behind`: the page missed more messages than the group keeps for it.
   * - `replaced`: the group continues in a history without some message that this page was handed.
   */
  readonly reason: "join" | "behind" | "replaced";
  /** The lost messages, by ascending `seq`. */
  readonly lost: readonly LostMessage<Message>[];
  /**
   * Whether more messages are lost than `lost` lists: older ones, or ones in a snapshot that this
   * page got.
   */
  readonly lostMore: boolean;
}
