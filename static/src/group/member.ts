// A member: takes what the host of this epoch says, in order, and sends what its page sends.

import type { Core } from "./core.ts";
import { same } from "./history.ts";
import type { Role } from "./role.ts";
import type { TimerName } from "./timers.ts";
import type { Entry, Path, PeerId } from "./types.ts";
import type { Ack, At, Beat, Data, Item, Restore, Wire } from "./wire.ts";

type Head = Pick<At, "low" | "x">;

/** A greeting is no larger than a few packets: on a slow line it comes before anything else. */
const HEAD_BYTES = 8 << 10;

export class Member implements Role {
  readonly #core: Core;
  readonly #host: PeerId;
  readonly #began: number;
  /** The host has its own log together, and our last entry is one of its. */
  #anchored = false;
  /** The host's log has ours up to here; what we have beyond may be our own tail from when we hosted. */
  #sure = 0;
  #announced = false;
  #unsent = false;
  /** The host's latest beat. */
  #beat = 0;
  #cause: string;
  /** Who is asked to acknowledge early, for the host's own page waits for it. */
  #witnesses: readonly PeerId[] = [];
  #ahead = new Map<number, Entry>();
  #aheadBytes = 0;
  #aheadRoot = 0;
  #acked = -1;
  #ackedAt = -Infinity;
  #gapAt = -Infinity;
  #helloMs: number;
  #resendMs: number;
  #toldRelay: boolean | undefined;
  /** The server was told on this socket that the host is silent. */
  #suspects = false;

  constructor(core: Core, host: PeerId, cause: string) {
    this.#core = core;
    this.#host = host;
    this.#cause = cause;
    this.#began = core.now;
    this.#helloMs = core.settings.helloMs;
    this.#resendMs = core.settings.resendMs;
  }

  start(): void {
    const { timers, settings, now, outbox } = this.#core;
    outbox.sent = 0;
    timers.set("suspect", now + settings.suspectMs);
    this.#tellRelay();
    this.#hello(this.#head());
  }

  stop(): void {
    this.#core.timers.clear("hello", "ack", "gap", "resend", "suspect");
  }

  receive(from: PeerId, via: Path, message: Wire): void {
    if (from !== this.#host) return;
    const core = this.#core;
    // On its log, the host counts us in, however far behind we are.
    if (this.#anchored) core.confirm();
    else core.touch();
    this.#hears();
    switch (message.t) {
      case "ask":
        this.say(via);
        break;
      case "data":
        this.#onHost();
        this.#onData(message);
        break;
      case "beat":
        this.#onHost();
        this.#onBeat(message);
        break;
      case "restore":
        this.#onHost();
        this.#onRestore(message);
        break;
      case "need":
        core.outbox.sent = Math.min(core.outbox.sent, message.n - 1);
        this.sending();
        break;
      case "pull":
        core.give(this.#host, core.epoch, message.at, via);
        break;
      case "want":
        this.#onWant(message.k, via);
        break;
      case "at":
      case "ack":
      case "send":
      case "fill":
      case "snap":
      case "fence":
      case "bye":
        break;
    }
    this.#tellRelay(via);
  }

  heard(from: PeerId): void {
    if (from !== this.#host) return;
    this.#core.touch();
    this.#hears();
  }

  /** The host speaks: a suspicion of it ends, and the next is that far away. */
  #hears(): void {
    const { timers, now, settings, out, online, epoch } = this.#core;
    timers.set("suspect", now + settings.suspectMs);
    if (this.#suspects && online) out.push({ type: "trust", host: this.#host, epoch });
    this.#suspects = false;
  }

  // --- where we stand ---

  say(via?: Path, head: Head = {}): boolean {
    const core = this.#core;
    // The way the question came is open.
    return core.transmit(this.#host, { t: "at", e: core.epoch, at: core.standing(), ...head }, via);
  }

  /** Returns the head of the outbox, as much as a greeting carries. The host stamps it without asking for it first. */
  #head(): Head {
    const { outbox } = this.#core;
    const x = outbox.next(HEAD_BYTES, HEAD_BYTES);
    return x.length > 0 && (x[0] as Item).z <= HEAD_BYTES ? { low: outbox.low, x } : {};
  }

  /** Until the host has us on its log: say where we stand. */
  #hello(head: Head = {}): void {
    const { timers, now, settings, outbox } = this.#core;
    const last = head.x?.at(-1);
    if (this.say(undefined, head) && last) {
      outbox.mark(last.n);
      timers.soon("resend", now + this.#resendMs);
    }
    timers.set("hello", now + this.#helloMs);
    this.#helloMs = Math.min(this.#helloMs * 1.5, settings.restoreRepeatMs * 2);
  }

  #anchor(): void {
    const core = this.#core;
    if (!this.#anchored) {
      this.#anchored = true;
      this.#helloMs = core.settings.helloMs;
      core.timers.clear("hello");
    }
    core.stale = false;
  }

  /** Out of step: the host must fill or restore us. */
  #adrift(): void {
    if (this.#anchored || !this.#core.timers.has("hello")) {
      this.#anchored = false;
      this.#hello();
    }
  }

  // --- what the host says ---

  #onHost(): void {
    const core = this.#core;
    if (!this.#announced) {
      this.#announced = true;
      core.notice({
        kind: "host",
        host: this.#host,
        epoch: core.epoch,
        isHost: false,
        cause: this.#cause,
        tookMs: core.now - this.#began,
      });
    }
    // The host stamps only what comes from one standing on its log, so its first word of a new epoch lets the outbox go.
    this.sending();
  }

  #onBeat({ at, sent, w, k, cause }: Beat): void {
    const core = this.#core;
    this.#beat = Math.max(this.#beat, k);
    const { log } = core;
    if (this.#cause === "") this.#cause = cause;
    this.#witnesses = w;
    core.highest = Math.max(core.highest, at.s);
    if (at.r !== log.root) return this.#adrift();
    if (at.s < log.last || (at.s === log.last && log.epochAt(at.s) !== at.e)) return this.#adrift();
    if (at.s === log.last) this.#caughtUp();
    else if (sent > log.last) this.#gap();
    if (
      (w.includes(core.id) && this.#acked < log.last) ||
      core.now - this.#ackedAt >= core.settings.relayAckMs
    )
      this.#ack(false);
  }

  #onData({ r, p, s, x }: Data): void {
    const core = this.#core;
    const { log } = core;
    // We ask again when it is done.
    if (core.blocked()) return;
    const before = log.last;
    const fit = core.absorb(r, p, s, x);
    if (fit === "foreign" || fit === "fork") {
      if (log.root === 0) this.#keep(r, x);
      return this.#adrift();
    }
    if (fit === "gap") {
      this.#keep(r, x);
      return this.#gap();
    }
    this.#anchor();
    this.#sure = Math.max(this.#sure, s + x.length - 1);
    this.#useKept();
    this.resume();
    core.confirm();
    this.#dropKept();
    if (log.last === before) return;
    this.#report();
  }

  #onRestore({ heal, snap }: Restore): void {
    const core = this.#core;
    if (!same(heal, core.log.place)) return;
    core.install(snap);
    this.#anchor();
    this.#sure = snap.s;
    core.confirm();
    // That has been told already.
    core.lost = undefined;
    this.#useKept();
    this.resume();
    core.outbox.sent = 0;
    this.#ack(this.#ahead.size > 0);
    this.sending();
  }

  #onWant(k: number, via: Path): void {
    const core = this.#core;
    const epoch = core.epoch;
    core.ask((snap) => {
      if (core.epoch === epoch) core.transmit(this.#host, { t: "snap", e: epoch, k, snap }, via);
    });
  }

  /** Standing where the host stands. */
  #caughtUp(): void {
    const core = this.#core;
    this.#anchor();
    this.#sure = core.log.last;
    this.resume();
    core.confirm();
    core.caughtUp();
  }

  // --- entries before their turn ---

  #keep(root: number, entries: readonly Entry[]): void {
    const { settings, log } = this.#core;
    if (root !== this.#aheadRoot) {
      this.#ahead.clear();
      this.#aheadBytes = 0;
      this.#aheadRoot = root;
    }
    for (const entry of entries) {
      if (entry.s <= log.last || this.#ahead.has(entry.s)) continue;
      if (
        this.#ahead.size >= settings.aheadCount ||
        this.#aheadBytes + entry.z > settings.aheadBytes
      )
        return;
      this.#ahead.set(entry.s, entry);
      this.#aheadBytes += entry.z;
    }
  }

  /** All of them come from this host, in this epoch and history, and our last entry is on its log: they follow. */
  #useKept(): void {
    const { log, now } = this.#core;
    if (log.root !== this.#aheadRoot || this.#sure < log.last) return;
    for (
      let next = this.#ahead.get(log.last + 1);
      next && !this.#core.blocked();
      next = this.#ahead.get(log.last + 1)
    ) {
      log.append(next, now);
      this.#sure = log.last;
    }
  }

  #dropKept(): void {
    if (this.#ahead.size === 0) return;
    const { log } = this.#core;
    for (const [seq, entry] of this.#ahead) {
      if (seq > log.last) continue;
      this.#ahead.delete(seq);
      this.#aheadBytes -= entry.z;
    }
  }

  /** Hand the page what the host's log has, too. */
  resume(): void {
    this.#core.deliver(this.#sure);
  }

  // --- reports ---

  #ack(gap: boolean): void {
    const core = this.#core;
    const message: Ack = { t: "ack", e: core.epoch, at: core.log.place, gap, k: this.#beat };
    if (!core.transmit(this.#host, message)) return;
    this.#reported();
  }

  #reported(): void {
    const core = this.#core;
    this.#acked = core.log.last;
    this.#ackedAt = core.now;
    core.timers.clear("ack");
  }

  /** The sender does, first: its page may say the next thing now, which says this, too. For the host's own one witness does, at once. */
  #report(): void {
    const { id, log, timers, now } = this.#core;
    const sender = log.at(log.last)?.f;
    if (sender === id) timers.soon("ack", now + 1);
    else if (sender === this.#host && id === this.#witnesses[0]) this.#ack(false);
    else this.#ackSoon();
  }

  #ackSoon(): void {
    const { id, timers, links, now, settings } = this.#core;
    const wait = this.#witnesses.includes(id)
      ? settings.witnessAckMs
      : links.good(this.#host, now)
        ? settings.ackMs
        : settings.relayAckMs;
    timers.soon("ack", now + wait);
  }

  #gap(): void {
    const { timers, settings, now, log } = this.#core;
    if (log.root === 0) return this.#adrift();
    if (now - this.#gapAt < settings.gapMs) return timers.soon("gap", this.#gapAt + settings.gapMs);
    this.#gapAt = now;
    this.#ack(true);
  }

  /** The server is to relay to us unless the host reaches us by itself. */
  #tellRelay(via?: Path): void {
    const { links, now, out } = this.#core;
    this.#core.tellPath(this.#host);
    const good = links.good(this.#host, now);
    if (good && via !== "p2p" && this.#toldRelay !== false) return;
    if (this.#toldRelay === !good) return;
    this.#toldRelay = !good;
    out.push({ type: "relayWanted", wanted: !good });
  }

  // --- sending ---

  /** What came together goes out together, at the end of the step. */
  sending(): void {
    this.#unsent = true;
  }

  #send(): void {
    const core = this.#core;
    this.#unsent = false;
    const { outbox, settings, timers } = core;
    if (outbox.size === 0) return timers.clear("resend");
    if (!this.#announced) return;
    if (
      core.links.pressed(core.links.path(this.#host, core.now) === "relay" ? "relay" : this.#host)
    )
      return;
    for (;;) {
      const x = outbox.next(settings.windowBytes, settings.batchBytes);
      const last = x[x.length - 1];
      if (
        !last ||
        !core.transmit(this.#host, {
          t: "send",
          e: core.epoch,
          at: core.log.place,
          k: this.#beat,
          low: outbox.low,
          x,
        })
      )
        break;
      outbox.mark(last.n);
      this.#reported();
    }
    timers.soon("resend", core.now + this.#resendMs);
  }

  // --- events ---

  timer(name: TimerName): void {
    const core = this.#core;
    const { timers, settings, now, outbox } = core;
    switch (name) {
      case "hello":
        this.#hello();
        break;
      case "ack":
        // What is sent in this step says it.
        if (!this.#unsent) this.#ack(false);
        break;
      case "gap":
        this.#gap();
        break;
      case "resend":
        outbox.sent = 0;
        this.#resendMs = Math.min(this.#resendMs * 2, settings.resendMaxMs);
        this.sending();
        break;
      case "suspect":
        this.#suspect();
        this.#tellRelay();
        timers.set("suspect", now + settings.suspectMs);
        break;
      default:
        break;
    }
  }

  #suspect(): void {
    const core = this.#core;
    if (!core.online) return;
    // A server that has not heard of this epoch is told by our claim.
    if (core.told < core.epoch) return;
    this.#suspects = true;
    core.out.push({ type: "suspect", host: this.#host, epoch: core.epoch });
  }

  drained(): void {
    this.sending();
  }

  linked(id: PeerId | "relay"): void {
    if (id !== "relay" && id !== this.#host) return;
    this.#tellRelay();
    // Whatever was under way on the way that failed is lost; say anew where we are.
    if (this.#anchored) this.#ack(false);
    else this.#hello();
    this.#core.outbox.sent = 0;
    this.sending();
  }

  opened(): void {
    this.#toldRelay = undefined;
    // A suspicion ends with the socket it was said on.
    this.#suspects = false;
    this.linked("relay");
  }

  joined(): void {}

  left(): void {}

  thawed(): void {
    const { timers, settings, now } = this.#core;
    timers.set("suspect", now + settings.suspectMs);
  }

  flush(): void {
    const { log, outbox } = this.#core;
    if (this.#unsent) this.#send();
    if (outbox.size === 0) this.#resendMs = this.#core.settings.resendMs;
    if (this.#anchored && log.last > this.#acked) this.#ackSoon();
  }
}
