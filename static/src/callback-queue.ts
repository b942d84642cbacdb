// Runs the page's callbacks one after another: while an onSnapshot or onRestore is at work, the
// rest waits.

type Job = () => void | Promise<void>;

export class CallbackQueue {
  #jobs: Job[] = [];
  #next = 0;
  #busy = false;
  /** Whether the queue waits for a job that returned a promise. */
  #waiting = false;

  /** Runs the job when the jobs before it have ended. */
  push(job: Job): void {
    this.#jobs.push(job);
    if (!this.#busy) this.#run();
  }

  /** Runs the job, and all jobs before it, without waiting for a job that returned a promise. */
  pushWithoutWaiting(job: Job): void {
    this.#jobs.push(job);
    if (!this.#busy || this.#waiting) this.#run();
  }

  #run(): void {
    this.#busy = true;
    this.#waiting = false;
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
        this.#waiting = true;
        const resume = (): void => {
          if (this.#waiting) this.#run();
        };
        void done.then(resume, (error: unknown) => {
          console.error("peerstar:", error);
          resume();
        });
        return;
      }
    }
    this.#jobs = [];
    this.#next = 0;
    this.#busy = false;
  }
}
