// The rough wire without a browser: its lanes in virtual time, and its two proxies with real
// sockets.
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { describe, test } from "node:test";
import { until } from "./support/until.mjs";
import { rough, Wire } from "./support/wire.mjs";
import { Lane } from "./support/wire/lane.mjs";
import { seeded } from "./support/wire/random.mjs";

/** Sends `count` packets, one every `everyMs`. Returns the arrival time of each. */
function packets(lane, count, { everyMs = 1, bytes = 100, from = 0 } = {}) {
  return Array.from({ length: count }, (_, i) => lane.packet(bytes, from + i * everyMs));
}

const arrived = (all) => all.filter((at) => at !== undefined);
const overtakes = (all) => arrived(all).filter((at, i, some) => i > 0 && at < some[i - 1]).length;

describe("a lane", () => {
  test("delays each packet by its delay and at most its jitter", () => {
    const all = packets(new Lane(seeded("delay"), { delayMs: 75, jitterMs: 15 }), 10_000, {
      everyMs: 10,
    });
    const took = all.map((at, i) => at - i * 10);
    assert.ok(took.every((ms) => ms >= 60 && ms <= 90));
    const mean = took.reduce((sum, ms) => sum + ms, 0) / took.length;
    assert.ok(Math.abs(mean - 75) < 0.5, `mean ${mean}`);
    assert.ok(Math.min(...took) < 61 && Math.max(...took) > 89, "the whole range is used");
  });

  test("reorders packets only where there is jitter", () => {
    assert.ok(
      overtakes(packets(new Lane(seeded("order"), { delayMs: 75, jitterMs: 15 }), 1000)) > 100,
    );
    assert.equal(overtakes(packets(new Lane(seeded("order"), { delayMs: 75 }), 1000)), 0);
  });

  test("loses its share of packets", () => {
    for (const loss of [0, 0.01, 0.03, 1]) {
      const lane = new Lane(seeded("loss"), { loss });
      const lost = 100_000 - arrived(packets(lane, 100_000)).length;
      assert.ok(Math.abs(lost / 100_000 - loss) < 0.002, `${lost} of 100,000 at ${loss}`);
      assert.equal(lane.lost, lost);
    }
  });

  test("repeats itself with the same seed and differs with another", () => {
    const run = (seed) =>
      packets(new Lane(seeded(seed), { delayMs: 20, jitterMs: 5, loss: 0.03 }), 1000);
    assert.deepEqual(run("one"), run("one"));
    assert.notDeepEqual(run("one"), run("two"));
  });

  test("passes what its bandwidth allows and loses what its queue does not hold", () => {
    const lane = new Lane(seeded("band"), { bytesPerS: 125_000, queueBytes: 10_000 });
    // Packets come at twice the bandwidth for ten seconds.
    const all = arrived(packets(lane, 2500, { everyMs: 4, bytes: 1000 }));
    assert.ok(Math.abs(all.length - 1250) <= 15, `${all.length} of 2,500`);
    assert.equal(lane.overflowed, 2500 - all.length);
    assert.equal(overtakes(all), 0);
    assert.ok(
      all.slice(1).every((at, i) => at - all[i] >= 8 - 1e-6),
      "1,000 bytes take 8 ms",
    );
    const waits = all.at(-1) - 10_000;
    assert.ok(waits > 60 && waits <= 88, `the last waits ${waits} ms in a queue of 80 ms`);
  });

  test("has its queue empty again after a rest", () => {
    const lane = new Lane(seeded("rest"), { bytesPerS: 1000, queueBytes: 500 });
    assert.deepEqual([lane.packet(500, 0), lane.packet(1, 0)], [500, undefined]);
    assert.equal(lane.packet(500, 500), 1000);
  });

  test("loses every packet during a blackout", () => {
    const lane = new Lane(seeded("dark"), { delayMs: 10 });
    lane.darken(3000);
    const all = packets(lane, 400, { everyMs: 10 });
    assert.deepEqual(
      all.map((at) => at === undefined),
      all.map((_, i) => i * 10 < 3000),
    );
    assert.equal(lane.readyAt(1000), 3000, "a stream waits");
    assert.equal(lane.readyAt(3500), 3500);
  });

  test("makes a stream wait for half of the queue, so that packets have the other", () => {
    const lane = new Lane(seeded("both"), { bytesPerS: 1000, queueBytes: 1000 });
    let at = 0;
    while (lane.readyAt(0) === 0) at = lane.segment(100, 0);
    assert.equal(at, 600, "the first beyond the half is still taken");
    assert.equal(lane.readyAt(0), 100);
    assert.equal(lane.packet(400, 0), 1000);
  });

  test("sends a lost segment of a stream again, as TCP does", () => {
    const lane = new Lane(seeded("again"), { delayMs: 25, loss: 1 });
    assert.equal(lane.segment(100, 0), 25 + 200 + 50);
  });

  test("takes other conditions and rejects unknown ones", () => {
    const lane = new Lane(seeded("set"), { delayMs: 10 });
    assert.equal(lane.packet(1, 0), 10);
    lane.set(rough({ rttMs: 4000, loss: 0 }));
    const at = lane.packet(1, 0);
    assert.ok(at >= 800 && at <= 1200, `${at}`);
    assert.throws(() => lane.set({ delay: 10 }), /no "delay"; it has: delayMs/);
  });
});

/**
 * Starts a TCP server on a free port that handles each connection with `serve`. Returns the port
 * and connections.
 */
async function listen(t, serve) {
  const server = createServer({ allowHalfOpen: true }, serve).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return server.address().port;
}

async function wireTo(t, ends, conditions) {
  const wire = await Wire.start({ server: 1, ...ends, conditions, seed: t.name });
  t.after(() => wire.end());
  return wire;
}

/** Opens a client's connection that collects what it receives. */
async function dial(t, wire) {
  const socket = connect({ port: wire.tcp.port, host: "127.0.0.1", allowHalfOpen: true });
  socket.heard = [];
  socket
    .on("data", (data) => socket.heard.push(data))
    .on("error", (error) => (socket.failed = error.code))
    .on("end", () => (socket.over = true));
  t.after(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}

const text = (socket) => Buffer.concat(socket.heard).toString();

/** Sends back all bytes, and ends when the other side has ended. */
const echo = (socket) => socket.on("error", () => {}).pipe(socket);

describe("the TCP half of a wire", () => {
  test("keeps every byte in order, whatever the jitter and the losses", async (t) => {
    const wire = await wireTo(
      t,
      { server: await listen(t, echo) },
      { delayMs: 2, jitterMs: 2, loss: 0.05 },
    );
    const socket = await dial(t, wire);
    const sent = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 251));
    socket.end(sent);
    await until("all to be back, and the end after it", () => socket.over);
    assert.ok(Buffer.concat(socket.heard).equals(sent));
    assert.ok(wire.lanes.up.lost > 0, "some segments were lost");
  });

  test("passes on the end of one direction while the other goes on", async (t) => {
    let server;
    const port = await listen(t, (socket) => {
      server = socket
        .on("error", () => {})
        .on("data", () => {})
        .on("end", () => (socket.over = true));
    });
    const socket = await dial(t, await wireTo(t, { server: port }));
    socket.end("question");
    await until("the server to see the end", () => server?.over);
    server.write("answer");
    await until("the answer", () => text(socket) === "answer");
    server.end();
    await until("the client to see the end", () => socket.over);
  });

  test("passes on a reset", async (t) => {
    let server;
    const port = await listen(t, (socket) => {
      server = socket.on("error", ({ code }) => (socket.failed = code));
      socket.write("hello");
    });
    const socket = await dial(t, await wireTo(t, { server: port }, { delayMs: 5 }));
    await until("to be connected", () => text(socket) === "hello");
    socket.resetAndDestroy();
    await until("the server to see the reset", () => server.failed === "ECONNRESET");
  });

  test("passes on that no server listens", async (t) => {
    const socket = await dial(t, await wireTo(t, { server: 1 }));
    await until("a reset", () => socket.failed === "ECONNRESET");
  });

  test("resets both sides when it is cut", async (t) => {
    let server;
    const port = await listen(t, (socket) => {
      server = socket.on("error", ({ code }) => (socket.failed = code)).on("data", () => {});
      socket.write("hello");
    });
    const wire = await wireTo(t, { server: port });
    const socket = await dial(t, wire);
    await until("to be connected", () => text(socket) === "hello");
    wire.cut();
    await until(
      "both to see it",
      () => server.failed === "ECONNRESET" && socket.failed === "ECONNRESET",
    );
  });

  test("leaves no connection open when it is cut as a stream ends", async (t) => {
    const port = await listen(t, (socket) => socket.on("error", () => {}).write("hello"));
    const wire = await wireTo(t, { server: port });
    const socket = await dial(t, wire);
    await until("to be connected", () => text(socket) === "hello");
    const [{ near, far }] = wire.tcp.connections;
    near.end();
    far.end();
    wire.cut();
    await until("no connection to be left", () => wire.tcp.connections.size === 0);
  });

  test("passes nothing while it is stalled, not even ends and new connections, and all of it afterwards", async (t) => {
    const servers = [];
    const port = await listen(t, (socket) => servers.push(echo(socket)));
    const wire = await wireTo(t, { server: port });
    const [socket, witness] = [
      await dial(t, wire),
      await dial(t, await wireTo(t, { server: port })),
    ];
    socket.write("one ");
    await until("an echo", () => text(socket) === "one ");
    wire.stall();
    socket.end("two");
    const late = await dial(t, wire);
    late.write("late");
    // Traffic over another wire proves that there was enough time.
    for (let i = 1; i <= 20; i++) {
      witness.write(".");
      await until("an echo over the other wire", () => text(witness).length === i);
    }
    assert.deepEqual(
      [text(socket), socket.over, socket.failed, text(late)],
      ["one ", undefined, undefined, ""],
    );
    wire.resume();
    await until(
      "the rest",
      () => text(socket) === "one two" && socket.over && text(late) === "late",
    );
  });

  test("ends a blackout by itself", async (t) => {
    const wire = await wireTo(t, { server: await listen(t, echo) });
    const socket = await dial(t, wire);
    wire.blackout(50);
    socket.write("through");
    await until("an echo", () => text(socket) === "through");
  });

  test("makes a writer wait for a slow reader and loses nothing", async (t) => {
    let server;
    const port = await listen(t, (socket) => {
      server = socket.on("error", () => {});
      socket.pause();
    });
    const wire = await wireTo(t, { server: port });
    const socket = await dial(t, wire);
    const MOST = 64 << 20;
    let written = 0;
    const piece = Buffer.alloc(64 << 10);
    // The kernel's buffers fill first, then the wire's own.
    const write = () => {
      while (written < MOST) {
        written += piece.length;
        if (!socket.write(piece)) return socket.once("drain", write);
      }
    };
    write();
    const [connection] = wire.tcp.connections;
    await until("the wire to read no more", () => connection.near.isPaused());
    assert.ok(connection.up.holds < 512 << 10, `the wire holds ${connection.up.holds} bytes`);
    assert.ok(written < MOST, "the writer waits");
    let read = 0;
    server.on("data", ({ length }) => (read += length)).resume();
    await until("all to have come", () => read === MOST, 30_000);
  });
});

/** Starts a UDP server that sends every packet back to its sender. */
async function echoPackets(t) {
  const socket = createSocket("udp4");
  const ports = new Set();
  socket.on("message", (packet, { port }) => {
    ports.add(port);
    socket.send(packet, port, "127.0.0.1");
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  t.after(() => socket.close());
  return { ports, port: socket.address().port };
}

function client(t, wire, address = "127.0.0.1") {
  const socket = createSocket("udp4").bind(0, address);
  socket.heard = [];
  socket.on("message", (packet) => socket.heard.push(String(packet)));
  t.after(() => socket.close());
  socket.say = (text) => socket.send(text, wire.udp.port, "127.0.0.1");
  return socket;
}

describe("the UDP half of a wire", () => {
  test("carries packets in both directions, separately for each socket of the browser", async (t) => {
    const { ports, port } = await echoPackets(t);
    const wire = await wireTo(t, { turn: port }, { delayMs: 1 });
    const [ann, bob] = [client(t, wire), client(t, wire)];
    ann.say("ann");
    bob.say("bob");
    await until("both to be back", () => ann.heard.length + bob.heard.length === 2);
    assert.deepEqual([ann.heard, bob.heard], [["ann"], ["bob"]]);
    assert.equal(ports.size, 2, "coturn sees two");
  });

  test("sends answers to the address that a packet came from", async (t) => {
    const { port } = await echoPackets(t);
    const socket = client(t, await wireTo(t, { turn: port }), "127.0.0.2");
    socket.say("hello");
    await until("it to be back", () => socket.heard.length > 0);
  });

  test("loses its share of packets and no others", async (t) => {
    const { port } = await echoPackets(t);
    const wire = await wireTo(t, { turn: port }, { loss: 0.2 });
    const socket = client(t, wire);
    const said = [];
    while (said.length < 200) {
      for (let i = 0; i < 20; i++) {
        socket.say(`${said.length}`);
        said.push(`${said.length}`);
      }
      // Few packets at a time, so that no buffer of the kernel overflows.
      await until(
        "the packets to be at the wire",
        () => wire.lanes.up.passed + wire.lanes.up.lost === said.length,
      );
    }
    await until(
      "the rest to have come",
      () => socket.heard.length === 200 - wire.lanes.up.lost - wire.lanes.down.lost,
    );
    assert.ok(wire.lanes.up.lost > 20 && wire.lanes.down.lost > 15);
    assert.ok(socket.heard.every((word) => said.includes(word)));
  });

  test("loses packets while it is stalled and does not deliver them later", async (t) => {
    const { port } = await echoPackets(t);
    const wire = await wireTo(t, { turn: port });
    const socket = client(t, wire);
    wire.stall();
    socket.say("lost");
    await until("the packet to be lost", () => wire.lanes.up.lost === 1);
    wire.resume();
    socket.say("heard");
    await until("the other to be back", () => socket.heard.length > 0);
    assert.deepEqual(socket.heard, ["heard"]);
  });

  test("shares the bandwidth with the TCP half", async (t) => {
    const wire = await wireTo(t, { turn: 1 }, rough({ rttMs: 0, bitsPerS: 1_000_000 }));
    assert.equal(wire.lanes.up, wire.udp.up);
    assert.equal(wire.lanes.up, wire.tcp.lanes.up);
    assert.equal(wire.lanes.up.conditions.bytesPerS, 125_000);
  });
});
