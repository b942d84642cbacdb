// What a page is told that it loses, laid out by hand; and which history goes on after the server was gone.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Wire } from "../src/group/index.ts";
import { DedupeTable } from "../src/group/dedupe-table.ts";
import { Outbox } from "../src/group/outbox.ts";
import type { Entry, Lost } from "../src/group/types.ts";
import { Rig } from "./group.rig.ts";

/** The server's clock as it names a host at this moment. */
const EPOCH = 10;
const clock = (rig: Rig): number => EPOCH + rig.now - 1000;

/** Two pages with a history: `a`, which hosts, and `b`. Each has sent something, and both were handed it. */
function withHistory(): Rig {
  const rig = new Rig();
  rig.together("a", "b");
  for (const [id, data] of [
    ["a", "a1"],
    ["b", "b1"],
    ["a", "a2"],
    ["b", "b2"],
  ] as const) {
    rig.send(id, data);
    rig.pass(200);
  }
  assert.deepEqual([rig.state("a"), rig.state("b")], ["a1 b1 a2 b2", "a1 b1 a2 b2"]);
  return rig;
}

/** The server is gone, and its members are cut off from each other; then it is back. */
function outage(rig: Rig, ms: number): void {
  for (const id of ["a", "b"]) rig.feed(id, { type: "offline" });
  rig.pass(ms, "nobody");
  rig.letters = [];
  rig.upMs = 0;
}

/** A page is opened anew, finds nobody and sends. */
function founds(rig: Rig, id: string, epoch: number, ...sends: string[]): void {
  rig.add(id);
  rig.open(id, id, epoch, [id]);
  for (const data of sends) rig.send(id, data);
  rig.pass(100, id);
  assert.equal(rig.state(id), sends.join(" "));
}

/** One with a history comes to the page that `host` hosts. */
function comes(rig: Rig, id: string, host: string, epoch: number): void {
  rig.feed(host, { type: "joined", member: { id, group: true } });
  rig.open(id, host, epoch);
}

/** Time passes for the server, too. */
function later(rig: Rig, ms: number, ...among: string[]): void {
  rig.pass(ms, ...among);
  rig.upMs = (rig.upMs ?? 0) + ms;
}

const told = (lost: readonly Lost[]): string =>
  lost
    .map(
      ({ data, from, mine, seq }) => `${String(data)} of ${from}${mine ? ", mine" : ""} at ${seq}`,
    )
    .join("; ");

test("away for long, a page is handed what it loses: all of it, in order, its own marked, with its state and with `recovered`", () => {
  const rig = withHistory();
  outage(rig, 200_000);
  rig.kill("a");
  rig.upMs = 3_600_000;
  const epoch = clock(rig);
  founds(rig, "n", epoch, "n1");
  later(rig, 60_000, "n");
  comes(rig, "b", "n", epoch);
  rig.pass(3000);
  const [recovered] = rig.noticed("b", "recovered").slice(-1);
  assert.equal(
    recovered && told(recovered.lost),
    "a1 of a at 3; b1 of b, mine at 4; a2 of a at 5; b2 of b, mine at 6",
  );
  assert.deepEqual(
    [recovered?.complete, recovered?.reason, recovered?.lostMore],
    [false, "replaced", false],
  );
  assert.ok(recovered?.lost.every((lost) => lost.epoch === EPOCH));
  const restore = (rig.effects.get("b") ?? [])
    .filter((effect) => effect.type === "restore")
    .slice(-1)[0];
  assert.ok(
    restore?.type === "restore" &&
      restore.about.lost === recovered?.lost &&
      restore.about.reason === "replaced",
  );
  // What the app decides about is not sent by the library as well.
  rig.pass(10_000);
  assert.equal(rig.state("n"), "n1");
  assert.equal(rig.state("b"), "n1");
});

test("what waits longer than `resumeMs` is uncertain, and no loss: the page was never handed it", () => {
  const rig = withHistory();
  rig.send("b", "b3");
  rig.letters = [];
  outage(rig, 200_000);
  rig.kill("a");
  rig.upMs = 3_600_000;
  const epoch = clock(rig);
  founds(rig, "n", epoch, "n1");
  later(rig, 60_000, "n");
  comes(rig, "b", "n", epoch);
  rig.pass(3000);
  assert.deepEqual(rig.settled.get("b"), ["ok", "ok", "Uncertain"]);
  assert.equal(
    told(rig.noticed("b", "recovered").slice(-1)[0]?.lost ?? []),
    "a1 of a at 3; b1 of b, mine at 4; a2 of a at 5; b2 of b, mine at 6",
  );
});

test("messages away from the group are kept by size: what is trimmed beyond that is said to be lost, too", () => {
  const rig = withHistory();
  for (let i = 0; i < 20; i++) {
    rig.feed("a", { type: "send", token: 1000 + i, data: `A${i}`, size: 1 << 20 });
    rig.pass(100);
  }
  outage(rig, 200_000);
  rig.kill("a");
  rig.upMs = 3_600_000;
  const epoch = clock(rig);
  founds(rig, "n", epoch, "n1");
  later(rig, 60_000, "n");
  comes(rig, "b", "n", epoch);
  rig.pass(3000);
  const [recovered] = rig.noticed("b", "recovered").slice(-1);
  assert.equal(recovered?.lostMore, true);
  // What b sent itself is kept apart.
  assert.deepEqual(recovered?.lost.map(({ data }) => data).slice(0, 3), ["b1", "b2", "A3"]);
  assert.equal(recovered?.lost.length, 19);
});

test("a joiner is told why it is restored, and loses nothing", () => {
  const rig = withHistory();
  rig.add("c");
  comes(rig, "c", "a", EPOCH);
  rig.pass(1000);
  const [recovered] = rig.noticed("c", "recovered");
  assert.deepEqual(
    [recovered?.reason, recovered?.lost, recovered?.lostMore, recovered?.complete],
    ["join", [], false, true],
  );
});

test("who fell behind its own history loses nothing by its new state", () => {
  const rig = withHistory();
  rig.feed("b", { type: "offline" });
  rig.feed("a", { type: "left", id: "b" });
  for (let i = 0; i < 30; i++) {
    rig.send("a", `x${i}`);
    rig.pass(3000, "a");
  }
  comes(rig, "b", "a", EPOCH);
  rig.pass(3000);
  const [recovered] = rig.noticed("b", "recovered").slice(-1);
  assert.deepEqual(
    [recovered?.reason, recovered?.via, recovered?.lost, recovered?.lostMore, recovered?.complete],
    ["behind", "snapshot", [], false, true],
  );
});

test("a page that was given a state and loses that is told that more is lost than is listed", () => {
  const rig = withHistory();
  // What b was given when it came is too old for another by then.
  rig.pass(5000);
  rig.add("c");
  comes(rig, "c", "a", EPOCH);
  rig.pass(1000);
  rig.send("c", "c1");
  rig.pass(200);
  rig.feed("c", { type: "offline" });
  outage(rig, 200_000);
  rig.kill("a");
  rig.kill("b");
  rig.upMs = 3_600_000;
  const epoch = clock(rig);
  founds(rig, "n", epoch, "n1");
  later(rig, 60_000, "n");
  comes(rig, "c", "n", epoch);
  rig.pass(3000);
  const [recovered] = rig.noticed("c", "recovered").slice(-1);
  assert.deepEqual([recovered?.lost.map(({ data }) => data), recovered?.lostMore], [["c1"], true]);
});

for (const [after, wins] of [
  [5_000, "old"],
  [60_000, "old"],
  [170_000, "old"],
  [185_000, "new"],
] as const) {
  test(`a history founded just after a restart gives way to one from before it that comes ${after / 1000} s later: ${wins === "old" ? "yes, and nothing of it is lost" : "not any more, and that one is told what it loses"}`, () => {
    const rig = withHistory();
    outage(rig, 180_000);
    const epoch = clock(rig);
    rig.upMs = 500;
    founds(rig, "n", epoch, "n1", "n2");
    later(rig, 200, "n");
    rig.add("m");
    comes(rig, "m", "n", epoch);
    later(rig, 1000, "n", "m");
    rig.send("m", "m1");
    later(rig, after, "n", "m");
    comes(rig, "b", "n", epoch);
    rig.pass(8000, "n", "m", "b");
    comes(rig, "a", "n", epoch);
    rig.pass(8000);
    const lost = ["n", "m", "b", "a"].map(
      (id) =>
        rig
          .noticed(id, "recovered")
          .slice(-1)[0]
          ?.lost.filter(({ mine }) => mine)
          .map(({ data }) => data)
          .join(" ") ?? "",
    );
    for (const id of ["n", "m", "a", "b"]) {
      if (wins === "old") {
        assert.ok(rig.state(id).startsWith("a1 b1 a2 b2 "), `${id} has ${rig.state(id)}`);
        assert.deepEqual(rig.state(id).split(" ").slice(4).sort(), ["m1", "n1", "n2"], id);
      } else assert.equal(rig.state(id), "n1 n2 m1", id);
    }
    assert.deepEqual(lost, wins === "old" ? ["", "", "", ""] : ["", "", "b1 b2", "a1 a2"]);
  });
}

test("a history founded when the server has been up for 90 s gives way to none that was away for long", () => {
  const rig = withHistory();
  outage(rig, 180_000);
  rig.upMs = 90_000;
  const epoch = clock(rig);
  founds(rig, "n", epoch, "n1");
  later(rig, 40_000, "n");
  comes(rig, "b", "n", epoch);
  rig.pass(3000, "n", "b");
  assert.equal(rig.state("b"), "n1");
});

test("the older history goes first though the server's clock was set back, and its number is the higher one", () => {
  const rig = withHistory();
  outage(rig, 60_000);
  rig.upMs = 500;
  // Below every epoch it told before.
  founds(rig, "n", 3, "n1");
  later(rig, 40_000, "n");
  comes(rig, "b", "n", 3);
  // Its claim is believed, so there is an epoch above it.
  rig.host("b", "n", EPOCH + 1, "restarted");
  rig.host("n", "n", EPOCH + 1, "restarted", ["n", "b"]);
  rig.pass(5000, "n", "b");
  assert.equal(rig.state("n"), "a1 b1 a2 b2 n1");
  assert.equal(rig.state("b"), "a1 b1 a2 b2 n1");
});

test("a host that went over to the older history does not go back in that epoch, whatever the numbers say later", () => {
  const rig = withHistory();
  outage(rig, 60_000);
  rig.upMs = 500;
  founds(rig, "n", 3, "n1");
  rig.add("m");
  comes(rig, "m", "n", 3);
  later(rig, 1000, "n", "m");
  // m is cut off with what n founded, and nothing tells m of what follows.
  rig.feed("m", { type: "offline" });
  rig.feed("n", { type: "left", id: "m" });
  later(rig, 1000, "n");
  comes(rig, "b", "n", 3);
  for (const id of ["b", "n"])
    rig.host(id, "n", EPOCH + 1, "restarted", id === "n" ? ["n", "b"] : []);
  rig.send("n", "n2");
  later(rig, 200_000, "n", "b");
  assert.equal(rig.state("b"), "a1 b1 a2 b2 n1 n2");
  rig.feed("n", { type: "joined", member: { id: "m", group: true } });
  rig.open("m", "n", EPOCH + 1);
  // The provisional time is over, so what m has is not marked any more, and has the lower root.
  rig.hand(
    rig
      .take(({ from }) => from === "m")
      .map((letter) =>
        letter.message.t === "at"
          ? {
              ...letter,
              message: { ...letter.message, at: { ...letter.message.at, stale: false } },
            }
          : letter,
      ),
  );
  rig.pass(5000);
  for (const id of ["n", "b", "m"]) assert.equal(rig.state(id), "a1 b1 a2 b2 n1 n2", id);
});

test("what was provisional is from before for a server that begins again", () => {
  const rig = new Rig();
  rig.upMs = 1000;
  rig.together("a", "b");
  rig.send("b", "b1");
  later(rig, 1000);
  outage(rig, 60_000);
  const epoch = clock(rig);
  rig.upMs = 500;
  founds(rig, "n", epoch, "n1");
  later(rig, 50_000, "n");
  comes(rig, "b", "n", epoch);
  rig.pass(3000, "n", "b");
  assert.equal(rig.state("n"), "b1 n1");
});

test("a history that was founded moments before the server ended is from before for the next one", () => {
  const rig = new Rig();
  rig.upMs = 300;
  rig.together("a", "b");
  rig.send("b", "b1");
  rig.pass(500);
  outage(rig, 1000);
  const epoch = clock(rig);
  rig.upMs = 500;
  founds(rig, "n", epoch, "n1");
  later(rig, 50_000, "n");
  comes(rig, "b", "n", epoch);
  rig.pass(3000, "n", "b");
  assert.equal(rig.state("n"), "b1 n1");
});

test("a history stays provisional though its founder dials the same server again", () => {
  const rig = withHistory();
  outage(rig, 60_000);
  const epoch = clock(rig);
  rig.upMs = 500;
  founds(rig, "n", epoch, "n1");
  later(rig, 40_000, "n");
  rig.send("n", "n2");
  later(rig, 1000, "n");
  rig.feed("n", { type: "offline" });
  later(rig, 2000, "n");
  // This word took two seconds on its way.
  rig.upMs = (rig.upMs ?? 0) - 2000;
  rig.open("n", "n", epoch, ["n"]);
  rig.pass(1000, "n");
  comes(rig, "b", "n", epoch);
  rig.pass(3000, "n", "b");
  assert.equal(rig.state("n"), "a1 b1 a2 b2 n1 n2");
});

test("members with a library that knows no provisional histories are understood", () => {
  const rig = withHistory();
  outage(rig, 20_000);
  const epoch = clock(rig);
  rig.upMs = 500;
  founds(rig, "n", epoch, "n1");
  comes(rig, "b", "n", epoch);
  const bare = (message: Wire): Wire =>
    JSON.parse(
      JSON.stringify(message, (name, value: unknown) =>
        ["provisional", "gaps", "forgot"].includes(name) ? undefined : value,
      ),
    ) as Wire;
  for (let ms = 0; ms < 3000; ms += 50) {
    rig.hand(rig.take(() => true).map((letter) => ({ ...letter, message: bare(letter.message) })));
    rig.pass(50, "nobody");
  }
  assert.equal(rig.state("b"), "a1 b1 a2 b2 n1");
});

test("what was given up, was to be sent again and was not before its sender was away for long is told when it is back", () => {
  const rig = withHistory();
  // b hosts alone for a moment, with what nobody else gets.
  rig.host("b", "b", 11, "left", ["b"]);
  rig.send("b", "b3");
  rig.pass(600, "b");
  assert.equal(rig.state("b"), "a1 b1 a2 b2 b3");
  // a went on, and b gives b3 up; it is sent again, and that does not arrive.
  rig.host("a", "a", 12, "restarted", ["a"]);
  rig.send("a", "a3");
  rig.pass(600, "a");
  rig.feed("a", { type: "joined", member: { id: "b", group: true } });
  rig.host("b", "a", 12, "restarted");
  rig.loses = ({ message }) => message.t === "send";
  for (let i = 0; i < 12 && rig.state("b") !== "a1 b1 a2 b2 a3"; i++) rig.pass(50, "a", "b");
  assert.equal(rig.state("b"), "a1 b1 a2 b2 a3");
  assert.deepEqual(rig.noticed("b", "recovered").slice(-1)[0]?.lost, []);
  rig.feed("b", { type: "offline" });
  rig.pass(31_000, "a");
  comes(rig, "b", "a", 12);
  rig.pass(3000);
  const [recovered] = rig.noticed("b", "recovered").slice(-1);
  assert.deepEqual(
    [recovered && told(recovered.lost), recovered?.complete, recovered?.via],
    ["b3 of b, mine at 8", false, "log"],
  );
  rig.loses = () => false;
  rig.pass(10_000);
  assert.equal(rig.state("a"), "a1 b1 a2 b2 a3");
});

test("what another has sent again by then is not lost", () => {
  const rig = withHistory();
  rig.add("c");
  comes(rig, "c", "a", EPOCH);
  rig.pass(1000);
  // b and c go on without a, and a without them.
  for (const id of ["b", "c"]) rig.host(id, "b", 11, "left", id === "b" ? ["b", "c"] : []);
  rig.send("c", "c1");
  rig.pass(1000, "b", "c");
  assert.equal(rig.state("b"), "a1 b1 a2 b2 c1");
  rig.host("a", "a", 12, "restarted", ["a"]);
  rig.send("a", "a3");
  rig.pass(1000, "a");
  // First c is back.
  rig.feed("a", { type: "joined", member: { id: "c", group: true } });
  rig.host("c", "a", 12, "restarted");
  rig.pass(5000, "a", "c");
  assert.equal(rig.state("a"), "a1 b1 a2 b2 a3 c1");
  rig.feed("a", { type: "joined", member: { id: "b", group: true } });
  rig.host("b", "a", 12, "restarted");
  rig.pass(3000);
  const [recovered] = rig.noticed("b", "recovered").slice(-1);
  assert.deepEqual(
    [rig.state("b"), recovered?.reason, recovered?.lost, recovered?.lostMore],
    ["a1 b1 a2 b2 a3 c1", "replaced", [], false],
  );
});

test("members that do not agree whether their history is provisional do not make a host take over for ever", () => {
  const rig = withHistory();
  outage(rig, 60_000);
  rig.upMs = 500;
  // Another was founded a little later, and its members do not all say what it is.
  founds(rig, "n", clock(rig), "n1");
  const { r, line } = {
    r: clock(rig) + 50,
    line: [
      [clock(rig) + 50, 0],
      [clock(rig) + 50, 1],
    ] as const,
  };
  const at = {
    r,
    e: r,
    s: 3,
    done: 3,
    base: 0,
    line: [line[0]],
    snap: false,
    stale: false,
    age: 0,
  };
  const epoch = clock(rig) + 100;
  for (const id of ["x", "y"]) rig.feed("n", { type: "joined", member: { id, group: true } });
  rig.host("n", "n", epoch, "restarted", ["n", "x", "y"]);
  const says = (from: string, provisional?: number): void =>
    rig.feed("n", {
      type: "received",
      from,
      via: "relay",
      message: {
        t: "at",
        e: epoch,
        at: { ...at, ...(provisional === undefined ? {} : { provisional }) },
      },
    });
  says("x", 100_000);
  says("y");
  rig.pass(1000, "n");
  says("y");
  says("x", 99_000);
  says("y");
  assert.ok(rig.groups.get("n")?.leads);
  rig.send("n", "n2");
  rig.pass(5000, "n");
  assert.equal(rig.state("n"), "n1 n2");
});

test("a claim that the server does not believe is made ever more rarely, the page is told once, and nothing is delivered meanwhile", () => {
  const rig = withHistory();
  const redials = (id: string): number =>
    (rig.effects.get(id) ?? []).filter(({ type }) => type === "redial").length;
  const told = (id: string): number[] =>
    (rig.effects.get(id) ?? []).flatMap((effect) =>
      effect.type === "disbelieved" ? [effect.behindMs] : [],
    );
  /** Somebody else is there, in an epoch before ours. */
  const answers = (id: string): void => {
    rig.feed(id, { type: "offline" });
    rig.open(id, "n", 3);
  };
  for (const id of ["a", "b"]) answers(id);
  let dials = 0;
  for (let ms = 0; ms < 300_000; ms += 50) {
    const before = [redials("a"), redials("b")];
    rig.pass(50);
    ["a", "b"].forEach((id, i) => {
      if (redials(id) === before[i]) return;
      dials++;
      answers(id);
    });
    if (ms === 20_000) for (const id of ["a", "b"]) rig.send(id, `${id}3`);
  }
  assert.ok(dials > 10 && dials < 36, `${dials} dials of two pages in five minutes`);
  assert.deepEqual([told("a"), told("b")], [[7], [7]]);
  assert.deepEqual([rig.state("a"), rig.state("b")], ["a1 b1 a2 b2", "a1 b1 a2 b2"]);
  assert.deepEqual(
    [rig.settled.get("a"), rig.settled.get("b")],
    [
      ["ok", "ok"],
      ["ok", "ok", "Uncertain"],
    ],
  );
  assert.equal(rig.noticed("a", "status").slice(-1)[0]?.state, "away");
  // Named host of those whom it does not understand, it hands over.
  rig.host("a", "a", 4, "left", ["a", "m"]);
  const resigned = (rig.effects.get("a") ?? []).slice(-3).filter(({ type }) => type === "resign");
  assert.deepEqual(resigned, [{ type: "resign", epoch: 4 }]);
  // The clock is right again.
  rig.feed("a", { type: "offline" });
  rig.feed("b", { type: "offline" });
  rig.open("a", "a", EPOCH, ["a", "b"]);
  rig.open("b", "a", EPOCH);
  rig.pass(3000);
  assert.deepEqual([rig.state("a"), rig.state("b")], ["a1 b1 a2 b2 a3", "a1 b1 a2 b2 a3"]);
  assert.equal(rig.noticed("a", "status").slice(-1)[0]?.state, "open");
});

test("a table knows which messages it holds, which it does not, and which it cannot tell", () => {
  const ledger = new DedupeTable();
  const message = (f: string, n: number): Entry => ({ s: 1, e: 1, f, n, k: "d", d: "", z: 1 });
  const left = (f: string): Entry => ({ s: 1, e: 1, f, n: 0, k: "l", d: null, z: 0 });
  for (const n of [1, 2, 5, 6]) ledger.apply(message("a", n), 0);
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 7].map((n) => ledger.holds("a", n)),
    ["yes", "yes", "no", "no", "yes", "yes", "no"],
  );
  assert.equal(ledger.holds("b", 1), "no");
  const read = DedupeTable.read(JSON.parse(JSON.stringify(ledger.write())), 0);
  assert.deepEqual(
    [2, 3, 6].map((n) => read.holds("a", n)),
    ["yes", "no", "yes"],
  );
  // Of more gaps than are remembered the oldest are forgotten.
  for (let n = 8; n <= 30; n += 2) ledger.apply(message("a", n), 0);
  assert.deepEqual(
    [2, 3, 30, 29].map((n) => ledger.holds("a", n)),
    ["unsure", "unsure", "yes", "no"],
  );
  // Who left last is remembered longest.
  for (const [i, f] of ["a", "b", "c"].entries()) {
    ledger.apply(message(f, 31), 0);
    ledger.apply(left(f), i + 1);
  }
  assert.deepEqual(ledger.prune(10, 2), ["a"]);
  assert.deepEqual(
    [ledger.holds("a", 31), ledger.holds("b", 31), ledger.holds("x", 1)],
    ["unsure", "yes", "unsure"],
  );
  assert.equal(DedupeTable.read(JSON.parse(JSON.stringify(ledger.write())), 0).holds("x", 1), "unsure");
  ledger.apply(message("a", 40), 0);
  assert.deepEqual(
    [39, 40].map((n) => ledger.holds("a", n)),
    ["unsure", "yes"],
  );
});

test("an orphan that the group's table skips is told, though later messages of its sender are in it", () => {
  const outbox = new Outbox();
  const place = { r: 1, e: 1, s: 5 };
  outbox.add(1, "x", 1);
  outbox.mark(1);
  assert.deepEqual(outbox.settle(1, 0, place), [1]);
  assert.deepEqual(
    outbox.again(0, () => false),
    [],
  );
  assert.ok(outbox.sends(1));
  outbox.mark(1);
  outbox.doubt();
  assert.ok(outbox.isOrphan(1) && !outbox.sends(1));
  outbox.trim(1_000_000, 100, 100);
  assert.deepEqual(
    outbox.again(7, () => false).map(({ d }) => d),
    ["x"],
  );
  assert.ok(!outbox.isOrphan(1) && !outbox.sends(1));
});
