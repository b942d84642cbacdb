// Asks this member's page for its state. While the page makes a snapshot, nothing is delivered to
// it.

import type { Replica } from "./replica.ts";
import type { Settings } from "./settings.ts";
import type { Step } from "./step.ts";
import type { Timers } from "./timers.ts";
import type { Snapshot } from "./types.ts";

/** Failures in a row after which the page is taken to have no snapshots. */
const REFUSALS = 3;

/** A snapshot as the page gives it, opaque here. */
export interface Answer {
  readonly state: unknown;
  readonly parts?: unknown;
  readonly size: number;
}

type Receiver = (snap: Snapshot | null) => void;

interface SnapshotParts {
  readonly replica: Replica;
  readonly settings: Settings;
  readonly step: Step;
  readonly timers: Timers;
}

export class Snapshots {
  readonly #parts: SnapshotParts;
  #hasCallback = false;
  /** Number of times in a row that the page was asked and gave no snapshot. */
  #refusals = 0;
  #question:
    | { readonly token: number; readonly snap: Snapshot; readonly receivers: Receiver[] }
    | undefined;

  constructor(parts: SnapshotParts) {
    this.#parts = parts;
  }

  /** Whether the page can give a snapshot that others can start from. */
  get areGiven(): boolean {
    return this.#hasCallback && this.#parts.replica.isWhole && this.#refusals < REFUSALS;
  }

  /** Whether the page makes a snapshot now. */
  get isAsking(): boolean {
    return this.#question !== undefined;
  }

  /** Whether the page takes so long for its snapshot that this member can take no more entries. */
  get isBlocking(): boolean {
    return this.isAsking && this.#parts.replica.isFull;
  }

  /** The page has set or removed its onSnapshot. */
  callbackChanged(isSet: boolean): void {
    this.#hasCallback = isSet;
    this.#refusals = 0;
  }

  /**
   * Asks the page for its state as of now. `receiver` is called once, with null if there is none.
   */
  ask(receiver: Receiver): void {
    const { replica, settings, step, timers } = this.#parts;
    if (!this.areGiven || replica.log.root === 0) return receiver(null);
    if (this.#question) {
      this.#question.receivers.push(receiver);
      return;
    }
    const token = step.nextToken();
    this.#question = { token, snap: replica.snapshot(step.now), receivers: [receiver] };
    timers.set("snapshot", step.now + settings.snapshotMs);
    step.push({ type: "askSnapshot", token });
  }

  /** The page has answered. Returns whether that ends the question, so that delivery may go on. */
  answered(token: number, answer: Answer | null): boolean {
    const question = this.#question;
    if (!question || question.token !== token) return false;
    this.#refusals = answer ? 0 : this.#refusals + 1;
    this.#end(
      answer ? { ...question.snap, ...contentOf(answer), has: true, z: answer.size } : null,
    );
    return true;
  }

  /** The page did not answer in time. Returns whether delivery may go on. */
  timedOut(): boolean {
    return this.#question !== undefined && this.answered(this.#question.token, null);
  }

  /** Withdraws the question: the page would answer for a history that is given up. */
  withdraw(): void {
    this.#end(null);
  }

  #end(snap: Snapshot | null): void {
    const receivers = this.#question?.receivers ?? [];
    this.#question = undefined;
    this.#parts.timers.clear("snapshot");
    for (const receiver of receivers) receiver(snap);
  }
}

function contentOf({ state, parts }: Answer): Pick<Snapshot, "state" | "parts"> {
  return {
    ...(state === undefined ? {} : { state }),
    ...(parts === undefined ? {} : { parts }),
  };
}
