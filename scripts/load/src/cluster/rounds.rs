//! One fault after another on a cluster that thousands of members use.

use std::fmt;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use clap::ValueEnum;
use tokio::time::{Instant, sleep};

use super::echo::{Echo, Watch};
use super::processes::Cluster;
use crate::member::Told;
use crate::server::signal;
use crate::spread::Spread;
use crate::swarm::{Swarm, until};

/// Timeout of each phase.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time after a fault for which sockets may end because of it.
const CONSEQUENCES: Duration = Duration::from_secs(10);

/// A fault of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// A node is killed, and started again when its members are back.
    KillNode,
    /// A node is stopped (SIGSTOP) for `seconds`.
    FreezeNode,
    /// Redis is killed, and started again without its data after `seconds`.
    KillRedis,
    /// Redis is stopped (SIGSTOP) for `seconds`.
    FreezeRedis,
    /// Redis is emptied.
    EmptyRedis,
}

/// Number of members, nodes and rounds of a run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Number of nodes.
    pub nodes: usize,
    /// Number of pages.
    pub pages: usize,
    /// Members of each page.
    pub each: usize,
    /// Number of faults.
    pub times: usize,
    /// Kind of the faults.
    pub fault: Fault,
    /// Duration of a fault that lasts.
    pub length: Duration,
    /// Seed of all random decisions.
    pub seed: u64,
}

/// Result of one fault.
#[derive(Debug)]
pub struct Round {
    pages: usize,
    /// Pages that kept host and epoch.
    kept: usize,
    /// Sockets on the node of the fault; 0 if the fault was that of Redis.
    touched: usize,
    /// Sockets that ended.
    ended: usize,
    /// Time from the fault until members whose sockets stayed reached a host whose socket stayed, and
    /// heard back.
    relayed: Spread,
    /// Members for which that did not happen.
    silent: usize,
    /// Time from the fault until each member that lost its socket was in again.
    back: Spread,
    /// Time from the fault until all members agreed.
    agreed: Duration,
    /// Faults that the ledger has found so far.
    faults: (usize, Vec<String>),
}

impl Round {
    /// Returns what members must not notice of a fault, and did. Times are reported and not judged.
    fn complaints(&self, fault: Fault) -> Vec<String> {
        let Self { pages, kept, touched, ended, silent, .. } = self;
        let mut found = Vec::new();
        if kept * 100 < pages * 99 && fault != Fault::FreezeNode {
            found.push(format!("{} of {pages} pages have another host or epoch", pages - kept));
        }
        if ended > touched {
            found.push(format!("{ended} sockets ended, and {touched} were on the node"));
        }
        if *silent > 0 {
            found.push(format!("{silent} members do not reach their host"));
        }
        found
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pages, kept, touched, ended, relayed, silent, back, agreed, faults } = self;
        write!(f, "{kept} of {pages} pages kept host and epoch; ")?;
        write!(f, "{ended} sockets ended, {touched} were on the node; relay works: {relayed}")?;
        if *silent > 0 {
            write!(f, ", not at all: {silent}")?;
        }
        write!(f, "; back: {back}; all agree after {} ms; ", agreed.as_millis())?;
        write!(f, "faults: {}", faults.0)
    }
}

/// Starts a cluster and its members, and causes the faults of `plan`, each on the next node. Reports
/// each.
///
/// # Errors
/// Fails if the cluster cannot start, or members do not come back in time.
pub async fn run(
    binary: &Path,
    plan: Plan,
    mut report: impl FnMut(&Round),
) -> io::Result<(usize, Vec<String>)> {
    let mut cluster = Cluster::start(binary, plan.nodes).await?;
    let (swarm, watch) = (Swarm::new(cluster.balancer.address, plan.seed), Watch::new());
    for n in 0..plan.pages * plan.each {
        swarm.join(n % plan.pages, |me| Echo::new(me, &watch));
    }
    swarm.all_up(PATIENCE).await?;
    swarm.agreed(PATIENCE).await?;
    for n in 0..plan.times {
        // one interval of relayed messages on a calm cluster
        sleep(Duration::from_secs(2)).await;
        let round = round(&mut cluster, &swarm, &watch, plan, n % plan.nodes).await?;
        report(&round);
        round.complaints(plan.fault).into_iter().for_each(|what| swarm.world.ledger.fault(what));
    }
    Ok(swarm.world.ledger.faults())
}

async fn round(
    cluster: &mut Cluster,
    swarm: &Swarm,
    watch: &Rc<Watch>,
    plan: Plan,
    node: usize,
) -> io::Result<Round> {
    let before = swarm.agreed(PATIENCE).await?;
    let ends: Vec<_> = swarm.bees.borrow().iter().map(|bee| bee.seat.ends.get()).collect();
    let is_node = matches!(plan.fault, Fault::KillNode | Fault::FreezeNode);
    let touched = if is_node { cluster.connections(node).await? } else { 0 };
    let began = watch.begin();
    match plan.fault {
        Fault::KillNode => cluster.nodes[node].kill()?,
        Fault::FreezeNode => {
            let pid = cluster.nodes[node].pid();
            signal(pid, "STOP")?;
            sleep(plan.length).await;
            signal(pid, "CONT")?;
        }
        Fault::KillRedis => {
            cluster.redis.kill()?;
            sleep(plan.length).await;
            cluster.redis.start_again().await?;
        }
        Fault::FreezeRedis => {
            signal(cluster.redis.pid(), "STOP")?;
            sleep(plan.length).await;
            signal(cluster.redis.pid(), "CONT")?;
        }
        Fault::EmptyRedis => cluster.redis.ask("FLUSHALL").await.map(drop)?,
    }
    if plan.fault == Fault::KillNode {
        // a killed node's sockets end at once; members redial after their own delay
        until("all of the node were cut off", PATIENCE, || {
            swarm.bees.borrow().iter().zip(&ends).filter(|(b, e)| b.seat.ends.get() > **e).count()
                >= touched
        })
        .await?;
    }
    swarm.all_up(PATIENCE).await?;
    let after = swarm.agreed(PATIENCE).await?;
    let agreed = began.elapsed();
    sleep((began + plan.length + CONSEQUENCES).saturating_duration_since(Instant::now())).await;
    let round = judge(swarm, watch, began, &ends, (&before, &after), touched, agreed);
    if plan.fault == Fault::KillNode {
        cluster.revive(node).await?;
    }
    Ok(round)
}

fn judge(
    swarm: &Swarm,
    watch: &Watch,
    began: Instant,
    ends: &[usize],
    (before, after): (&[Option<Told>], &[Option<Told>]),
    touched: usize,
    agreed: Duration,
) -> Round {
    let bees = swarm.bees.borrow();
    let stayed: Vec<_> =
        bees.iter().zip(ends).map(|(bee, ends)| bee.seat.ends.get() == *ends).collect();
    let host_stayed: Vec<_> = before
        .iter()
        .map(|told| {
            let host = told.as_ref().map(|told| &told.host);
            bees.iter().zip(&stayed).any(|(bee, stayed)| *stayed && Some(&bee.seat.id) == host)
        })
        .collect();
    let asked: Vec<_> = bees
        .iter()
        .zip(&stayed)
        .filter(|(bee, stayed)| **stayed && host_stayed[bee.seat.page] && !bee.seat.hosts())
        .map(|(bee, _)| watch.back(bee.seat.number))
        .collect();
    Round {
        pages: before.len(),
        kept: before.iter().zip(after).filter(|(before, after)| before == after).count(),
        touched,
        ended: stayed.iter().filter(|stayed| !**stayed).count(),
        silent: asked.iter().filter(|back| back.is_none()).count(),
        relayed: asked.into_iter().flatten().map(|back| back - began).collect(),
        back: bees
            .iter()
            .zip(&stayed)
            .filter(|(_, stayed)| !**stayed)
            .filter_map(|(bee, _)| Some(bee.seat.opened.get()? - began))
            .collect(),
        agreed,
        faults: swarm.world.ledger.faults(),
    }
}
