//! What one fault did to the members.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::echo::Watch;
use super::observer::Observer;
use super::rounds::Fault;
use crate::member::Told;
use crate::spread::Spread;
use crate::swarm::Swarm;

/// Longest time for which a page may have no host in a rolling deploy: a host whose own socket moved
/// is awaited so long (`election.recovery_ms`).
const AWAITED: Duration = Duration::from_secs(5);

/// Time without Redis below which nothing may be lost.
const KEPT: Duration = Duration::from_secs(5);

/// The members just before a fault.
#[derive(Debug)]
pub(super) struct Before {
    pub(super) began: Instant,
    /// Host and epoch of each page.
    pub(super) pages: Vec<Option<Told>>,
    /// Number of ended sockets of each member.
    pub(super) ends: Vec<usize>,
    /// Whether each member's socket is on the node of the fault.
    pub(super) touched: Vec<bool>,
}

impl Before {
    /// Looks at the members. `node` is that of the fault.
    pub(super) fn of(
        swarm: &Swarm,
        began: Instant,
        pages: Vec<Option<Told>>,
        node: Option<usize>,
    ) -> Self {
        let bees = swarm.bees.borrow();
        Self {
            began,
            pages,
            ends: bees.iter().map(|bee| bee.seat.ends.get()).collect(),
            touched: bees.iter().map(|bee| node.is_some() && bee.seat.node.get() == node).collect(),
        }
    }

    /// Number of sockets on the node of the fault.
    pub(super) fn touched(&self) -> usize {
        self.touched.iter().filter(|touched| **touched).count()
    }
}

/// Result of one fault.
#[derive(Debug)]
pub struct Round {
    pages: usize,
    /// Pages that kept host and epoch.
    kept: usize,
    /// Pages whose host's socket was on the node of the fault.
    hosts_touched: usize,
    /// Pages with another host or epoch whose host's socket was not there.
    changed_untouched: usize,
    /// Why hosts were replaced: the number of terms by cause.
    causes: BTreeMap<Box<str>, usize>,
    /// Sockets on the node of the fault; 0 if the fault was that of Redis.
    touched: usize,
    /// Sockets that ended.
    ended: usize,
    /// Time from the fault until members whose sockets stayed reached a host whose socket stayed, and
    /// heard back.
    relayed: Spread,
    /// Members for which that did not happen.
    silent: usize,
    /// Messages to hosts that did not come back, and later ones did.
    lost: usize,
    /// Time from the fault until each member that lost its socket was in again.
    back: Spread,
    /// Time from the fault until all members agreed.
    agreed: Duration,
    /// Longest time for which a page had no host.
    hostless: Duration,
    /// Highest memory of each node, in bytes.
    memory: Vec<usize>,
    /// Faults that the ledger has found so far.
    faults: (usize, Vec<String>),
}

impl Round {
    /// Judges the members after a fault.
    pub(super) fn judge(
        swarm: &Swarm,
        watch: &Watch,
        before: &Before,
        after: &[Option<Told>],
        agreed: Duration,
        observer: Observer,
    ) -> Self {
        let Before { began, pages, ends, touched } = before;
        let bees = swarm.bees.borrow();
        let stayed: Vec<_> =
            bees.iter().zip(ends).map(|(bee, ends)| bee.seat.ends.get() == *ends).collect();
        let hosts: Vec<_> = pages
            .iter()
            .map(|told| {
                bees.iter().position(|b| told.as_ref().is_some_and(|t| t.host == b.seat.id))
            })
            .collect();
        let host_stayed = |page: usize| hosts[page].is_some_and(|host| stayed[host]);
        let host_touched = |page: usize| hosts[page].is_some_and(|host| touched[host]);
        let asked: Vec<_> = bees
            .iter()
            .zip(&stayed)
            .filter(|(bee, stayed)| **stayed && host_stayed(bee.seat.page) && !bee.seat.hosts())
            .map(|(bee, _)| watch.back(bee.seat.number))
            .collect();
        let changed: Vec<_> =
            (0..pages.len()).filter(|page| pages[*page] != after[*page]).collect();
        Self {
            pages: pages.len(),
            kept: pages.len() - changed.len(),
            hosts_touched: (0..pages.len()).filter(|page| host_touched(*page)).count(),
            changed_untouched: changed.iter().filter(|page| !host_touched(**page)).count(),
            causes: swarm.world.ledger.take_causes(),
            touched: before.touched(),
            ended: stayed.iter().filter(|stayed| !**stayed).count(),
            silent: asked.iter().filter(|back| back.is_none()).count(),
            lost: watch.lost(),
            relayed: asked.into_iter().flatten().map(|back| back - *began).collect(),
            back: bees
                .iter()
                .zip(&stayed)
                .filter(|(_, stayed)| !**stayed)
                .filter_map(|(bee, _)| Some(bee.seat.opened.get()? - *began))
                .collect(),
            agreed,
            hostless: observer.longest_hostless,
            memory: observer.memory,
            faults: swarm.world.ledger.faults(),
        }
    }

    /// Returns what members must not notice of a fault, and did. Times are reported and not judged.
    pub(super) fn complaints(&self, fault: Fault, length: Duration) -> Vec<String> {
        let Self { pages, kept, touched, ended, silent, changed_untouched, .. } = self;
        let mut found = Vec::new();
        let changed = pages - kept;
        let may_change = match fault {
            Fault::KillNode => pages / 100,
            Fault::DrainNode | Fault::FreezeNode => changed - changed_untouched,
            Fault::KillRedis | Fault::FreezeRedis | Fault::EmptyRedis => 0,
        };
        if changed > may_change {
            found.push(format!("{changed} of {pages} pages have another host or epoch"));
        }
        if ended > touched {
            found.push(format!("{ended} sockets ended, and {touched} were on the node"));
        }
        if *silent > 0 {
            found.push(format!("{silent} members do not reach their host"));
        }
        let is_redis = matches!(fault, Fault::KillRedis | Fault::FreezeRedis | Fault::EmptyRedis);
        if is_redis && length < KEPT && self.lost > 0 {
            found.push(format!("{} messages were lost", self.lost));
        }
        if fault == Fault::DrainNode && self.hostless > AWAITED {
            found.push(format!("a page had no host for {:?}", self.hostless));
        }
        found
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pages, kept, touched, ended, relayed, silent, back, agreed, faults, .. } = self;
        write!(f, "{kept} of {pages} pages kept host and epoch")?;
        if *touched > 0 {
            let (changed, there) = (self.changed_untouched, self.hosts_touched);
            write!(f, " ({there} hosts were on the node; of the others {changed} changed)")?;
        }
        for (cause, terms) in &self.causes {
            write!(f, ", {terms} {cause}")?;
        }
        write!(f, "; {ended} sockets ended, {touched} were on the node; relay works: {relayed}")?;
        if *silent > 0 {
            write!(f, ", not at all: {silent}")?;
        }
        write!(f, "; {} messages lost", self.lost)?;
        let memory: Vec<_> =
            self.memory.iter().map(|memory| (memory / 1024 / 1024).to_string()).collect();
        write!(f, "; back: {back}; all agree after {} ms; ", agreed.as_millis())?;
        write!(f, "without a host at most {} ms; ", self.hostless.as_millis())?;
        write!(f, "nodes have at most {} MiB; faults: {}", memory.join(", "), faults.0)
    }
}
