// The mutants of `mutants.mjs`: each breaks the protocol by changes of the text of static/src/group.

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
    name: "a new host ranks logs by length instead of epoch",
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
    edits: [
      ["takeover.ts", `if (this.#phase === "ask" && this.#waiting().length > 0) return;`, ""],
    ],
  },
  {
    name: "a new host stamps filled entries again",
    edits: [
      [
        "takeover.ts",
        "replica.absorb(fill, now)",
        "replica.absorb({ ...fill, x: fill.x.map((entry) => ({ ...entry, e: this.#context.epoch })) }, now)",
      ],
    ],
  },
  {
    name: "older epochs are accepted",
    edits: [
      ["group.ts", "if (message.e < server.epoch) return this.#old(from, message);", ""],
      ["member.ts", "if (from !== this.#host) return;", ""],
    ],
  },
  {
    name: "a later epoch is believed from a member",
    edits: [
      [
        "group.ts",
        "if (message.e > server.epoch) return this.#later();",
        `if (message.e > server.epoch)
          this.#adopt({ epoch: message.e, host: from, cause: "", roster: undefined, isFirst: false });`,
      ],
    ],
  },
  {
    name: "a deposed host is never waited for",
    edits: [
      ["takeover.ts", "!(follower.id === deposed && SILENT.has(cause))", "follower.id !== deposed"],
    ],
  },
  {
    name: "a member that stands where a history was founded is taken to have it",
    edits: [
      [
        "history.ts",
        "return r === 0 || (line.length === 1 && line[0]?.[1] === s);",
        "return r === 0;",
      ],
    ],
  },
  {
    name: "a member without a state starts before the histories part",
    edits: [
      ["replica.ts", "const seq = Math.max(common(at, log), log.base);", "const seq = log.base;"],
    ],
  },
  {
    name: "repeats are not recognised",
    edits: [
      ["stamper.ts", "let next = this.count(follower.id) + 1;", "let next = items[0]?.n ?? 1;"],
    ],
  },
  {
    name: "the dedupe table is not in the snapshot",
    edits: [
      [
        "dedupe-table.ts",
        "for (const [id, n] of snap.counts) {",
        'for (const [id, n] of [] as Snapshot["counts"]) {',
      ],
    ],
  },
  {
    name: "n is stamped without n - 1",
    edits: [
      ["stamper.ts", "follower.keepEarly(item, share);\n        continue;", "next = item.n;"],
    ],
  },
  {
    name: "the host delivers before anyone has it",
    edits: [
      [
        "delivery-limit.ts",
        "if (this.#acknowledged >= log.last) return log.last;",
        "return log.last;",
      ],
    ],
  },
  {
    name: "a host without its seat delivers alone",
    edits: [
      [
        "delivery-limit.ts",
        "if (!server.isSeated) return this.#acknowledged;",
        "if (!server.isSeated) return log.last;",
      ],
    ],
  },
  {
    name: "a lone host does not ask the server whether it still is",
    edits: [
      [
        "delivery-limit.ts",
        "const limit = Math.max(this.#acknowledged, this.#proof.seq);",
        "const limit = log.last;",
      ],
    ],
  },
  {
    name: "a thawed host believes an old answer",
    edits: [["proof.ts", "if (isLate || isDiscarded) {", "if (false) {"]],
  },
  {
    name: "a thawed host takes its history for the group's",
    edits: [
      ["host.ts", "if (freshness.isUnsure || !this.leads) return;", "if (!this.leads) return;"],
    ],
  },
  {
    name: "a deposed host hands its page the tail it stamped",
    edits: [
      [
        "member.ts",
        "this.#context.page.deliver(this.#sure);",
        "this.#context.page.deliver(this.#context.replica.log.last);",
      ],
    ],
  },
  {
    name: "a history is fresh again for having been handed on",
    edits: [
      [
        "takeover.ts",
        "if (follower?.at) freshness.inherited(follower.saidAt - follower.at.age);",
        "",
      ],
    ],
  },
  {
    name: "a host goes back to the younger history it stamped in this epoch",
    edits: [
      ["takeover.ts", "this.#isRepeated ? { ...own, stale: false, alone: false } : own", "own"],
      ["takeover.ts", "if (this.#isRepeated && replica.hasAbandoned(at.r)) continue;", ""],
      ["takeover.ts", "if (snap.r !== source.root) {", "if (false) {"],
    ],
  },
  {
    name: "a host is restored to the younger history it stamped in this epoch",
    edits: [["takeover.ts", "if (snap.r !== source.root) {", "if (false) {"]],
  },
  {
    name: "a host is restored to before what it stamped in this epoch",
    edits: [
      [
        "takeover.ts",
        "if (snap.r !== source.root) {",
        "if (this.#isRepeated && snap.r > replica.log.root) {",
      ],
    ],
  },
  {
    name: "a host asks over a silent data channel, and on no other path",
    edits: [["takeover.ts", 'isDead ? "relay" : undefined', "undefined"]],
  },
  {
    name: "a host that is told of an earlier epoch waits for the server to find out",
    edits: [["group.ts", "claim.repeat();", ""]],
  },
  {
    name: "a sender that is cut off together with its host forgets its messages",
    edits: [["freshness.ts", "if (!hasWord || !this.#server.confirmsEpoch) return;", ""]],
  },
  {
    name: "a host that joined late hands on no older entries",
    edits: [
      [
        "distribution.ts",
        "if (upTo >= at.done && this.#backfill.request(follower, at, upTo)) return;",
        "",
      ],
    ],
  },
  {
    name: "a host back from a break asks no member that it has not heard since for older entries",
    edits: [
      ["backfill.ts", "const givers = near.length > 0 ? near : have;", "const givers = near;"],
    ],
  },
  {
    name: "a host that has stamped nothing takes no snapshot of a later member that has more",
    edits: [["late-answer.ts", "return at.base > upTo;", "return false;"]],
  },
  {
    name: "a stale log is not taken, though it continues the new host's own",
    edits: [
      [
        "history.ts",
        "if (!lies(must, at)) continue;",
        "if (at.stale !== seen.stale || !lies(must, at)) continue;",
      ],
    ],
  },
  {
    name: "a young history goes before an older one that was away for long",
    edits: [
      ["history.ts", "if (a.r !== b.r && Math.max(a.r, b.r) > young) return a.r < b.r;", ""],
      ["history.ts", "(!other.stale || own.r > young)", "!other.stale"],
    ],
  },
  {
    name: "a dedupe table without a state counts as handed to the page",
    edits: [
      [
        "replica.ts",
        "if (snap.has) this.#handed = DedupeTable.read(snap, now);",
        "this.#handed = DedupeTable.read(snap, now);",
      ],
    ],
  },
  {
    name: "a giver in the middle of its snapshot is given up",
    edits: [
      [
        "host.ts",
        "if (this.leads) this.#distribution.heard(from);\n    else this.#takeover.heard(from);",
        "",
      ],
    ],
  },
  {
    name: "entries after a snapshot on its way are not kept for it",
    edits: [["host.ts", "replica.keepAfter(this.#distribution.neededAfter);", ""]],
  },
  {
    name: "a new host does not wait for a member without the relay",
    edits: [
      [
        "takeover.ts",
        "this.#isRelayed(follower) ? settings.askMs : server.fairDialMs",
        "settings.askMs",
      ],
    ],
  },
  {
    name: "a host that waits for a snapshot is silent to members without the relay",
    edits: [
      [
        "takeover.ts",
        '!this.#isRelayed(follower) || (!follower.at && this.#phase !== "pull")',
        '!follower.at && this.#phase !== "pull"',
      ],
    ],
  },
  {
    name: "a member out of touch forgets senders that left",
    edits: [
      [
        "retention.ts",
        "replica.forgetSenders(confirmed - 2 * resumeMs, settings.goneCount)",
        "replica.forgetSenders(now - 2 * resumeMs, 0)",
      ],
    ],
  },
  {
    name: "a conflicting tail is kept",
    edits: [
      ["replica.ts", "if (log.epochAt(entry.s) === entry.e) continue;", "continue;"],
      ["replica.ts", "if (log.epochAt(first - 1) !== prev) {", "if (false) {"],
    ],
  },
  {
    name: "the entry before is not checked",
    edits: [["replica.ts", "if (log.epochAt(first - 1) !== prev) {", "if (false) {"]],
  },
  {
    name: "the log is trimmed too early",
    edits: [
      [
        "retention.ts",
        "const before = Math.min(since, freshness.assuredAt) - 1.5 * resumeMs;",
        "const before = now - 300;",
      ],
    ],
  },
  {
    name: "an answer of the server from before a snapshot counts after it",
    edits: [["host.ts", "this.#limit.voidProof();", ""]],
  },
  {
    name: "a sender forgets messages that it handed to a dead host",
    edits: [
      [
        "member.ts",
        "this.#context.outbox.sent = 0;\n    this.#suspicion.postpone();",
        "this.#suspicion.postpone();",
      ],
      ["member.ts", "outbox.sent = 0;\n        this.#resendMs", "this.#resendMs"],
      ["member.ts", "this.#context.outbox.sent = 0;\n    this.sending();", "this.sending();"],
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
    edits: [["intake.ts", "if (at.r !== 0 && !lies(at, replica.log)) return ask(follower);", ""]],
  },
  {
    name: "a host waits for messages that their sender gave up",
    edits: [["stamper.ts", "if (low > next) next = low;", ""]],
  },
  {
    name: "delivery goes on while the page makes its snapshot",
    edits: [["page-delivery.ts", "while (!snapshots.isAsking) {", "for (;;) {"]],
  },
  {
    name: "entries that wait for a snapshot are delivered when their history is given up",
    edits: [
      [
        "page-delivery.ts",
        "snapshots.withdraw();",
        "snapshots.timedOut(); this.deliver(log.last);",
      ],
    ],
  },
  {
    name: "a member restored without a state is not handed first what it has of that history",
    edits: [["page-delivery.ts", "if (!snap.has) this.deliver(common(log, snap));", ""]],
  },
  {
    name: "a restore is taken at any place",
    edits: [["member.ts", "if (!same(heal, replica.log.place)) return;", ""]],
  },
  {
    name: "a snapshot older than the kept log is used",
    edits: [
      [
        "restorer.ts",
        "if (snap && snap.s >= log.base && lies(snap, log) && now",
        "if (snap && now",
      ],
    ],
  },
  {
    name: "early entries of another history are kept",
    edits: [
      ["early-entries.ts", "if (root !== this.#root) {", "if (false) {"],
      ["member.ts", "if (log.root !== this.#early.root || this.#sure < log.last) return;", ""],
    ],
  },
  {
    name: "a member told that something is missing gives snapshots",
    edits: [
      [
        "snapshots.ts",
        "return this.#hasCallback && this.#parts.replica.isWhole && this.#refusals < REFUSALS;",
        "return this.#hasCallback && this.#refusals < REFUSALS;",
      ],
    ],
  },
  {
    name: "entries are trimmed by age while a member is out of touch",
    edits: [
      [
        "retention.ts",
        "const before = Math.min(since, freshness.assuredAt) - 1.5 * resumeMs;",
        "const before = since - 1.5 * resumeMs;",
      ],
    ],
  },
  {
    name: "a member that was away for long forgets its messages",
    edits: [
      [
        "outbox.ts",
        "const items = this.#drop(this.#tried);",
        "const items = this.#drop(this.#tried);\n    this.#kept = [];",
      ],
    ],
  },
  {
    name: "a member that was away for long sends messages again that others may have",
    edits: [
      [
        "outbox.ts",
        "const again = lost.filter((item) => item.n > this.#doubted && item.n > n);",
        "const again = lost;",
      ],
    ],
  },
  {
    name: "a message that could not be sent again in time is not told as lost",
    edits: [
      [
        "outbox.ts",
        "if (place) this.#keep(",
        "if (!place) continue;\n      if (false) this.#keep(",
      ],
    ],
  },
  {
    name: "a provisional history gives way like any other",
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
    name: "a provisional history and its messages are trimmed by age",
    edits: [
      [
        "retention.ts",
        "const since = replica.mark(now).provisional ? 0 : now;",
        "const since = now;",
      ],
    ],
  },
  {
    name: "a member that follows a provisional history does not know that it is",
    edits: [
      [
        "replica.ts",
        "this.provisional.take(snap.provisional, now)",
        "this.provisional.take(undefined, now)",
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
        "replica.ts",
        "if (snap.r !== log.root && !isEmpty(log)) this.#abandoned.add(log.root);",
        "",
      ],
    ],
  },
  {
    name: "messages that others sent again are listed as lost",
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
    name: "a message that the page was not handed, because it had a later one, is listed as lost",
    edits: [
      ["given-up.ts", 'if (given === "no" || held', "if (held"],
      ["given-up.ts", 'held === "no" && given === "yes"', 'held === "no"'],
    ],
  },
  {
    name: "messages that are sent again are listed as lost as well",
    edits: [
      [
        "given-up.ts",
        'if (given === "no" || held === "yes" || (mine && outbox.sends(n))) continue;',
        'if (given === "no" || held === "yes") continue;',
      ],
    ],
  },
  {
    name: "trimmed messages are not said to be lost",
    edits: [
      [
        "given-up.ts",
        "!holdsBase(id, log, outbox, table)) lostMore = true;",
        "!holdsBase(id, log, outbox, table)) lostMore = false;",
      ],
    ],
  },
  {
    name: "messages that a sender gave up count as held by its next history",
    edits: [
      [
        "dedupe-table.ts",
        "if (n > count.n || count.gaps.some(([first, last]) => n >= first && n <= last)) return",
        "if (n > count.n) return",
      ],
    ],
  },
  {
    name: "a forgotten sender counts as one that never sent",
    edits: [["dedupe-table.ts", 'return this.#forgot ? "unsure" : "no";', 'return "no";']],
  },
  {
    name: "a host whose claim is not believed goes on stamping",
    edits: [
      ["intake.ts", "if (!isStamping() || claim.isDenied) return;", "if (!isStamping()) return;"],
      ["intake.ts", "if (claim.isDenied) return;", ""],
    ],
  },
  {
    name: "a claim that is not believed is made every two seconds",
    edits: [["claim.ts", "settings.suspectMs * 2 ** (this.#denials - 1)", "settings.suspectMs"]],
  },
  {
    name: "a page that was handed more than its new history holds gives snapshots",
    edits: [["replica.ts", "this.#isWhole = this.#handed.isEmpty;", "this.#isWhole = true;"]],
  },
  {
    name: "a suspicion is never taken back",
    edits: [
      ["suspicion.ts", "if (this.#isSaid && server.online) step.push", "if (false) step.push"],
    ],
  },
  {
    name: "a suspicion of an earlier socket is taken back on the next",
    edits: [["member.ts", "this.#suspicion.socketOpened();", ""]],
  },
  {
    name: "a ping of the host's page takes a suspicion back",
    edits: [
      [
        "group.ts",
        'case "alive": links.heard(event.id, step.now); break;',
        'case "alive": this.#heard(event.id, "p2p"); break;',
      ],
    ],
  },
  {
    name: "pings do not keep a channel in use",
    edits: [
      ["group.ts", 'case "alive": links.heard(event.id, step.now); break;', 'case "alive": break;'],
    ],
  },
  {
    name: "a new host ignores the server's fair time of a dial",
    edits: [
      [
        "takeover.ts",
        "this.#isRelayed(follower) ? settings.askMs : server.fairDialMs",
        "this.#isRelayed(follower) ? settings.askMs : settings.askDialMs",
      ],
      ["takeover.ts", "askMs ? askMs : server.fairDialMs", "askMs ? askMs : settings.askDialMs"],
    ],
  },
  {
    name: "a change of host ends dials and channels",
    edits: [["../targets.ts", "const KEEP_MS = 30_000;", "const KEEP_MS = 100;"]],
  },
  {
    name: "the host ends channels that its members rely on",
    edits: [["../data-channels.ts", "if (this.#isServing) return false;", ""]],
  },
  {
    name: "the deputy is not dialled",
    edits: [["../data-channels.ts", "new Set([host, deputy].filter", "new Set([host].filter"]],
  },
  {
    name: "a dial ignores the fair time of the server",
    edits: [["../data-channels.ts", "this.#dialMs = Math.max(DIAL_MS, fairMs);", ""]],
  },
  {
    name: "a greeting carries no messages",
    edits: [["member.ts", "this.#greet(this.#head());", "this.#greet();"]],
  },
  {
    name: "messages of a lost greeting are not sent again",
    edits: [
      ["member.ts", 'timers.soon("resend", now + this.#resendMs);\n    }', "}"],
      ["member.ts", "outbox.sent = 0;\n        this.#resendMs", "this.#resendMs"],
    ],
  },
  {
    name: "an island ranks by its epoch",
    edits: [["history.ts", "if (isAlone(a) !== isAlone(b)) return isAlone(b);", ""]],
  },
  {
    name: "a history is confirmed while the server is alone",
    edits: [
      [
        "freshness.ts",
        "if (!hasWord || !this.#server.confirmsEpoch) return;",
        "this.#confirmedAt = now; if (!hasWord || !this.#server.confirmsEpoch) return;",
      ],
    ],
  },
  {
    name: "own messages are trimmed while the server is alone",
    edits: [
      [
        "retention.ts",
        "outbox.trim(settings.outboxBytes, settings.logCount);",
        "outbox.trim(settings.outboxBytes, server.isAlone ? 4 : settings.logCount);",
      ],
    ],
  },
  {
    name: "a plain heartbeat counts as proof",
    edits: [
      [
        "../keep-alive.ts",
        "readonly #hooks: KeepAliveHooks;",
        "readonly #hooks: KeepAliveHooks; #asked = 0;",
      ],
      ["../keep-alive.ts", "this.#hooks.send(JSON", "this.#asked = epoch; this.#hooks.send(JSON"],
      [
        "../keep-alive.ts",
        "if (epoch !== undefined) this.#hooks.proved(epoch);",
        "this.#hooks.proved(epoch ?? this.#asked);",
      ],
    ],
  },
  {
    name: "an answer about any epoch is a proof",
    edits: [["proof.ts", "if (!this.#asked || epoch !== server.epoch)", "if (!this.#asked)"]],
  },
  {
    name: "a question without an answer is the last",
    edits: [
      [
        "proof.ts",
        "if (this.#asked && now - this.#asked.sentAt < UNANSWERED_MS)",
        "if (this.#asked)",
      ],
    ],
  },
  {
    name: "a host that was alone has the word as soon as the server is not alone",
    edits: [
      [
        "freshness.ts",
        "return this.#server.isSeated && !this.#server.isAlone && !this.#isApart;",
        "return this.#server.isSeated && !this.#server.isAlone;",
      ],
    ],
  },
  {
    name: "a follower of a host that was alone has the word by its own server",
    edits: [["member.ts", "this.#hostHasWord = !alone;", "this.#hostHasWord = true;"]],
  },
  {
    name: "a host that was alone restores the other half",
    edits: [["history.ts", "isAlone(own) &&", "false &&"]],
  },
  {
    name: "a host that was alone has the word before the other half has spoken",
    edits: [["host.ts", "&& !live && now - announcedAt <= settings.foundMs", "&& false"]],
  },
  {
    name: "a new host does not wait for the half with the word",
    edits: [
      [
        "takeover.ts",
        "if (chosen.alone && !server.isAlone && this.#isUnheard() && this.#mayWait()) return;",
        "",
      ],
    ],
  },
  {
    name: "a history is as good as new when another member has it from the island",
    edits: [["takeover.ts", "if (follower?.at?.alone) freshness.setApart(now);", ""]],
  },
  {
    name: "a host ignores the roster with its own epoch",
    edits: [["group.ts", "this.#role.rosterTaken(roster);", ";"]],
  },
  {
    name: "a host that is told its own epoch takes over again",
    edits: [["group.ts", "this.#role.rosterTaken(roster);", "this.#role.start();"]],
  },
  {
    name: "a page gives nothing of channels that it has not opened",
    edits: [
      ["../channels/table.ts", "if (!record.isEmpty) parts.set(name, record.part(now));", ""],
    ],
  },
  {
    name: "a page forgets the part that it is given of a channel that it has not opened",
    edits: [
      [
        "../channels/table.ts",
        "else known.record.replace(part, now);",
        "else known.record.clear();",
      ],
    ],
  },
  {
    name: "messages on channels that are not open are not kept",
    edits: [
      ["../channels/table.ts", "if (!known.callbacks?.gives) this.#keep(known, message, now);", ""],
    ],
  },
  {
    name: "a page that could not keep a channel gives snapshots",
    edits: [["../channels/table.ts", "!all.some(({ record }) => record.overflowed) &&", ""]],
  },
  {
    name: "a channel that is opened late is handed nothing",
    edits: [
      [
        "../channels/table.ts",
        "complete }], messages: restored.messages };",
        "complete }], messages: [] };",
      ],
    ],
  },
  {
    name: "a channel is restored without the messages after its state",
    edits: [["../channels/table.ts", "messages.push(...restored.messages);", ""]],
  },
  {
    name: "messages of parts come channel by channel",
    edits: [
      ["../channels/table.ts", "messages.sort((a, b) => a.message.seq - b.message.seq);", ""],
    ],
  },
  {
    name: "a channel that is empty elsewhere keeps its state",
    edits: [["../channels/table.ts", `(whole && reason !== "join")`, "false"]],
  },
  {
    name: "a snapshot without parts counts as one of empty channels",
    edits: [
      ["../channels/table.ts", "this.#knowsAll = given?.all === true;", "this.#knowsAll = true;"],
    ],
  },
  {
    name: "a page that knows not all gives on that it does",
    edits: [["../channels/table.ts", "const all = this.#knowsAll;", "const all = true;"]],
  },
  {
    name: "a state that lacks something is given on as whole",
    edits: [
      [
        "../channels/table.ts",
        "parts.set(name, { state, messages: [], whole });",
        "parts.set(name, { state, messages: [], whole: true });",
      ],
    ],
  },
  {
    name: "a page that took a state is handed nothing of it again from another history",
    edits: [["../channels/table.ts", "if (replaces) known.last = new Map();", ""]],
  },
  {
    name: "a page without a state is handed messages again",
    edits: [["../channels/table.ts", "if (n <= (last.get(from) ?? 0)) return undefined;", ""]],
  },
  {
    name: "a history that was replaced counts as one that goes on",
    edits: [["../channels/table.ts", `reason !== "replaced" &&`, ""]],
  },
  {
    name: "a host asks members for snapshots that cannot give parts",
    edits: [["restorer.ts", "(isAble(one) ? 2 : 0) +", ""]],
  },
  {
    name: "a host prefers a member that cannot give parts to its own page",
    edits: [["restorer.ts", "best && (isAble(best) || !snapshots.areGiven)", "best"]],
  },
  {
    name: "to one member: what was handed over is handed over again",
    edits: [
      ["direct/inbox.ts", "if (item.n <= sender.last) return;", ""],
      ["direct/inbox.ts", "if (item.n <= sender.last) this.#release(sender, item.n);", ""],
      [
        "direct/inbox.ts",
        "item.n <= sender.last || item.after > sender.last",
        "item.after > sender.last",
      ],
    ],
  },
  {
    name: "to one member: a message is handed over before one that was sent before it",
    edits: [
      [
        "direct/inbox.ts",
        "item.after > sender.last || !this.#isReached(item.at)",
        "!this.#isReached(item.at)",
      ],
    ],
  },
  {
    name: "to one member: a message does not wait for the log",
    edits: [["direct/inbox.ts", "return place.r === 0 || lies(", "return true || lies("]],
  },
  {
    name: "to one member: a message waits for a place that the sender's history has no more",
    edits: [["direct/direct.ts", "!item.place || !lies(item.place, replica.log)", "!item.place"]],
  },
  {
    name: "to one member: nothing is sent again",
    edits: [["direct/direct.ts", "stream.rewind(true);", ""]],
  },
  {
    name: "to one member: a leave settles nothing",
    edits: [["page-delivery.ts", "direct.left(id);", ""]],
  },
  {
    name: "to one member: what a member may have is Gone when it leaves",
    edits: [
      [
        "direct/direct.ts",
        `this.#fail(id, "Gone", "Uncertain");`,
        `this.#fail(id, "Gone", "Gone");`,
      ],
    ],
  },
  {
    name: "to one member: the sender's count begins anew when a member is back",
    edits: [
      ["direct/direct.ts", "() => ++this.#lastNumber", "() => ++stream.count"],
      ["direct/stream.ts", "bytes = 0;", "bytes = 0; count = 0;"],
    ],
  },
  {
    name: "to one member: messages go out before the addressee's page is known",
    edits: [
      ["direct/direct.ts", "if (!stream.isKnown) {", "if (stream.key === 0) {"],
      ["direct/inbox.ts", "if (key !== sender.key) return;", ""],
    ],
  },
  {
    name: "to one member: messages for another load of the page are handed over",
    edits: [["direct/inbox.ts", "if (key !== sender.key) return;", ""]],
  },
  {
    name: "to one member: two loads of a page are one sender",
    edits: [["direct/inbox.ts", "this.#sender(from, life)", "this.#sender(from, 0)"]],
  },
  {
    name: "to one member: another page in the addressee's place is taken for it",
    edits: [["direct/direct.ts", "if (stream.isKnown) this.#addresseeIsNew(stream);", ""]],
  },
  {
    name: "to one member: the host says of nobody that it lacks these messages",
    edits: [["host.ts", "follower.saidAt > 0 && !follower.can.includes(feature)", "false"]],
  },
  {
    name: "to one member: silence is no answer",
    edits: [
      [
        "direct/direct.ts",
        "const isSilent = now - stream.silentSince > settings.directSilentMs;",
        "const isSilent = false;",
      ],
    ],
  },
  {
    name: "to one member: the host passes nothing on",
    edits: [["direct/direct.ts", "if (!lacks && to !== from)", "if (false)"]],
  },
  {
    name: "to one member: anybody passes messages on and is believed",
    edits: [
      [
        "direct/direct.ts",
        `if (from === server.host) this.#hear(message.from, message.m, "host");`,
        `this.#hear(message.from, message.m, "host");`,
      ],
    ],
  },
  {
    name: "to one member: an answer is not sent again",
    edits: [
      ["direct/direct.ts", "answer.dueAt = now + answer.waitMs;", "answer.dueAt = Infinity;"],
    ],
  },
  {
    name: "to one member: a request that was handed over outlives its member",
    edits: [
      [
        "direct/direct.ts",
        "for (const request of this.#requests.where((one) => one.to === to)) this.#failRequest(request, tried);",
        "",
      ],
    ],
  },
  {
    name: "to one member: an aborted message is settled as well",
    edits: [["direct/direct.ts", "if (stream.withdraw(token)) break;", "this.#settle(token);"]],
  },
  {
    name: "to one member: a request does not time out",
    edits: [["direct/direct.ts", `this.#settle(request.token, "Timeout");`, ""]],
  },
  {
    name: "to one member: anybody answers a request",
    edits: [["direct/direct.ts", "&& this.#requests.isTo(q, from)", ""]],
  },
];
