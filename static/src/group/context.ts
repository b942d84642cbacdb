// The parts that both roles of a member work with. They outlive every change of host.

import { Claim } from "./claim.ts";
import { Direct } from "./direct/direct.ts";
import { Freshness } from "./freshness.ts";
import { Links } from "./links.ts";
import { Outbox } from "./outbox.ts";
import { PageDelivery } from "./page-delivery.ts";
import { Paths } from "./paths.ts";
import { Recovery } from "./recovery.ts";
import { Replica } from "./replica.ts";
import { Self } from "./self.ts";
import { ServerView } from "./server-view.ts";
import type { Settings } from "./settings.ts";
import { Snapshots } from "./snapshots.ts";
import { ConnectionStatus } from "./status.ts";
import { Step } from "./step.ts";
import { Timers } from "./timers.ts";
import type { PeerId, Standing } from "./types.ts";

export class Context {
  readonly self: Self;
  readonly settings: Settings;
  readonly step = new Step();
  readonly timers = new Timers();
  readonly status = new ConnectionStatus(this.step);
  readonly links: Links;
  readonly paths: Paths;
  readonly server: ServerView;
  readonly claim: Claim;
  readonly freshness: Freshness;
  readonly outbox = new Outbox();
  readonly replica: Replica;
  readonly snapshots: Snapshots;
  readonly recovery: Recovery;
  readonly page: PageDelivery;
  readonly direct: Direct;

  constructor(id: PeerId, settings: Settings, can: readonly string[]) {
    this.self = new Self(id, can);
    this.settings = settings;
    this.links = new Links(settings.linkSilentMs);
    this.paths = new Paths(this.links, this.step);
    this.server = new ServerView(settings.askDialMs, settings.foundMs);
    this.claim = new Claim(this);
    this.freshness = new Freshness(this.server);
    this.replica = new Replica(settings);
    this.snapshots = new Snapshots(this);
    this.recovery = new Recovery(this);
    this.direct = new Direct(this);
    this.page = new PageDelivery(this);
  }

  /** Time of the current step, in whole milliseconds. */
  get now(): number {
    return this.step.now;
  }

  get epoch(): number {
    return this.server.epoch;
  }

  /** Returns where this member stands, as it says it to a host. */
  standing(): Standing {
    const { freshness, now, replica, snapshots } = this;
    const { log } = replica;
    return {
      ...log.place,
      done: replica.delivered,
      base: log.base,
      line: log.line.slice(),
      snap: snapshots.areGiven,
      stale: freshness.isStale(now),
      age: freshness.ageMs(now),
      ...(freshness.isApart ? { alone: true } : {}),
      ...replica.mark(now),
    };
  }
}
