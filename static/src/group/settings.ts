// Times in milliseconds, sizes in bytes.

export interface Settings {
  /** The host's heartbeat. */
  readonly beatMs: number;
  /** A beat of a page this large goes half as often. */
  readonly largePage: number;
  /** Nothing heard from the host for so long: SUSPECT. */
  readonly suspectMs: number;
  /** A new host waits so long for where everyone stands. */
  readonly askMs: number;
  /** `askMs` where there is no relay and the server does not say how long a dial may take. */
  readonly askDialMs: number;
  readonly askRepeatMs: number;
  /** A new host asks so long for what a member said it has, again and again as before. */
  readonly pullMs: number;
  /** A host without any history waits so long for someone who has one: about the server's `return_ms`. */
  readonly foundMs: number;
  /** At most so often does a member report what it has, unless asked to witness. */
  readonly ackMs: number;
  readonly relayAckMs: number;
  /** The same of a witness, when another is to do it at once. */
  readonly witnessAckMs: number;
  readonly gapMs: number;
  readonly helloMs: number;
  /** A send not seen again by then is sent again. */
  readonly resendMs: number;
  readonly resendMaxMs: number;
  /** Who gives a snapshot has so long to begin, and to go on, */
  readonly snapshotMs: number;
  /** and so long in all. */
  readonly stateMs: number;
  readonly restoreRepeatMs: number;
  /** A snapshot serves all who come within this time. */
  readonly snapshotAgeMs: number;
  /** A data channel on which nothing was heard so long is not used. */
  readonly linkSilentMs: number;
  /** A member not heard of for so long does not hold up the host's own page. */
  readonly peerSilentMs: number;
  /** A member missing after the server came back is only then said to have left. */
  readonly graceMs: number;
  readonly resignMs: number;
  /** A history founded while the server has been up for less than this is provisional, */
  readonly freshMs: number;
  /** and stays so until the server has been up for this long. */
  readonly provisionalMs: number;
  /** The longest time between two dials with a claim that the server does not believe. */
  readonly claimMostMs: number;
  /** Senders remembered after they left, however long ago. */
  readonly goneCount: number;
  readonly messageBytes: number;
  readonly outboxBytes: number;
  readonly outboxCount: number;
  readonly logBytes: number;
  readonly logCount: number;
  /** Under way to one member and not acknowledged. */
  readonly windowBytes: number;
  readonly batchBytes: number;
  /** Entries a member keeps that came before their turn. */
  readonly aheadCount: number;
  readonly aheadBytes: number;
}

export const defaults: Settings = {
  beatMs: 500,
  largePage: 64,
  suspectMs: 1600,
  askMs: 500,
  askDialMs: 2500,
  askRepeatMs: 120,
  pullMs: 1500,
  foundMs: 3000,
  ackMs: 100,
  relayAckMs: 1000,
  witnessAckMs: 20,
  gapMs: 80,
  helloMs: 300,
  resendMs: 700,
  resendMaxMs: 4000,
  snapshotMs: 2000,
  stateMs: 60_000,
  restoreRepeatMs: 1000,
  snapshotAgeMs: 3000,
  linkSilentMs: 2500,
  peerSilentMs: 3000,
  graceMs: 3000,
  resignMs: 2000,
  freshMs: 90_000,
  provisionalMs: 180_000,
  claimMostMs: 30_000,
  goneCount: 128,
  messageBytes: 1 << 20,
  outboxBytes: 4 << 20,
  outboxCount: 8192,
  logBytes: 16 << 20,
  logCount: 32768,
  windowBytes: 1 << 20,
  batchBytes: 48 << 10,
  aheadCount: 2048,
  aheadBytes: 4 << 20,
};
