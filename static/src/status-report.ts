// Tells the server the state of this member with STATUS: all of it after every OPEN, then what
// changes.

/**
 * Sends a message to the server. While the WebSocket is closed it is dropped: the next OPEN is
 * followed by all.
 */
type Send = (type: string, payload: unknown) => void;

export interface StatusFacts {
  /** Whether this member may open data channels at all. */
  readonly p2p: boolean;
  isVisible(): boolean;
}

export class StatusReport {
  readonly #send: Send;
  readonly #facts: StatusFacts;
  #profile: unknown;
  #eligible = true;
  #relayWanted = true;
  /** The channels that the server was last told of, as JSON. */
  #channels = "{}";

  constructor(profile: unknown, facts: StatusFacts, send: Send) {
    this.#profile = profile;
    this.#facts = facts;
    this.#send = send;
  }

  get profile(): unknown {
    return this.#profile;
  }

  /**
   * Sends all of the state. `channels`: the open channels to dialled members, with the time of each
   * dial in ms.
   */
  sendAll(eligible: boolean, channels: Readonly<Record<string, number>>): void {
    this.#eligible = eligible;
    this.#channels = JSON.stringify(channels);
    this.#status({
      eligible,
      visible: this.#facts.isVisible(),
      relay: this.#relayWanted,
      ...(this.#facts.p2p ? {} : { p2p: false }),
      ...(Object.keys(channels).length === 0 ? {} : { channels }),
      ...(this.#profile === undefined ? {} : { profile: this.#profile }),
    });
  }

  setProfile(profile: unknown): void {
    this.#profile = profile;
    this.#status({ profile });
  }

  setRelayWanted(wanted: boolean): void {
    this.#relayWanted = wanted;
    this.#status({ relay: wanted });
  }

  setEligible(eligible: boolean): void {
    if (eligible === this.#eligible) return;
    this.#eligible = eligible;
    this.#status({ eligible });
  }

  /** The server weighs suspicions of the host by which members have a channel to it. */
  setChannels(channels: Readonly<Record<string, number>>): void {
    const text = JSON.stringify(channels);
    if (text === this.#channels) return;
    this.#channels = text;
    this.#status({ channels });
  }

  sendVisible(): void {
    this.#status({ visible: this.#facts.isVisible() });
  }

  #status(status: Readonly<Record<string, unknown>>): void {
    this.#send("STATUS", status);
  }
}
