// One sends as fast as it may, all count. A message has landed when it came back to its sender; a host's own, when one
// other has said that it has it. So that both libraries promise the same at that moment.
const BYTES = 200;

/** A message whose JSON is 200 bytes long. */
export function message(n) {
  const bare = { n, pad: "" };
  return { n, pad: "x".repeat(BYTES - JSON.stringify(bare).length) };
}

/** What has come: each once, in order, or it counts as wrong. */
export class Counter {
  last = 0;
  wrong = 0;

  take(n) {
    if (n === this.last + 1) this.last = n;
    else this.wrong++;
  }
}

/** Keeps `inFlight` under way; `send` calls back when one has landed. */
export class Flow {
  sent = 0;
  landed = 0;

  constructor(send) {
    this.send = send;
  }

  start(inFlight) {
    this.running = true;
    for (let i = 0; i < inFlight; i++) this.#next();
  }

  #next() {
    if (!this.running) return;
    this.send(message(++this.sent), () => {
      this.landed++;
      this.#next();
    });
  }

  stop() {
    this.running = false;
  }
}
