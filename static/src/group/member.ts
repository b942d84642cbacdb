// The role of a member that does not host: takes the entries of its host in order, and sends what
// its page sends.

import type { Context } from "./context.ts";
import { EarlyEntries } from "./early-entries.ts";
import { same } from "./history.ts";
import { RelayWish } from "./relay-wish.ts";
import { Reports } from "./reports.ts";
import type { Role } from "./role.ts";
import { supply } from "./supply.ts";
import { Suspicion } from "./suspicion.ts";
import type { TimerName } from "./timers.ts";
import type { Path, PeerId } from "./types.ts";
import type { At, Beat, Data, Item, Restore, Wire } from "./wire.ts";

/** The first messages of the outbox, as a greeting carries them. */
type Head = Pick<At, "low" | "x">;

/**
 * Limit of the head of a greeting. It is a few packets, so that a slow path carries it before
 * anything else.
 */
const HEAD_BYTES = 8 << 10;

interface MemberOptions {
  readonly host: PeerId;
  /** Why the server named this host. */
  readonly cause: string;
}

export class Member implements Role {
  readonly #context: Context;
  readonly #host: PeerId;
  readonly #beganAt: number;
  readonly #early: EarlyEntries;
  readonly #reports: Reports;
  readonly #relayWish: RelayWish;
  readonly #suspicion: Suspicion;
  #cause: string;
  /** Whether the host leads and has this member's last entry on its log. */
  #isPlaced = false;
  /** The host's log has ours up to here. Beyond it may be a tail from when this member hosted. */
  #sure = 0;
  /** Whether the host has the server's word, as its latest heartbeat says. */
  #hostHasWord = false;
  /** Whether the host has said that it leads, and the page was told. */
  #hostLeads = false;
  #hasUnsent = false;
  #helloMs: number;
  #resendMs: number;

  constructor(context: Context, { host, cause }: MemberOptions) {
    this.#context = context;
    this.#host = host;
    this.#cause = cause;
    this.#beganAt = context.now;
    this.#early = new EarlyEntries(context.settings);
    this.#reports = new Reports(context, host);
    this.#relayWish = new RelayWish(context, host);
    this.#suspicion = new Suspicion(context, host);
    this.#helloMs = context.settings.helloMs;
    this.#resendMs = context.settings.resendMs;
  }

  start(): void {
    this.#context.outbox.sent = 0;
    this.#suspicion.postpone();
    this.#relayWish.update();
    this.#greet(this.#head());
  }

  stop(): void {
    this.#context.timers.clear("greeting", "ack", "gap", "resend", "suspect");
  }

  receive(from: PeerId, via: Path, message: Wire): void {
    if (from !== this.#host) return;
    const { freshness, now, outbox } = this.#context;
    if (this.#isPlaced) freshness.foundOnHostsLog(this.#hostHasWord, now);
    else freshness.heard(now);
    this.#suspicion.hostHeard();
    switch (message.t) {
      case "ask":
        this.sayStanding(via);
        break;
      case "data":
        this.#hostSpeaks();
        this.#onData(message);
        break;
      case "beat":
        this.#hostSpeaks();
        this.#onBeat(message);
        break;
      case "restore":
        this.#hostSpeaks();
        this.#onRestore(message);
        break;
      case "need":
        outbox.sent = Math.min(outbox.sent, message.n - 1);
        this.sending();
        break;
      case "pull":
        supply(this.#context, { from, at: message.at, via });
        break;
      case "want":
        this.#onWant(message.k, via);
        break;
      default:
        break;
    }
    this.#relayWish.update(via);
  }

  heard(from: PeerId): void {
    if (from !== this.#host) return;
    const { freshness, now } = this.#context;
    freshness.heard(now);
    this.#suspicion.hostHeard();
  }

  // --- where this member stands ---

  /** Tells the host where this member stands. Returns false if there is no path. */
  sayStanding(via?: Path, head: Head = {}): boolean {
    const { epoch, paths, self } = this.#context;
    const at = this.#context.standing();
    const can = self.can.length > 0 ? { can: self.can } : {};
    return paths.transmit(this.#host, { t: "at", e: epoch, at, ...head, ...can }, via);
  }

  /**
   * Returns the head of the outbox that a greeting carries. The host stamps it without asking for
   * it first.
   */
  #head(): Head {
    const { outbox } = this.#context;
    const x = outbox.next(HEAD_BYTES, HEAD_BYTES);
    return x.length > 0 && (x[0] as Item).z <= HEAD_BYTES ? { low: outbox.low, x } : {};
  }

  /**
   * Says where this member stands, and repeats it until the host has placed this member on its log.
   */
  #greet(head: Head = {}): void {
    const { now, outbox, settings, timers } = this.#context;
    const last = head.x?.at(-1);
    if (this.sayStanding(undefined, head) && last) {
      outbox.mark(last.n);
      timers.soon("resend", now + this.#resendMs);
    }
    timers.set("greeting", now + this.#helloMs);
    this.#helloMs = Math.min(this.#helloMs * 1.5, settings.restoreRepeatMs * 2);
  }

  /** The host has placed this member on its log. */
  #placed(): void {
    const { freshness, settings, timers } = this.#context;
    if (!this.#isPlaced) {
      this.#isPlaced = true;
      this.#helloMs = settings.helloMs;
      timers.clear("greeting");
    }
    freshness.placedByHost();
  }

  /** Greets again: this member is out of step, and the host must fill or restore it. */
  #displaced(): void {
    if (this.#isPlaced || !this.#context.timers.has("greeting")) {
      this.#isPlaced = false;
      this.#greet();
    }
  }

  // --- messages of the host ---

  /** The host leads. Its first message of an epoch lets the outbox go. */
  #hostSpeaks(): void {
    const { epoch, now, step } = this.#context;
    if (!this.#hostLeads) {
      this.#hostLeads = true;
      step.notify({
        kind: "host",
        host: this.#host,
        epoch,
        isHost: false,
        cause: this.#cause,
        tookMs: now - this.#beganAt,
      });
    }
    this.sending();
  }

  #onBeat(beat: Beat): void {
    const { replica } = this.#context;
    const { log } = replica;
    const { at, sent, cause, alone = false } = beat;
    if (beat.k >= this.#reports.heartbeat) this.#hostHasWord = !alone;
    this.#reports.heartbeatHeard(beat);
    if (this.#cause === "") this.#cause = cause;
    replica.heardOf(at.s);
    if (at.r !== log.root) return this.#displaced();
    if (at.s < log.last || (at.s === log.last && log.epochAt(at.s) !== at.e))
      return this.#displaced();
    if (at.s === log.last) this.#caughtUp();
    else if (sent > log.last) this.#gapFound();
    this.#reports.answerHeartbeat();
  }

  #onData(data: Data): void {
    const { freshness, now, replica, snapshots } = this.#context;
    const { log } = replica;
    const { r, s, x } = data;
    // Entries that are dropped now are asked for once the page has made its snapshot.
    if (snapshots.isBlocking) return;
    const before = log.last;
    const fit = replica.absorb(data, now);
    if (fit === "foreign" || fit === "fork") {
      if (log.root === 0) this.#early.keep(r, x, log.last);
      return this.#displaced();
    }
    if (fit === "gap") {
      this.#early.keep(r, x, log.last);
      return this.#gapFound();
    }
    this.#placed();
    this.#sure = Math.max(this.#sure, s + x.length - 1);
    this.#useEarly();
    this.resume();
    freshness.foundOnHostsLog(this.#hostHasWord, now);
    this.#early.dropUpTo(log.last);
    if (log.last !== before) this.#reports.entriesArrived();
  }

  #onRestore({ heal, snap }: Restore): void {
    const { freshness, now, outbox, page, replica } = this.#context;
    if (!same(heal, replica.log.place)) return;
    page.restore(snap);
    this.#placed();
    this.#sure = snap.s;
    freshness.foundOnHostsLog(this.#hostHasWord, now);
    // The restored page knows that it was out of step.
    freshness.backInStep();
    this.#useEarly();
    this.resume();
    outbox.sent = 0;
    this.#reports.report(this.#early.isEmpty ? "all is here" : "a gap follows");
    this.sending();
  }

  #onWant(k: number, via: Path): void {
    const context = this.#context;
    const { epoch, paths, snapshots } = context;
    snapshots.ask((snap) => {
      if (context.epoch === epoch)
        paths.transmit(this.#host, { t: "snap", e: epoch, k, snap }, via);
    });
  }

  /** Notes that this member stands where the host stands. */
  #caughtUp(): void {
    const { freshness, now, recovery, replica } = this.#context;
    this.#placed();
    this.#sure = replica.log.last;
    this.resume();
    freshness.foundOnHostsLog(this.#hostHasWord, now);
    recovery.caughtUp();
  }

  #gapFound(): void {
    if (this.#context.replica.log.root === 0) this.#displaced();
    else this.#reports.gapFound();
  }

  /**
   * Appends early entries whose turn has come. All of them are from this host, in this epoch and
   * history, and the last entry here is on its log: so they follow.
   */
  #useEarly(): void {
    const { now, replica, snapshots } = this.#context;
    const { log } = replica;
    if (log.root !== this.#early.root || this.#sure < log.last) return;
    for (
      let next = this.#early.at(log.last + 1);
      next && !snapshots.isBlocking;
      next = this.#early.at(log.last + 1)
    ) {
      log.append(next, now);
      this.#sure = log.last;
    }
  }

  /** Hands the page what the host's log has as well. */
  resume(): void {
    this.#context.page.deliver(this.#sure);
  }

  // --- sending ---

  /**
   * Lets the outbox go at the end of the step, so that messages that came together go out together.
   */
  sending(): void {
    this.#hasUnsent = true;
  }

  #send(): void {
    const { epoch, links, now, outbox, paths, replica, settings, timers } = this.#context;
    this.#hasUnsent = false;
    if (outbox.size === 0) return timers.clear("resend");
    if (!this.#hostLeads) return;
    const isRelayed = links.path(this.#host, now) === "relay";
    if (links.isCongested(isRelayed ? "relay" : this.#host)) return;
    for (;;) {
      const x = outbox.next(settings.windowBytes, settings.batchBytes);
      const last = x[x.length - 1];
      if (!last) break;
      const isSent = paths.transmit(this.#host, {
        t: "send",
        e: epoch,
        at: replica.log.place,
        k: this.#reports.heartbeat,
        low: outbox.low,
        x,
      });
      if (!isSent) break;
      outbox.mark(last.n);
      this.#reports.reported();
    }
    timers.soon("resend", now + this.#resendMs);
  }

  // --- events ---

  timer(name: TimerName): void {
    const { outbox, settings } = this.#context;
    switch (name) {
      case "greeting":
        this.#greet();
        break;
      case "ack":
        // A message that is sent in this step is a report as well.
        if (!this.#hasUnsent) this.#reports.report("all is here");
        break;
      case "gap":
        this.#gapFound();
        break;
      case "resend":
        outbox.sent = 0;
        this.#resendMs = Math.min(this.#resendMs * 2, settings.resendMaxMs);
        this.sending();
        break;
      case "suspect":
        this.#suspicion.hostSilent();
        this.#relayWish.update();
        break;
      default:
        break;
    }
  }

  drained(): void {
    this.sending();
  }

  linked(id: PeerId | "relay"): void {
    if (id !== "relay" && id !== this.#host) return;
    this.#relayWish.update();
    // Messages on a failed path are lost, so this member says anew where it stands.
    if (this.#isPlaced) this.#reports.report("all is here");
    else this.#greet();
    this.#context.outbox.sent = 0;
    this.sending();
  }

  opened(): void {
    this.#relayWish.socketOpened();
    this.#suspicion.socketOpened();
    this.linked("relay");
  }

  joined(): void {}

  left(): void {}

  thawed(): void {
    this.#suspicion.postpone();
  }

  flush(): void {
    const { outbox, settings } = this.#context;
    if (this.#hasUnsent) this.#send();
    if (outbox.size === 0) this.#resendMs = settings.resendMs;
    if (this.#isPlaced) this.#reports.reportNews();
  }
}
