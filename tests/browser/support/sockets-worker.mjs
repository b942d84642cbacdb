// Hundreds of members in one thread without a browser: the library's own shell and state machine
// over `ws`. They have no data channels, and without `mayHost` they never host (`eligible: false`).
// sockets.mjs bundles and starts this file.
import { randomUUID } from "node:crypto";
import { parentPort, threadId, workerData } from "node:worker_threads";
import WebSocket from "ws";
import { PROTOCOL } from "../../../static/src/group/index.ts";
import { probe } from "../../../static/src/health-probe.ts";
import { Shell } from "../../../static/src/shell.ts";

const { server, page, mayHost } = workerData;

const env = {
  dial(url) {
    const socket = new WebSocket(url, { perMessageDeflate: false });
    socket.onerror = () => {}; // `close` follows with the reason
    const send = socket.send;
    // The library declares every page eligible, so the text is changed here.
    socket.send = (text) =>
      send.call(
        socket,
        !mayHost && text.startsWith('{"type":"STATUS"')
          ? text.replace('"eligible":true', '"eligible":false')
          : text,
      );
    return socket;
  },
  now: () => performance.now(),
  random: Math.random,
  after: (ms, then) => setTimeout(then, ms),
  cancel: clearTimeout,
  soon: setImmediate,
  probe(url, answered) {
    const stop = new AbortController();
    void probe(url, stop.signal).then((answer) => stop.signal.aborted || answered(answer));
    return () => stop.abort();
  },
  beacon: (url) => void fetch(url, { method: "POST" }).catch(() => {}),
};

class Member {
  id = randomUUID();
  state = [];
  /** Epoch of the last message delivered. */
  epoch = 0;
  said = 0;
  resolved = 0;
  /** Messages that the library does not promise to have delivered. */
  rejected = [];
  /** Ids of the members that it knows, its own included. */
  sees = new Set([this.id]);
  hasJoined = false;
  troubles = [];

  constructor(name, server) {
    this.name = name;
    const token = randomUUID();
    const routes = {
      health: new URL("health", server).href,
      leave: `${server}/pages/${encodeURIComponent(page)}/peers/${this.id}/leave?token=${token}`,
    };
    const parameters = { key: "peerjs", id: this.id, token, page, group: String(PROTOCOL) };
    const port = {
      routes: () => routes,
      socketUrl: (claim) =>
        `${server.replace("http", "ws")}/peerjs?${new URLSearchParams({ ...parameters, ...claim })}`,
      isVisible: () => true,
      emit: (name, ...args) => this.#events[name]?.(...args),
      onSnapshot: () => this.state,
      onRestore: (state) => (this.state = [...state]),
      release() {},
      setId() {},
      signallingOpened() {},
      useIce() {},
      signal() {},
      dial() {},
      forget() {},
    };
    this.shell = new Shell(env, { id: this.id, profile: undefined, p2p: false }, port, () => {});
    this.shell.callbacksChanged("");
    this.shell.start();
  }

  /** Listeners of the group's events. */
  #events = {
    open: () => (this.hasJoined = true),
    message: (word, { epoch }) => {
      this.state.push(word);
      this.epoch = epoch;
    },
    member: ({ kind, id }) => this.sees[kind === "join" ? "add" : "delete"](id),
    recovered: (event) => {
      if (!event.complete) this.troubles.push(`incomplete: ${JSON.stringify(event)}`);
    },
    error: ({ code }) => this.troubles.push(code),
    close: ({ code, reason }) => this.troubles.push(`closed: ${code} ${reason}`),
  };

  say() {
    const word = `${this.name}#${++this.said}`;
    this.shell.send("", word).then(
      () => this.resolved++,
      () => this.rejected.push(word), // `error` reports it
    );
  }

  get underWay() {
    return this.said - this.resolved - this.rejected.length;
  }
}

/** Largest number of unsettled messages, so that a slow machine is not swamped. */
const UNDER_WAY = 64;

/** Lines that the library wrote to the console as errors. */
const complaints = [];
console.error = (...words) => complaints.push(words.map(String).join(" "));

/** How the members' names begin. Each thread has names of its own. */
const prefix = `plain${threadId}-`;
const members = [];
const underWay = () => members.reduce((sum, { underWay }) => sum + underWay, 0);
let chatter;
let turn = 0;

const commands = {
  join({ count, url = server }) {
    for (let i = 0; i < count; i++) members.push(new Member(`${prefix}${members.length + 1}`, url));
    return members.length;
  },
  /**
   * Sends `perS` messages a second in all, one member after another. A late timer sends what it
   * missed, unless too many messages are unsettled.
   */
  chat(perS) {
    let said = performance.now();
    chatter = setInterval(() => {
      for (; said <= performance.now(); said += 1000 / perS) {
        if (underWay() < UNDER_WAY) members[(turn++ * 37) % members.length].say();
      }
    }, 20);
  },
  hush: () => clearInterval(chatter),
  seen() {
    const sizes = members.map(({ sees }) => sees.size);
    return [Math.min(...sizes), Math.max(...sizes)];
  },
  /** Returns whether each member has joined and sees at least `count` members. */
  see: (count) => members.every(({ hasJoined, sees }) => hasJoined && sees.size >= count),
  summary() {
    const lengths = members.map(({ state }) => state.length);
    return {
      epoch: Math.min(...members.map(({ epoch }) => epoch)),
      unresolved: underWay(),
      delivered: [Math.min(...lengths), Math.max(...lengths)],
      troubles: [
        ...complaints,
        ...members.flatMap(({ name, troubles }) =>
          troubles.map((trouble) => `${name}: ${trouble}`),
        ),
      ],
    };
  },
  heard: () => members[0].state,
  rejected: () => members.flatMap(({ rejected }) => rejected),
  /** Returns each member's name and number of messages sent. */
  said: () => members.map(({ name, said }) => [name, said]),
  /** Returns the members whose messages differ from `model`, and the first index that differs. */
  others: (model) =>
    members
      .filter(
        ({ state }) => state.length !== model.length || state.some((word, i) => word !== model[i]),
      )
      .map(({ name, state }) => ({
        name,
        delivered: state.length,
        from: state.findIndex((word, i) => word !== model[i]),
      })),
};

parentPort.on("message", ({ token, command, argument }) =>
  parentPort.postMessage({ token, answer: commands[command](argument) }),
);
