// Virtual time. What is planned runs in order of time, and then of planning.

interface Planned {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

export class Clock {
  now = 0;
  #steps = 0;
  #order = 0;
  #heap: Planned[] = [];

  /** Calls `tired` when more than `limit` planned things have run. */
  constructor(
    readonly limit: number,
    readonly tired: () => never,
  ) {}

  after(ms: number, run: () => void): void {
    this.at(this.now + ms, run);
  }

  at(at: number, run: () => void): void {
    const heap = this.#heap;
    const item = { at: Math.max(Math.ceil(at), this.now), order: this.#order++, run };
    let i = heap.push(item) - 1;
    while (i > 0) {
      const up = (i - 1) >> 1;
      const parent = heap[up] as Planned;
      if (!before(item, parent)) break;
      heap[i] = parent;
      i = up;
    }
    heap[i] = item;
  }

  /** Runs everything that is due until `end`. */
  until(end: number): void {
    for (let next = this.#heap[0]; next && next.at <= end; next = this.#heap[0]) {
      this.#pop();
      this.now = next.at;
      if (++this.#steps > this.limit) this.tired();
      next.run();
    }
    this.now = end;
  }

  #pop(): void {
    const heap = this.#heap;
    const item = heap.pop() as Planned;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Planned, heap[child] as Planned))
        child++;
      if (!before(heap[child] as Planned, item)) break;
      heap[i] = heap[child] as Planned;
      i = child;
    }
    heap[i] = item;
  }
}

function before(a: Planned, b: Planned): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
