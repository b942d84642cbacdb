// A page whose members are on different nodes of a cluster, and all send messages while nodes die and
// are replaced.
import assert from "node:assert/strict";
import { clock, Crowd } from "./group.mjs";
import { untilState } from "./until.mjs";

export class Spread extends Crowd {
  static serve = (world, settings) => world.cluster({ settings });
  static gather = (world, options) => Crowd.gather(world, { ...options, Kind: Spread });

  /** Members come to the nodes in turn. */
  get nextAddress() {
    const { doors } = this.server;
    return doors[this.members.length % doors.length].url;
  }

  /**
   * Ends a node by a signal, and waits until all members are on other nodes and each was handed a
   * message of each that was sent after that. The host may change only if its own socket was on the
   * node. Returns whether it has, how many members were on the node, for each pair of members how many
   * ms the first such message took, and the longest silence of each member.
   */
  async nodeEnds(node, signal) {
    const moved = await node.metric("connections");
    const host = await this.host();
    const { epoch } = await host.summary();
    const from = await this.#each(() => diary.messages.length);
    const at = clock();
    const ended = node.end(signal);
    const summaries = await this.#summaries();
    const said = Object.fromEntries(summaries.map(({ said }, i) => [this.members[i].name, said]));
    const firsts = await untilState(
      "each member to hear a new message of each",
      () => Promise.all(this.members.map(({ tab }, i) => tab.evaluate(heard, [said, from[i]]))),
      (all) => all.every((times) => Object.keys(times).length === this.members.length),
      30_000,
    );
    await ended;
    await untilState(
      "all members to be on a node",
      () => this.server.sum("connections"),
      (count) => count === this.members.length,
      20_000,
    );
    await this.settled();
    const hostStayed = !(await host.tab.evaluate(lostItsSocket, at));
    const epochs = (await this.#summaries()).map((summary) => summary.epoch);
    const hostChanged = epochs.some((now) => now !== epoch);
    assert.ok(!hostStayed || !hostChanged, "the host has changed, whose socket stayed");
    return {
      moved,
      hostChanged,
      took: firsts.flatMap((times) => Object.values(times).map((time) => time - at)),
      silent: await this.#each(longestSilence, at),
    };
  }

  #each = (look, argument) =>
    Promise.all(this.members.map(({ tab }) => tab.evaluate(look, argument)));
  #summaries = () => Promise.all(this.members.map((member) => member.summary()));
}

// These run in the members' pages.

/** Returns when the first message after number `said[name]` of each member came, by name. */
function heard([said, from]) {
  const times = {};
  for (let i = from; i < diary.messages.length; i++) {
    const [name, n] = diary.messages[i].split("#");
    if (n > said[name]) times[name] ??= diary.times[i][0];
  }
  return times;
}

/** Returns whether the member has lost its socket since `at`. */
function lostItsSocket(at) {
  return diary.events.some((e) => e.kind === "status" && e.at > at && !e.server);
}

/** Returns the longest time between two messages since shortly before `at`. */
function longestSilence(at) {
  const times = diary.times.map(([time]) => time).filter((time) => time > at - 1_000);
  return Math.max(...times.slice(1).map((time, i) => time - times[i]));
}
