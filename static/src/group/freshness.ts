// How recently the history of this member was known to be the group's.
//
// Four times say how much was known last, each more than the one before:
// - `contactAt`: somebody of the group was heard.
// - `sharedAt`: the history was the host's, so it is the group's. (A host that stamps with the
//   server's word knows that by itself.) Decides who may outrank whom, and what counts as away.
// - `assuredAt`: and the server named this host, in this epoch, and was not alone. Decides how long
//   entries are kept.
// - `confirmedAt`: and another member had the history. Decides how long senders that left
//   are remembered.
//
// A history is *apart* from the moment at which the server says that it is alone: another half of
// the page may have gone on with another host. It is apart until its holder stands on the log of a
// host that has the server's word.
//
// Each method that changes something is named for the event that it notes.

import type { ServerView } from "./server-view.ts";

/** Time for which a heartbeat of a host that has not heard ALONE yet may be on its way. */
const ALONE_HEARD_MS = 1600;
/** A gap shorter than this is not reported to the page as an absence. */
const ABSENCE_MS = 1500;

export class Freshness {
  readonly #server: ServerView;
  #contactAt = 0;
  #sharedAt = 0;
  #confirmedAt = 0;
  #assuredAt = 0;
  #isStale = false;
  #isApart = false;
  #apartAt = -Infinity;
  #isUnsure = false;
  #pauses = 0;
  #heartbeats = 0;
  /** The last heartbeat that was sent before the last pause. */
  #heartbeatBeforePause = 0;
  /** When a history taken from another member becomes as old as one that was away too long. */
  #inheritedUntil = Infinity;
  #outOfStepSince: number | undefined;

  constructor(server: ServerView) {
    this.#server = server;
  }

  // --- what is known ---

  /** When this member last heard from its host or, as host, from another member. */
  get contactAt(): number {
    return this.#contactAt;
  }

  /** When the history was last known to be the group's. */
  get sharedAt(): number {
    return this.#sharedAt;
  }

  /**
   * When another member was last known to have the history, while the server confirmed the epoch.
   */
  get confirmedAt(): number {
    return this.#confirmedAt;
  }

  /** When the history was last known to be the one that the server's host leads. */
  get assuredAt(): number {
    return this.#assuredAt;
  }

  /**
   * Whether this history may have gone on without the server's word. It then gives way to every
   * part of the same history that has not.
   */
  get isApart(): boolean {
    return this.#isApart;
  }

  /** Whether this member hosts with the server's word, as far as it knows. */
  get hostsWithWord(): boolean {
    return this.#server.isSeated && !this.#server.isAlone && !this.#isApart;
  }

  /**
   * Whether this member may have been frozen, so that what it was told may be old. A proof from the
   * server ends it, and so does a follower that has heard a heartbeat from after the pause.
   */
  get isUnsure(): boolean {
    return this.#isUnsure;
  }

  /** Number of pauses (possible freezes) seen so far. */
  get pauses(): number {
    return this.#pauses;
  }

  /** Since when this member was out of step, if it was and the page has not been told yet. */
  get outOfStepSince(): number | undefined {
    return this.#outOfStepSince;
  }

  /**
   * Returns whether this member, or the one it has its history from, was away too long to outrank
   * anyone.
   */
  isStale(now: number): boolean {
    return this.#isStale || now >= this.#inheritedUntil;
  }

  /**
   * Returns the milliseconds since the history was last known to be the group's, here or where it
   * was taken from.
   */
  ageMs(now: number): number {
    const since = Math.min(this.#sharedAt, this.#inheritedUntil - this.#server.resumeMs);
    return Math.max(0, Math.round(now - since));
  }

  // --- contact ---

  /** The server has answered OPEN for the first time. */
  joined(now: number): void {
    this.#share(now);
  }

  /** Somebody of the group was heard, which says nothing of the history. */
  heard(now: number): void {
    this.#contactAt = now;
  }

  /**
   * The history was found to be the host's: the host counts this member in, however far behind it
   * is. `hasWord`: the host said that it has the server's word.
   */
  foundOnHostsLog(hasWord: boolean, now: number): void {
    this.#share(now);
    // A group that is cut off from the server, its host included, may have to give the history up.
    if (!hasWord || !this.#server.confirmsEpoch) return;
    if (now - this.#apartAt < ALONE_HEARD_MS) return;
    this.#confirmedAt = this.#assuredAt = now;
    this.#isApart = false;
  }

  /** Another member has the log of this host, and has heard the heartbeat with this number. */
  followed(heartbeat: number, now: number): void {
    // An answer to a heartbeat from before the pause may be as old as that.
    if (this.#isUnsure && heartbeat <= this.#heartbeatBeforePause) return this.heard(now);
    if (this.#isUnsure) this.#isStale = false;
    this.#isUnsure = false;
    this.foundOnHostsLog(this.hostsWithWord, now);
  }

  /** Notes that this host has sent a heartbeat. Returns its number. */
  heartbeatSent(): number {
    return ++this.#heartbeats;
  }

  // --- leading ---

  /** Notes that this member stamps, as the host that its server named. */
  led(now: number): void {
    this.#share(now);
    if (this.hostsWithWord) this.#assuredAt = now;
  }

  /** A takeover is done: the group goes on with this history. */
  tookOver(now: number): void {
    if (!this.#isUnsure) this.#isStale = false;
    this.heard(now);
  }

  /** The server has proved that this member is the host, while it takes over or once it leads. */
  provedHost(phase: "taking over" | "leading"): void {
    this.#isUnsure = false;
    if (phase === "leading") this.#isStale = false;
  }

  // --- the server's word ---

  /** The server has said that it is alone. */
  setApart(now: number): void {
    this.#isApart = true;
    this.#apartAt = now;
  }

  /** This host leads all members, and the server, not alone, has proved since that it is the host. */
  joinedAgain(): void {
    this.#isApart = false;
  }

  // --- changes of history ---

  /** The host has placed this member on its log. */
  placedByHost(): void {
    this.#isStale = false;
  }

  founded(): void {
    this.#isStale = false;
  }

  /** In a takeover, the best log of the others has nothing that this member lacks. */
  foundComplete(): void {
    this.#isStale = false;
  }

  /**
   * The history was taken from another member, where it was last known to be the group's at
   * `since`.
   */
  inherited(since: number): void {
    this.#inheritedUntil = since + this.#server.resumeMs;
  }

  // --- absence ---

  /** Nothing was handled for a while: this member may have been frozen. */
  paused(): void {
    this.#isUnsure = true;
    this.#pauses++;
    this.#heartbeatBeforePause = this.#heartbeats;
  }

  /** Notes that this member was out of step for longer than it may be. */
  awayTooLong(): void {
    this.#isStale = true;
  }

  /** The page was told that this member is in step again, or need not be told. */
  backInStep(): void {
    this.#outOfStepSince = undefined;
  }

  #share(now: number): void {
    this.heard(now);
    if (now - this.#sharedAt > ABSENCE_MS && this.#outOfStepSince === undefined)
      this.#outOfStepSince = this.#sharedAt;
    this.#sharedAt = now;
    this.#inheritedUntil = Infinity;
  }
}
