// One page sends as fast as it can, and all pages count. A message has landed when it comes back to
// its sender. A host's own message has landed when another page acknowledges it. Both libraries
// promise the same at that moment.
const BYTES = 200;

/** Returns a message whose JSON is 200 bytes long. */
export function message(n) {
  const bare = { n, pad: "" };
  return { n, pad: "x".repeat(BYTES - JSON.stringify(bare).length) };
}

/** Counts messages. A message out of order or repeated counts as wrong. */
export class Counter {
  last = 0;
  wrong = 0;

  take(n) {
    if (n === this.last + 1) this.last = n;
    else this.wrong++;
  }
}

/** Keeps `inFlight` messages under way. `send` calls back when its message has landed. */
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
