// Keeps signalling messages of PeerJS while the WebSocket is closed.

/** Maximum number of messages. Beyond it the oldest one is dropped. */
const MESSAGES = 256;

export class SignallingBuffer {
  #messages: { readonly text: string; readonly at: number }[] = [];

  /** Keeps a message that was made at the time `at`. */
  push(text: string, at: number): void {
    if (this.#messages.length >= MESSAGES) this.#messages.shift();
    this.#messages.push({ text, at });
  }

  /**
   * Removes all messages and returns those made at `since` or later. The server would have dropped
   * older ones as well.
   */
  takeSince(since: number): readonly string[] {
    return this.#messages
      .splice(0)
      .filter(({ at }) => at >= since)
      .map(({ text }) => text);
  }
}
