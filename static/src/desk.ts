// What reaches the page, one after another: while its onSnapshot or onRestore is at work, the rest waits.

type Job = () => void | Promise<void>;

export class Desk {
  #jobs: Job[] = [];
  #next = 0;
  #busy = false;
  /** For one that takes time. */
  #waits = false;

  do(job: Job): void {
    this.#jobs.push(job);
    if (!this.#busy) this.#run();
  }

  /** The same, and what takes time is not waited for any more. */
  last(job: Job): void {
    this.#jobs.push(job);
    if (!this.#busy || this.#waits) this.#run();
  }

  #run(): void {
    this.#busy = true;
    this.#waits = false;
    while (this.#next < this.#jobs.length) {
      const job = this.#jobs[this.#next++] as Job;
      let done: unknown;
      try {
        done = job();
      } catch (error) {
        console.error("peerstar:", error);
        continue;
      }
      if (done instanceof Promise) {
        this.#waits = true;
        const on = (): void => {
          if (this.#waits) this.#run();
        };
        void done.then(on, (error: unknown) => {
          console.error("peerstar:", error);
          on();
        });
        return;
      }
    }
    this.#jobs = [];
    this.#next = 0;
    this.#busy = false;
  }
}
