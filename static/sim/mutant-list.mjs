// The ways in which `mutants.mjs` breaks the protocol, as changes of the text of static/src/group.

/**
 * Replaces `from` by `to` in `text`. White space and trailing commas may differ, so that a formatter
 * does not break the list. Throws if `from` is not there.
 */
export function change(text, from, to) {
  const tokens = from.match(/\w+|[^\w\s]/g) ?? [];
  const source = tokens
    .map((token) => token.replace(/[^\w]/g, "\\$&"))
    .map((token, i) => (i > 0 && /^\\[)\]}]$/.test(token) ? `,?\\s*${token}` : token))
    .join("\\s*");
  const pattern = new RegExp(source);
  if (!pattern.test(text)) throw new Error(`not found: ${from}`);
  return text.replace(pattern, () => to);
}

const FURTHER = "const further = at.e !== longest.e ? at.e - longest.e : at.s - longest.s;";

export const mutants = [
  {
    name: "a new host keeps its own log and skips the fill",
    edits: [
      [
        "takeover.ts",
        "return this.#pullFrom(givers.get(giver) as PeerId, giver.r, !fills(giver, own));",
        "",
      ],
    ],
  },
  {
    name: "a new host takes the best log from its holder alone",
    edits: [
      ["takeover.ts", "if (chosen.snap || fills(chosen, own)) return chosen;", "return chosen;"],
    ],
  },
  {
    name: "a new host takes the shortest log",
    edits: [
      ["history.ts", "!lies(must, at)", "at.r !== must.r"],
      [
        "history.ts",
        FURTHER,
        "const further = at.e !== longest.e ? longest.e - at.e : longest.s - at.s;",
      ],
    ],
  },
  {
    name: "a new host ranks logs by length and not by epoch",
    edits: [
      ["history.ts", "!lies(must, at)", "at.r !== must.r"],
      ["history.ts", FURTHER, "const further = at.s - longest.s;"],
      ["history.ts", "return x.e !== y.e ? x.e > y.e : x.s > y.s;", "return x.s > y.s;"],
    ],
  },
  {
    name: "a stamped tail nobody delivered goes before what was delivered",
    edits: [["history.ts", "!lies(must, at)", "at.r !== must.r"]],
  },
  {
    name: "a new host waits for nobody's answer",
    edits: [["takeover.ts", `if (this.#step === "ask" && this.#waiting().length > 0) return;`, ""]],
  },
  {
    name: "a new host stamps filled entries again",
    edits: [
      [
        "takeover.ts",
        "this.#core.absorb(r, p, s, x)",
        "this.#core.absorb(r, p, s, x.map((entry) => ({ ...entry, e: this.#core.epoch })))",
      ],
    ],
  },
  {
    name: "older epochs are accepted",
    edits: [
      ["group.ts", "if (message.e < core.epoch) return this.#old(from, message);", ""],
      ["member.ts", "if (from !== this.#host) return;", ""],
    ],
  },
  {
    name: "a later epoch is believed from a member",
    edits: [
      [
        "group.ts",
        "if (message.e > core.epoch) return this.#later();",
        'if (message.e > core.epoch) this.#adopt(message.e, from, "", undefined, false);',
      ],
    ],
  },
  {
    name: "a deposed host is never waited for",
    edits: [
      [
        "takeover.ts",
        "!(peer.id === this.deposed && SILENT.has(this.cause))",
        "peer.id !== this.deposed",
      ],
    ],
  },
  {
    name: "who stands where a history was founded is taken to have it",
    edits: [
      [
        "history.ts",
        "return r === 0 || (line.length === 1 && line[0]?.[1] === s);",
        "return r === 0;",
      ],
    ],
  },
  {
    name: "who is given no state starts before the histories part",
    edits: [
      ["core.ts", "const seq = Math.max(common(at, log), log.base);", "const seq = log.base;"],
    ],
  },
  {
    name: "repeats are not recognised",
    edits: [["stamper.ts", "let next = this.count(peer.id) + 1;", "let next = items[0]?.n ?? 1;"]],
  },
  {
    name: "the dedupe table is not in the snapshot",
    edits: [
      [
        "ledger.ts",
        "for (const [id, n] of snap.counts) {",
        'for (const [id, n] of [] as Snapshot["counts"]) {',
      ],
    ],
  },
  {
    name: "n is stamped without n - 1",
    edits: [["stamper.ts", "peer.hold(item, share);\n        continue;", "next = item.n;"]],
  },
  {
    name: "the host delivers before anyone has it",
    edits: [["host.ts", "if (this.#acked >= log.last) return log.last;", "return log.last;"]],
  },
  {
    name: "a host without its seat delivers alone",
    edits: [["host.ts", "if (!seated) return this.#acked;", "if (!seated) return log.last;"]],
  },
  {
    name: "a lone host does not ask the server whether it still is",
    edits: [
      [
        "host.ts",
        "const limit = Math.max(this.#acked, this.#proof.seq);",
        "const limit = log.last;",
      ],
    ],
  },
  {
    name: "a thawed host believes an old answer",
    edits: [["proof.ts", "if (late || slept) {", "if (false) {"]],
  },
  {
    name: "a thawed host takes its history for the group's",
    edits: [["host.ts", "if (core.unsure || this.#phase", "if (this.#phase"]],
  },
  {
    name: "a deposed host hands its page the tail it stamped",
    edits: [
      ["member.ts", "this.#core.deliver(this.#sure);", "this.#core.deliver(this.#core.log.last);"],
    ],
  },
  {
    name: "a history is fresh again for having been handed on",
    edits: [["takeover.ts", "if (peer?.at) this.#core.inherit(peer.saidAt - peer.at.age);", ""]],
  },
  {
    name: "a host goes back to the younger history it stamped in this epoch",
    edits: [
      ["takeover.ts", "this.stamped ? { ...own, stale: false } : own", "own"],
      ["takeover.ts", "if (this.stamped && core.abandoned.has(peer.at.r)) continue;", ""],
      ["takeover.ts", "if (snap.r !== this.#root) {", "if (false) {"],
    ],
  },
  {
    name: "a host is restored to the younger history it stamped in this epoch",
    edits: [["takeover.ts", "if (snap.r !== this.#root) {", "if (false) {"]],
  },
  {
    name: "a host is restored to before what it stamped in this epoch",
    edits: [
      [
        "takeover.ts",
        "if (snap.r !== this.#root) {",
        "if (this.stamped && snap.r > this.#core.log.root) {",
      ],
    ],
  },
  {
    name: "a host asks over a channel that does not answer, and no other way",
    edits: [["takeover.ts", 'dead ? "relay" : undefined', "undefined"]],
  },
  {
    name: "a host that is told of an earlier epoch waits for the server to find out",
    edits: [["group.ts", 'else if (name === "claim") core.claim();', ""]],
  },
  {
    name: "cut off together with its host, a sender forgets what it sent",
    edits: [
      ["core.ts", "if (this.online && this.told === this.epoch) this.confirmed", "this.confirmed"],
    ],
  },
  {
    name: "a host that came late hands on nothing older",
    edits: [
      ["host.ts", "if (upTo >= at.done && this.#backfill.request(peer, at, upTo)) return;", ""],
    ],
  },
  {
    name: "a host back from a break asks nobody it has not heard since for what is older than its log",
    edits: [
      ["backfill.ts", "const givers = near.length > 0 ? near : have;", "const givers = near;"],
    ],
  },
  {
    name: "a host that has stamped nothing takes no state of one that comes later with more than it has",
    edits: [["host.ts", "return at.base > upTo;", "return false;"]],
  },
  {
    name: "one long away is not heard with what it has beyond the log of the one who is named",
    edits: [
      [
        "history.ts",
        "if (!lies(must, at)) continue;",
        "if (at.stale !== seen.stale || !lies(must, at)) continue;",
      ],
    ],
  },
  {
    name: "a history just founded goes before an older one that was away for long",
    edits: [
      ["history.ts", "if (a.r !== b.r && Math.max(a.r, b.r) > young) return a.r < b.r;", ""],
      ["history.ts", "(!other.stale || own.r > young)", "!other.stale"],
    ],
  },
  {
    name: "what a table says without a state counts as handed to the page",
    edits: [
      [
        "core.ts",
        "if (snap.has) this.handed = Ledger.read(snap, this.now);",
        "this.handed = Ledger.read(snap, this.now);",
      ],
    ],
  },
  {
    name: "a giver that is in the middle of its state is given up",
    edits: [
      [
        "host.ts",
        'if (this.#phase === "taking") this.#takeover.heard(from);\n    else this.#restorer.heard(from);',
        "",
      ],
    ],
  },
  {
    name: "what follows a state that is on its way is not kept for it",
    edits: [["host.ts", "core.hold = this.#restorer.hold;", ""]],
  },
  {
    name: "a new host does not wait for one that nothing is relayed to",
    edits: [["takeover.ts", "this.#relays(peer) ? settings.askMs : dialMs", "settings.askMs"]],
  },
  {
    name: "a host that waits for a state says nothing to those who hear it over data channels alone",
    edits: [
      [
        "takeover.ts",
        '!this.#relays(peer) || (!peer.at && this.#step !== "pull")',
        '!peer.at && this.#step !== "pull"',
      ],
    ],
  },
  {
    name: "who is out of touch forgets who left",
    edits: [
      [
        "core.ts",
        "this.applied.prune(confirmed - 2 * this.resumeMs, settings.goneCount)",
        "this.applied.prune(now - 2 * this.resumeMs, 0)",
      ],
    ],
  },
  {
    name: "a conflicting tail is kept",
    edits: [
      ["core.ts", "if (log.epochAt(entry.s) === entry.e) continue;", "continue;"],
      ["core.ts", "if (log.epochAt(first - 1) !== prev) {", "if (false) {"],
    ],
  },
  {
    name: "the entry before is not checked",
    edits: [["core.ts", "if (log.epochAt(first - 1) !== prev) {", "if (false) {"]],
  },
  {
    name: "the log is trimmed too early",
    edits: [
      [
        "core.ts",
        "const before = Math.min(since, this.assured) - 1.5 * this.resumeMs;",
        "const before = now - 300;",
      ],
    ],
  },
  {
    name: "what the server said before a snapshot was made counts after it",
    edits: [["host.ts", "resume(): void {\n    this.#proof.void();", "resume(): void {"]],
  },
  {
    name: "a sender forgets what it handed to a host that died",
    edits: [
      ["member.ts", 'outbox.sent = 0;\n    timers.set("suspect"', 'timers.set("suspect"'],
      ["member.ts", "outbox.sent = 0;\n        this.#resendMs", "this.#resendMs"],
      ["member.ts", "this.#core.outbox.sent = 0;\n    this.sending();", "this.sending();"],
    ],
  },
  {
    name: "messages of a history given up are not sent again",
    edits: [
      [
        "outbox.ts",
        "const again = lost.filter((item) => item.n > this.#doubted && item.n > n);",
        "const again: Kept[] = [];",
      ],
    ],
  },
  {
    name: "a message counts though its sender stands elsewhere",
    edits: [["host.ts", "if (send.at.r !== 0 && !lies(send.at, log)) return this.#ask(peer);", ""]],
  },
  {
    name: "what a sender gave up is waited for",
    edits: [["stamper.ts", "if (low > next) next = low;", ""]],
  },
  {
    name: "delivery goes on while the page makes its snapshot",
    edits: [
      [
        "core.ts",
        "while (this.delivered < end && !this.#asking) {",
        "while (this.delivered < end) {",
      ],
    ],
  },
  {
    name: "what waited for a snapshot is delivered when its history is given up",
    edits: [
      [
        "core.ts",
        "this.#asked(null);\n    // Without a state",
        "this.unasked();\n    // Without a state",
      ],
    ],
  },
  {
    name: "who starts anew without a state is not handed first what it has of that history",
    edits: [["core.ts", "if (!snap.has) this.deliver(common(this.standing(), snap));", ""]],
  },
  {
    name: "a restore is taken wherever one stands",
    edits: [["member.ts", "if (!same(heal, core.log.place)) return;", ""]],
  },
  {
    name: "a snapshot older than the kept log is used",
    edits: [
      [
        "restorer.ts",
        "if (snap && snap.s >= core.log.base && lies(snap, core.log) && core.now",
        "if (snap && core.now",
      ],
    ],
  },
  {
    name: "early entries of another history are kept",
    edits: [
      ["member.ts", "if (root !== this.#aheadRoot) {", "if (false) {"],
      ["member.ts", "if (log.root !== this.#aheadRoot || this.#sure < log.last) return;", ""],
    ],
  },
  {
    name: "a member told that something is missing gives snapshots",
    edits: [
      [
        "core.ts",
        "return this.able && this.whole && this.#refused < REFUSALS;",
        "return this.able && this.#refused < REFUSALS;",
      ],
    ],
  },
  {
    name: "out of touch, entries are trimmed by age",
    edits: [
      [
        "core.ts",
        "const before = Math.min(since, this.assured) - 1.5 * this.resumeMs;",
        "const before = since - 1.5 * this.resumeMs;",
      ],
    ],
  },
  {
    name: "away for long, a member forgets what it sent",
    edits: [
      [
        "outbox.ts",
        "const items = this.#drop(this.#tried);",
        "const items = this.#drop(this.#tried);\n    this.#kept = [];",
      ],
    ],
  },
  {
    name: "away for long, a member sends again what others may have",
    edits: [
      [
        "outbox.ts",
        "const again = lost.filter((item) => item.n > this.#doubted && item.n > n);",
        "const again = lost;",
      ],
    ],
  },
  {
    name: "what was to be sent again, and was not before its sender was away for long, is not told",
    edits: [
      [
        "outbox.ts",
        "if (place) this.#keep(",
        "if (!place) continue;\n      if (false) this.#keep(",
      ],
    ],
  },
  {
    name: "a provisional history gives way as any other",
    edits: [
      [
        "history.ts",
        "return isProvisional(own) && other.provisional === undefined;",
        "return false;",
      ],
      ["history.ts", "return provisional.size > 0 && ", "return false && "],
    ],
  },
  {
    name: "a host keeps a provisional history when one comes with another",
    edits: [["history.ts", "if (isOlderThanServer(other, own)) return true;", ""]],
  },
  {
    name: "a new host does not look for a history from before the server began",
    edits: [["history.ts", "return provisional.size > 0 && ", "return false && "]],
  },
  {
    name: "a history from before the server began gives way to a provisional one of a lower number",
    edits: [
      [
        "history.ts",
        "if (isOlderThanServer(other, own)) return true;\n  return other.r < own.r && !isOlderThanServer(own, other)",
        "return other.r < own.r",
      ],
      ["history.ts", "return provisional.size > 0 && ", "return false && "],
    ],
  },
  {
    name: "a provisional history and what was sent in it are trimmed by age",
    edits: [["core.ts", "const since = this.mark.provisional ? 0 : now;", "const since = now;"]],
  },
  {
    name: "who follows a provisional history does not know that it is",
    edits: [
      [
        "core.ts",
        "this.provisional.take(snap.provisional, this.now)",
        "this.provisional.take(undefined, this.now)",
      ],
    ],
  },
  {
    name: "a history stays provisional when the server begins again",
    edits: [
      [
        "provisional.ts",
        "this.#began = began;\n      this.#until = -Infinity;",
        "this.#began = began;",
      ],
    ],
  },
  {
    name: "a host goes back to a provisional history that it stamped in and left",
    edits: [
      [
        "core.ts",
        "if (snap.r !== log.root && !isEmpty({ r: log.root, s: log.last, line: log.line })) this.abandoned.add(log.root);",
        "",
      ],
    ],
  },
  {
    name: "what others sent again is listed as lost",
    edits: [
      [
        "given-up.ts",
        'if (given === "no" || held === "yes" || (mine && outbox.sends(n))) continue;',
        "if (mine && outbox.sends(n)) continue;",
      ],
      [
        "given-up.ts",
        'if (held === "no" && given === "yes") lost.push(',
        'if (held !== "unsure" && given === "yes") lost.push(',
      ],
    ],
  },
  {
    name: "a message given up that comes back after all is not kept",
    edits: [
      [
        "outbox.ts",
        "if (item.n <= this.#doubted && this.#kept.at(-1)?.n !== item.n)",
        "if (false)",
      ],
    ],
  },
  {
    name: "what the page was not handed, since a later message of its sender was, is listed as lost",
    edits: [
      ["given-up.ts", 'if (given === "no" || held', "if (held"],
      ["given-up.ts", 'held === "no" && given === "yes"', 'held === "no"'],
    ],
  },
  {
    name: "what is sent again is listed as lost, too",
    edits: [
      [
        "given-up.ts",
        'if (given === "no" || held === "yes" || (mine && outbox.sends(n))) continue;',
        'if (given === "no" || held === "yes") continue;',
      ],
    ],
  },
  {
    name: "what was trimmed is not said to be lost",
    edits: [
      [
        "given-up.ts",
        "!holdsBase(id, log, outbox, ledger)) lostMore = true;",
        "!holdsBase(id, log, outbox, ledger)) lostMore = false;",
      ],
    ],
  },
  {
    name: "what a sender gave up counts as held by the history it went on in",
    edits: [
      [
        "ledger.ts",
        "if (n > count.n || count.gaps.some(([first, last]) => n >= first && n <= last)) return",
        "if (n > count.n) return",
      ],
    ],
  },
  {
    name: "a sender that was forgotten counts as one that never sent",
    edits: [["ledger.ts", 'return this.#forgot ? "unsure" : "no";', 'return "no";']],
  },
  {
    name: "a host whose claim is not believed goes on stamping",
    edits: [
      [
        "host.ts",
        'if (this.#phase !== "stamping" || core.denied) return;',
        'if (this.#phase !== "stamping") return;',
      ],
      ["host.ts", "if (core.denied) return;", ""],
    ],
  },
  {
    name: "a claim that is not believed is made every two seconds",
    edits: [["core.ts", "settings.suspectMs * 2 ** (this.#denied - 1)", "settings.suspectMs"]],
  },
  {
    name: "a page that was handed more than is in the history it founds gives snapshots",
    edits: [["core.ts", "this.whole = this.handed.isEmpty;", "this.whole = true;"]],
  },
  {
    name: "a suspicion is never taken back",
    edits: [["member.ts", "if (this.#suspects && online) out.push", "if (false) out.push"]],
  },
  {
    name: "a suspicion said on an earlier socket is taken back on the next",
    edits: [
      ["member.ts", 'this.#suspects = false;\n    this.linked("relay");', 'this.linked("relay");'],
    ],
  },
  {
    name: "a ping of the host's page takes a suspicion back",
    edits: [
      [
        "group.ts",
        'case "alive": core.links.heard(event.id, core.now); break;',
        'case "alive": this.#heard(event.id, "p2p"); break;',
      ],
    ],
  },
  {
    name: "pings do not keep a channel in use",
    edits: [
      [
        "group.ts",
        'case "alive": core.links.heard(event.id, core.now); break;',
        'case "alive": break;',
      ],
    ],
  },
  {
    name: "a new host waits no longer for channels than before, whatever the server calls fair",
    edits: [
      [
        "takeover.ts",
        "this.#relays(peer) ? settings.askMs : dialMs",
        "this.#relays(peer) ? settings.askMs : settings.askDialMs",
      ],
      ["takeover.ts", "askMs ? askMs : dialMs", "askMs ? askMs : settings.askDialMs"],
    ],
  },
  {
    name: "a change of host ends dials and channels",
    edits: [["../targets.ts", "const KEEP_MS = 30_000;", "const KEEP_MS = 100;"]],
  },
  {
    name: "the host ends channels that its members rely on",
    edits: [["../channels.ts", "if (this.#isServing) return false;", ""]],
  },
  {
    name: "the deputy is not dialled",
    edits: [["../channels.ts", "new Set([host, deputy].filter", "new Set([host].filter"]],
  },
  {
    name: "a dial has 8 s, whatever the server calls fair",
    edits: [["../channels.ts", "this.#dialMs = Math.max(DIAL_MS, fairMs);", ""]],
  },
  {
    name: "a greeting carries nothing of what waits",
    edits: [["member.ts", "this.#hello(this.#head());", "this.#hello();"]],
  },
  {
    name: "what a greeting carried is not said again when it is lost",
    edits: [
      ["member.ts", 'timers.soon("resend", now + this.#resendMs);\n    }', "}"],
      ["member.ts", "outbox.sent = 0;\n        this.#resendMs", "this.#resendMs"],
    ],
  },
  {
    name: "the model of the server forgets no suspicion",
    edits: [
      [
        "../../sim/reach.ts",
        "  trust(session: Session): void {\n    this.#suspecting.delete(session);",
        "  trust(_: Session): void {",
      ],
    ],
  },
  {
    name: "the model of the server lets a suspicion count at once",
    edits: [
      [
        "../../sim/reach.ts",
        "(this.#suspecting.get(session) ?? Infinity) + this.fairMs",
        "(this.#suspecting.get(session) ?? Infinity)",
      ],
    ],
  },
];
