//! One fault after another on a cluster that thousands of members use.

use std::io;
use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use tokio::time::{Instant, sleep};

use super::echo::{Echo, Watch};
use super::observer::Observer;
use super::processes::Cluster;
use super::round::{Before, Round};
use crate::member::Told;
use crate::server::{Server, signal};
use crate::swarm::{Swarm, until};

/// Timeout of each phase.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time after a fault of a node for which sockets may end because of it.
const CONSEQUENCES: Duration = Duration::from_secs(10);
/// Time after a fault of Redis until the next one. All sockets that end later are counted as well.
const PAUSE: Duration = Duration::from_secs(5);

/// A fault of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// A node is killed, and started again when its members are back.
    KillNode,
    /// A node drains (SIGTERM) and ends, and is started again.
    DrainNode,
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
    /// Bytes that fill each message of a member to its host.
    pub bytes: usize,
    /// Seed of all random decisions.
    pub seed: u64,
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
    let mut cluster = Cluster::start(binary, plan.nodes, &[]).await?;
    let (swarm, watch) = (Swarm::new(cluster.balancer.address, plan.seed), Watch::new(plan.bytes));
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
        round
            .complaints(plan.fault, plan.length)
            .into_iter()
            .for_each(|what| swarm.world.ledger.fault(what));
    }
    if matches!(plan.fault, Fault::KillRedis | Fault::FreezeRedis | Fault::EmptyRedis) {
        sleep(CONSEQUENCES).await;
        let ended: usize = swarm.bees.borrow().iter().map(|bee| bee.seat.ends.get()).sum();
        if ended > 0 {
            swarm.world.ledger.fault(format!("{ended} sockets ended in all"));
        }
    }
    Ok(swarm.world.ledger.faults())
}

async fn round(
    cluster: &mut Cluster,
    swarm: &Swarm,
    watch: &Watch,
    plan: Plan,
    node: usize,
) -> io::Result<Round> {
    let pages = swarm.agreed(PATIENCE).await?;
    let is_node = matches!(plan.fault, Fault::KillNode | Fault::DrainNode | Fault::FreezeNode);
    let before = Before::of(swarm, watch.begin(), pages, is_node.then_some(node));
    let mut observer = Observer::new(cluster.nodes.iter().map(Server::pid).collect());
    let done = tokio::select! {
        done = suffer(cluster, swarm, plan, node, &before) => done,
        never = observer.watch(swarm) => never,
    };
    let (after, agreed) = done?;
    let round = Round::judge(swarm, watch, &before, &after, agreed, observer);
    if plan.fault == Fault::KillNode {
        cluster.revive(node).await?;
    }
    Ok(round)
}

/// Causes a fault, and waits for its consequences. Returns what members know then, and how long it
/// took until all of them agreed.
async fn suffer(
    cluster: &mut Cluster,
    swarm: &Swarm,
    plan: Plan,
    node: usize,
    before: &Before,
) -> io::Result<(Vec<Option<Told>>, Duration)> {
    match plan.fault {
        Fault::KillNode => cluster.nodes[node].kill()?,
        Fault::DrainNode => {
            cluster.drain(node).await?;
            cluster.revive(node).await?;
        }
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
    if matches!(plan.fault, Fault::KillNode | Fault::DrainNode) {
        // a killed node's sockets end at once; members redial after their own delay
        let ended = || {
            let bees = swarm.bees.borrow();
            bees.iter().zip(&before.ends).filter(|(bee, ends)| bee.seat.ends.get() > **ends).count()
        };
        until("all of the node were cut off", PATIENCE, || ended() >= before.touched()).await?;
    }
    swarm.all_up(PATIENCE).await?;
    let after = swarm.agreed(PATIENCE).await?;
    let agreed = before.began.elapsed();
    let consequences = match plan.fault {
        Fault::KillNode => CONSEQUENCES,
        Fault::EmptyRedis => PAUSE,
        // the successor has long been ready
        Fault::DrainNode => Duration::ZERO,
        Fault::FreezeNode => plan.length + CONSEQUENCES,
        Fault::KillRedis | Fault::FreezeRedis => plan.length + PAUSE,
    };
    sleep((before.began + consequences).saturating_duration_since(Instant::now())).await;
    Ok((after, agreed))
}
