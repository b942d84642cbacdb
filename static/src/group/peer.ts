// What a host knows of one member, in this epoch.

import type { MemberInfo, PeerId, Standing } from "./types.ts";
import type { Item, Parked } from "./wire.ts";

export class Peer {
  /** In the server's roster. */
  present = true;
  /** Since when not. */
  absentSince = 0;
  /** What is relayed reaches it; else only a data channel does. */
  relayed = true;
  /** It said goodbye. */
  gone = false;
  /** When it was found missing, to be told to the others after a while; 0 while it is here. */
  missing = 0;
  /** Where it last said it stands. */
  at: Standing | undefined;
  saidAt = 0;
  /** So often it did not hand over in time what it said it has. */
  failed = 0;
  /** It lacks what is older than our log: whom we asked for that, from where on, how often in vain, and when last. */
  older:
    | {
        readonly giver: PeerId;
        readonly after: number;
        readonly tries: number;
        readonly at: Standing;
        readonly sentAt: number;
      }
    | undefined;
  /** Known to stand on our log: it is fed. */
  live = false;
  /** It has everything up to here. */
  have = 0;
  /** The next to send to it. */
  next = 1;
  /** When `have` last grew, and how long to wait for that before sending again. */
  progress = 0;
  retryMs = 0;
  /** When a gap was last answered, and from where. */
  filledAt = -Infinity;
  heard = -Infinity;
  asked = -Infinity;
  needed = -Infinity;
  /** What it sent while we were taking over. */
  parked: Parked[] = [];
  parkedBytes = 0;
  /** What it sent before its turn. */
  readonly held = new Map<number, Item>();
  heldBytes = 0;

  constructor(
    readonly id: PeerId,
    public info: MemberInfo,
    readonly since: number,
  ) {}

  park(send: Parked, limit: number): void {
    const size = send.x.reduce((sum, item) => sum + item.z, 0);
    if (this.parkedBytes + size > limit || this.parked.length > 256) return;
    this.parked.push(send);
    this.parkedBytes += size;
  }

  unpark(): Parked[] {
    const parked = this.parked;
    this.parked = [];
    this.parkedBytes = 0;
    return parked;
  }

  hold(item: Item, limit: number): void {
    if (this.held.has(item.n) || this.heldBytes + item.z > limit || this.held.size > 1024) return;
    this.held.set(item.n, item);
    this.heldBytes += item.z;
  }

  unhold(n: number): Item | undefined {
    const item = this.held.get(n);
    if (item) {
      this.held.delete(n);
      this.heldBytes -= item.z;
    }
    return item;
  }
}
