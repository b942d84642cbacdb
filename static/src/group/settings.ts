// Times, sizes and limits of the group. Times are in milliseconds, sizes in bytes.

export interface Settings {
  /** Interval between two heartbeats of the host. */
  readonly beatMs: number;
  /** Number of members from which on the interval is twice as long. */
  readonly largePage: number;
  /** Silence of the host after which a member says SUSPECT. */
  readonly suspectMs: number;
  /** Time that a new host waits for members to say where they stand. */
  readonly askMs: number;
  /**
   * Time that a new host waits for members that only a data channel reaches, until the server says
   * how long a dial may take.
   */
  readonly askDialMs: number;
  readonly askRepeatMs: number;
  /** Time that a new host waits for entries from one member, in one try. */
  readonly pullMs: number;
  /**
   * Shortest time that a host without a history waits for a member that has one. A server with a
   * longer `return_ms` says so.
   */
  readonly foundMs: number;
  /** Shortest interval between two reports of a member that is no witness. */
  readonly ackMs: number;
  readonly relayAckMs: number;
  /** Interval of reports of a witness, when another witness acknowledges at once. */
  readonly witnessAckMs: number;
  readonly gapMs: number;
  readonly helloMs: number;
  /** Time after which a message that has not come back is sent again. */
  readonly resendMs: number;
  readonly resendMaxMs: number;
  /** Time that a page, or the member asked for a snapshot, has to begin, and between two pieces. */
  readonly snapshotMs: number;
  /** Time that a snapshot may take on its way in all. */
  readonly stateMs: number;
  readonly restoreRepeatMs: number;
  /** Age up to which one snapshot serves further members. */
  readonly snapshotAgeMs: number;
  /** Silence after which a data channel is not used. */
  readonly linkSilentMs: number;
  /** Silence after which a member does not hold up the host's own page. */
  readonly memberSilentMs: number;
  /** Time after which a member that is missing since the server came back is said to have left. */
  readonly graceMs: number;
  readonly resignMs: number;
  /** A history is provisional if it is founded while the server has been up for less than this. */
  readonly freshMs: number;
  /** A provisional history stays so until the server has been up for this long. */
  readonly provisionalMs: number;
  /** Longest interval between two dials with a claim that the server does not believe. */
  readonly claimMostMs: number;
  /** Number of senders that are remembered after they left, however long ago. */
  readonly goneCount: number;
  /**
   * Time after which a member that answers no direct message is taken to lack them, where the host
   * cannot tell.
   */
  readonly directSilentMs: number;
  readonly messageBytes: number;
  readonly outboxBytes: number;
  readonly outboxCount: number;
  readonly logBytes: number;
  readonly logCount: number;
  /** Bytes on the way to one member that it has not acknowledged. */
  readonly windowBytes: number;
  readonly batchBytes: number;
  /** Limits of the entries that a member keeps before their turn. */
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
  memberSilentMs: 3000,
  graceMs: 3000,
  resignMs: 2000,
  freshMs: 90_000,
  provisionalMs: 180_000,
  claimMostMs: 30_000,
  goneCount: 128,
  directSilentMs: 10_000,
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
