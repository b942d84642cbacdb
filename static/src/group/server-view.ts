// The server as this member sees it: host, epoch, and all that holds on the present socket.

import type { OpenPayload } from "./io.ts";
import type { PeerId } from "./types.ts";

export class ServerView {
  #online = false;
  #epoch = 0;
  #epochSince = 0;
  #host: PeerId | undefined;
  #announcedEpoch = 0;
  #isSeated = false;
  #isAlone = false;
  #aloneChanges = 0;
  #relayAllowed = false;
  #resumeMs = 30_000;
  #fairDialMs: number;
  readonly #minReturnMs: number;
  #returnMs: number;

  /** `fairDialMs` and `returnMs` hold until the server says others. */
  constructor(fairDialMs: number, returnMs: number) {
    this.#fairDialMs = fairDialMs;
    this.#minReturnMs = returnMs;
    this.#returnMs = returnMs;
  }

  /** Whether the socket is open. */
  get online(): boolean {
    return this.#online;
  }

  /** The latest epoch that this member knows. It acts on nothing of an older one. */
  get epoch(): number {
    return this.#epoch;
  }

  get host(): PeerId | undefined {
    return this.#host;
  }

  /** Whether the server has named this member host of its epoch, on the present socket. */
  get isSeated(): boolean {
    return this.#isSeated;
  }

  /**
   * Whether the server says that it is alone: it may lead one half of the page, and does not know
   * whether the other half has another host.
   */
  get isAlone(): boolean {
    return this.#isAlone;
  }

  /** Number of times that the server has become alone, or has ceased to be. */
  get aloneChanges(): number {
    return this.#aloneChanges;
  }

  /**
   * The last epoch that the server announced. Earlier than `epoch` if the server does not know of
   * that.
   */
  get announcedEpoch(): number {
    return this.#announcedEpoch;
  }

  /** Whether the server has heard of the epoch of this member. */
  get knowsEpoch(): boolean {
    return this.#announcedEpoch >= this.#epoch;
  }

  /** Whether the socket is open, and the server, not alone, leads the group in the same epoch. */
  get confirmsEpoch(): boolean {
    return this.#online && !this.#isAlone && this.#announcedEpoch === this.#epoch;
  }

  /** Whether this member may send over the relay. */
  get relayAllowed(): boolean {
    return this.#relayAllowed;
  }

  /** Absence, in milliseconds, up to which a member goes on as if it had not been away. */
  get resumeMs(): number {
    return this.#resumeMs;
  }

  /**
   * Milliseconds that a dial may fairly take: a new host waits this long for members that only a
   * channel reaches.
   */
  get fairDialMs(): number {
    return this.#fairDialMs;
  }

  /**
   * Milliseconds that a host without a history waits for a member that has one: as long as the
   * server waits for a member whose socket was lost, and never less than `Settings.foundMs`.
   */
  get returnMs(): number {
    return this.#returnMs;
  }

  /** Returns the epoch after which a history is young, since epochs follow the server's clock. */
  youngAfter(now: number): number {
    return this.#epoch + now - this.#epochSince - this.#resumeMs;
  }

  /** The server has answered OPEN on a new socket. */
  opened({ relay, resumeMs, fairMs, returnMs = 0, alone = false }: OpenPayload): void {
    this.#online = true;
    this.aloneSaid(alone);
    this.#relayAllowed = relay;
    this.#resumeMs = resumeMs;
    this.#returnMs = Math.max(returnMs, this.#minReturnMs);
    this.fairDialChanged(fairMs);
  }

  disconnected(): void {
    this.#online = false;
    this.#isSeated = false;
  }

  /** The server has said whether it is alone. */
  aloneSaid(isAlone: boolean): void {
    if (isAlone !== this.#isAlone) this.#aloneChanges++;
    this.#isAlone = isAlone;
  }

  fairDialChanged(fairMs: number | undefined): void {
    this.#fairDialMs = fairMs ?? this.#fairDialMs;
  }

  /** The server has said whether it takes this member for the host of its epoch. */
  seatDecided(isSeated: boolean): void {
    this.#isSeated = isSeated;
  }

  /** The server has announced an epoch, with OPEN or with HOST. */
  announced(epoch: number): void {
    this.#announcedEpoch = epoch;
  }

  /** Notes that this member dials again, with a claim that announces its epoch. */
  claimSent(): void {
    this.#announcedEpoch = this.#epoch;
  }

  /** Goes over to a new epoch. */
  adopted(epoch: number, host: PeerId, now: number): void {
    this.#epoch = epoch;
    this.#epochSince = now;
    this.#host = host;
  }
}
