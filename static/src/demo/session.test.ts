// Tests whole sessions over a group that orders messages in memory. Only the browser is missing.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { OrderedGroup } from "./group.ts";
import { reduce } from "./model/reduce.ts";
import { EMPTY, type Board, type Operation } from "./model/types.ts";
import { Mover } from "./mover.ts";
import type { HostChange } from "./panel.ts";
import { Session } from "./session.ts";

type Entry = { readonly from: string; readonly data: unknown; readonly done: () => void };

const made = (operations: readonly Operation[]): Board =>
  operations.reduce((board, operation) => reduce(board, "before", operation).board, EMPTY);

/**
 * A group that stamps messages in the order of their sending and delivers them when told. Data goes
 * through JSON.
 */
class Room {
  readonly members = new Map<string, Member>();
  host = "";
  epoch = 1;
  private readonly log: Entry[] = [];
  private seq = 0;

  join(id: string, kept?: Operation[], name?: string): Member {
    const giver = [...this.members.values()][0];
    this.host ||= id;
    const member = new Member(this, id, name);
    this.members.set(id, member);
    member.session.status({ state: "open", server: true });
    member.session.opened(
      { id, host: this.host, epoch: this.epoch, first: !giver },
      kept && made(kept),
    );
    if (giver) member.session.restore(JSON.parse(JSON.stringify(giver.session.snapshot())));
    for (const other of this.members.values()) {
      if (other === member) continue;
      other.session.member({ kind: "join", id, profile: member.profile });
      member.session.member({ kind: "join", id: other.id, profile: other.profile });
    }
    return member;
  }

  send(from: string, data: unknown): Promise<void> {
    const text = JSON.stringify(data);
    return new Promise((done) => this.log.push({ from, data: JSON.parse(text), done }));
  }

  introduce(member: Member): void {
    for (const { session, id } of this.members.values())
      if (id !== member.id) session.profile({ id: member.id, profile: member.profile });
  }

  elect(host: string, cause: string): void {
    this.host = host;
    this.epoch++;
    for (const { session, id } of this.members.values())
      session.hostChanged({ host, epoch: this.epoch, isHost: host === id, cause, tookMs: 42 });
  }

  deliver(): void {
    for (let entry = this.log.shift(); entry; entry = this.log.shift()) {
      this.seq++;
      for (const { session } of this.members.values())
        session.message(entry.data, entry.from, this.seq);
      entry.done();
    }
  }
}

class Member {
  readonly session: Session;
  resigned = 0;
  readonly told: HostChange[] = [];
  profile: unknown;

  constructor(
    room: Room,
    readonly id: string,
    name = `name of ${id}`,
  ) {
    this.profile = { name };
    const member = this;
    const group: OrderedGroup = {
      id,
      get host() {
        return room.host;
      },
      get epoch() {
        return room.epoch;
      },
      get isHost() {
        return room.host === id;
      },
      get members() {
        return [...room.members.keys()];
      },
      get profile() {
        return member.profile;
      },
      set profile(profile) {
        member.profile = profile;
        room.introduce(member);
      },
      send: (data) => room.send(id, data),
    };
    const nothing = () => {};
    this.session = new Session(group, {
      changed: nothing,
      delivered: nothing,
      hostChanged: (change) => this.told.push(change),
      restored: nothing,
      failed: assert.fail,
      resign: () => this.resigned++,
    });
  }

  do(operation: Operation): void {
    this.session.shared.do(operation);
  }

  get shown(): string[] {
    return [...this.session.shared.board.steps.values()].map(({ name, x }) => `${name}@${x}`);
  }

  get truth(): string {
    return JSON.stringify(this.session.shared.snapshot());
  }
}

const add = (id: string, x = 0): Operation => ({ do: "add", id, name: id, x, y: 0 });
const move = (id: string, x: number): Operation => ({ do: "move", id, x, y: 0, gesture: "g" });

test("an own operation is shown at once, and the order of delivery decides", () => {
  const room = new Room();
  const [ann, bob] = [room.join("ann"), room.join("bob")];
  ann.do(add("a"));
  assert.deepEqual([ann.shown, bob.shown], [["a@0"], []]);
  room.deliver();
  bob.do(move("a", 20));
  ann.do(move("a", 10));
  assert.deepEqual([ann.shown, bob.shown], [["a@10"], ["a@20"]]);
  room.deliver();
  assert.deepEqual([ann.shown, bob.shown], [["a@10"], ["a@10"]], "ann's came later");
  assert.equal(ann.truth, bob.truth);
});

test("a late joiner gets the board of the others, with their undo", () => {
  const room = new Room();
  const ann = room.join("ann");
  ann.do(add("a"));
  ann.do(move("a", 10));
  room.deliver();
  const bob = room.join("bob");
  ann.do({ do: "undo" });
  bob.do(add("b", 5));
  room.deliver();
  assert.deepEqual(bob.shown, ["a@0", "b@5"]);
  assert.equal(ann.truth, bob.truth);
});

test("a stored board is used only by the first member", () => {
  const room = new Room();
  const ann = room.join("ann", [add("a")]);
  room.deliver();
  const bob = room.join("bob", [add("b")]);
  room.deliver();
  assert.deepEqual([ann.shown, bob.shown], [["a@0"], ["a@0"]]);
});

test("a pending operation ends when it is delivered, also by a snapshot", async () => {
  const room = new Room();
  const [ann, bob] = [room.join("ann"), room.join("bob")];
  ann.do(add("a"));
  room.deliver();
  assert.equal(ann.session.shared.waiting, 0);
  bob.do(add("b"));
  assert.equal(bob.session.shared.waiting, 1);
  // Bob is away: the others get the message, and bob gets a snapshot.
  room.members.delete("bob");
  room.deliver();
  bob.session.restore(JSON.parse(JSON.stringify(ann.session.snapshot())));
  await Promise.resolve();
  assert.equal(bob.session.shared.waiting, 0);
  assert.deepEqual(bob.shown, ["a@0", "b@0"]);
});

test("names follow the profiles and are kept when their members leave", () => {
  const room = new Room();
  const [ann, bob] = [room.join("ann"), room.join("bob")];
  assert.equal(ann.session.people.nameOf("bob"), "name of bob");
  bob.session.rename("Bobby");
  room.deliver();
  const cid = room.join("cid");
  assert.deepEqual(
    [ann, cid].map(({ session }) => session.people.nameOf("bob")),
    ["Bobby", "Bobby"],
  );
  assert.equal(bob.session.people.nameOrYou("bob"), "you");
  assert.equal(bob.session.people.nameOf("bob"), "Bobby");
  room.members.delete("bob");
  ann.session.member({ kind: "leave", id: "bob", profile: undefined });
  assert.equal(ann.session.people.nameOf("bob"), "Bobby");
});

test("a newcomer with a taken name takes another, unless it has chosen one", async () => {
  const room = new Room();
  const settle = async () => {
    room.deliver();
    for (let turn = 0; turn < 4; turn++) await Promise.resolve();
  };
  const [ann, other] = [room.join("a", [], "Ann"), room.join("b", [], "Ann")];
  await settle();
  assert.deepEqual(
    [ann, other].map(({ session }) => ["a", "b"].map((id) => session.people.nameOf(id))),
    [
      ["Ann", "Ann 2"],
      ["Ann", "Ann 2"],
    ],
  );
  const third = room.join("c", [], "Ann");
  third.session.rename("Ann 2");
  await settle();
  assert.equal(ann.session.people.nameOf("c"), "Ann 2", "as the person wanted");
});

test("a change of host is reported with the page's own measurement", () => {
  const room = new Room();
  const [ann, bob] = [room.join("ann"), room.join("bob")];
  room.elect("bob", "resigned");
  assert.deepEqual(
    [ann, bob].map(({ told }) =>
      told.map(({ host, before, tookMs, seen }) => [host, before, tookMs, seen]),
    ),
    [[["bob", "ann", 42, 1]], [["bob", "ann", 42, 1]]],
  );
  room.elect("bob", "restarted");
  assert.equal(ann.told.length, 1, "a new epoch of the same host is none");
  room.elect("ann", "left");
  assert.equal(ann.told[1]?.seen, 2);
});

test("without the server no host is dropped, now or later", () => {
  const room = new Room();
  const [ann, bob] = [room.join("ann"), room.join("bob")];
  for (const { session } of [ann, bob]) session.status({ state: "open", server: false });
  bob.session.dropHost();
  ann.session.dropHost();
  for (const { session } of [ann, bob]) session.status({ state: "open", server: true });
  room.deliver();
  assert.equal(ann.resigned, 0);
});

test("relayed links end with the server's connection", () => {
  const room = new Room();
  const [ann, bob] = [room.join("ann"), room.join("bob")];
  ann.session.link({ id: "bob", path: "relay", rttMs: 29 });
  ann.session.link({ id: "cid", path: "p2p", rttMs: 2 });
  const paths = () => ["bob", "cid"].map((id) => ann.session.linkOf(id)?.path);
  assert.deepEqual(paths(), ["relay", "p2p"]);
  ann.session.status({ state: "open", server: false });
  assert.deepEqual(paths(), [undefined, "p2p"]);
  bob.session.links.setReported([{ id: "cid", path: "p2p", rttMs: 2 }]);
  bob.session.status({ state: "away", server: false });
  assert.equal(bob.session.linkOf("cid"), undefined, "nobody can know");
});

test("pending changes are told apart from settled ones", () => {
  const room = new Room();
  const ann = room.join("ann");
  ann.do(add("a"));
  ann.do(add("b"));
  room.deliver();
  ann.do(move("a", 10));
  ann.do({ do: "connect", from: "a", to: "b" });
  const { shared } = ann.session;
  const mine = () => ["a", "b", "a b"].map((id) => shared.differs(id));
  assert.deepEqual(mine(), [true, false, true]);
  room.deliver();
  assert.deepEqual(mine(), [false, false, false]);
});

test("the host is dropped once, however many members ask", () => {
  const room = new Room();
  const [ann, bob, cid] = [room.join("ann"), room.join("bob"), room.join("cid")];
  bob.session.dropHost();
  cid.session.dropHost();
  room.deliver();
  assert.equal(ann.resigned, 2, "asked twice in its epoch; the library hands over once");
  cid.session.dropHost();
  room.elect("bob", "resigned");
  room.deliver();
  assert.equal(bob.resigned, 0, "what was meant for the last host does not drop the next");
  assert.deepEqual([ann.session.lastChange?.before, ann.session.lastChange?.tookMs], ["ann", 42]);
});

test("the host tells its measurements only when they change", () => {
  const room = new Room();
  const [ann, bob] = [room.join("ann"), room.join("bob")];
  room.deliver();
  ann.session.link({ id: "bob", path: "p2p", rttMs: 12.34 });
  ann.session.tellLinks();
  room.deliver();
  assert.deepEqual(bob.session.links.of("bob", "bob", "ann"), {
    id: "bob",
    path: "p2p",
    rttMs: 12.3,
  });
  ann.session.link({ id: "bob", path: "p2p", rttMs: 12.9 });
  assert.equal(ann.session.links.takeChanges(["ann", "bob"]), undefined);
  ann.session.link({ id: "bob", path: "relay", rttMs: 12.9 });
  assert.equal(ann.session.links.takeChanges(["ann", "bob"])?.length, 1);
});

test("a drag sends about fifteen moves a second, and always its end", () => {
  const sent: Operation[] = [];
  let now = 0;
  let timers: { at: number; then: () => void }[] = [];
  const mover = new Mover(
    { do: (operation) => void sent.push(operation), preview: () => {} },
    { now: () => now, later: (then, ms) => timers.push({ at: now + ms, then }) },
  );
  for (; now < 1000; now += 8) {
    mover.move("a", { x: now, y: 0 }, "g");
    const due = timers.filter(({ at }) => at <= now);
    timers = timers.filter(({ at }) => at > now);
    for (const { then } of due) then();
  }
  mover.move("a", { x: 9999, y: 0 }, "g");
  mover.flush();
  assert.ok(sent.length >= 12 && sent.length <= 16, `${sent.length} were sent`);
  assert.deepEqual(sent.at(-1), { do: "move", id: "a", x: 9999, y: 0, gesture: "g" });
});
