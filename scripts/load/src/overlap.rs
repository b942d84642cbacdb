//! Simulates a deploy in which the new process serves before the old one stops: the platform's
//! router sends all new
//! connections to the new one.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::member::{Idle, Told};
use crate::server::Server;
use crate::spread::Spread;
use crate::swarm::{Swarm, until};
use crate::switch::Switch;

const PATIENCE: Duration = Duration::from_secs(60);

/// Result of a deploy.
#[derive(Debug)]
pub struct Overlap {
    /// Number of pages before the deploy.
    pub pages: usize,
    /// Pages without a newcomer during the deploy that kept host and epoch.
    pub kept: usize,
    /// Pages that were in two halves and have a host from before the deploy.
    pub healed_to_old_host: usize,
    /// Pages that were in two halves, because a newcomer joined during the deploy.
    pub split: usize,
    /// Time from the signal to the old process until each of its members was in again.
    pub back: Spread,
    /// Time from that signal until all members of the last page agreed.
    pub healed: Duration,
    /// Faults that were found.
    pub faults: (usize, Vec<String>),
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pages, kept, healed_to_old_host, split, back, healed, faults } = self;
        let whole = pages - split;
        write!(
            f,
            "{kept} of {whole} pages kept host and epoch; {split} pages were in two halves, "
        )?;
        write!(f, "{healed_to_old_host} of them have their old host again; back: {back}; ")?;
        write!(f, "healed after {} ms; faults: {}", healed.as_millis(), faults.0)
    }
}

/// Replaces the server. The router switches to a new process, a newcomer joins every other page,
/// and after `overlap` the old
/// process is told to stop.
///
/// # Errors
/// Fails if the pages never agree again, or the old process does not end well.
pub async fn run(
    old: Server,
    pages: usize,
    each: usize,
    overlap: Duration,
    seed: u64,
) -> io::Result<Overlap> {
    let mut old = old;
    let new = old.start_another()?;
    let switch = Switch::start(old.address).await?;
    let swarm = Swarm::new(switch.address, seed);
    for n in 0..pages * each {
        swarm.join(n % pages, |_| Idle);
    }
    swarm.all_up(PATIENCE).await?;
    let before = swarm.agreed(PATIENCE).await?;

    switch.to.set(new.address);
    let is_split = |page: usize| page % 2 == 1;
    for page in (0..pages).filter(|page| is_split(*page)) {
        swarm.join(page, |_| Idle);
    }
    swarm.all_up(PATIENCE).await?;
    sleep(overlap).await;
    let told = Instant::now();
    old.terminate()?;
    let members = pages * each;
    until("all have come back", PATIENCE, || {
        swarm
            .bees
            .borrow()
            .iter()
            .take(members)
            .all(|bee| bee.seat.up.get() && bee.seat.opened.get() > Some(told))
    })
    .await?;
    let after = swarm.agreed(PATIENCE).await?;
    let healed = told.elapsed();
    until("the old process has ended", PATIENCE, || !matches!(old.ended(), Ok(None))).await?;
    if old.ended()? != Some(true) {
        return Err(io::Error::other("the old process did not end well"));
    }
    let back = swarm
        .bees
        .borrow()
        .iter()
        .take(members)
        .filter_map(|bee| Some(bee.seat.opened.get()? - told))
        .collect();
    let both = || before.iter().zip(&after).enumerate();
    let host = |known: &Option<Told>| known.as_ref().map(|told| told.host.clone());
    Ok(Overlap {
        pages,
        kept: both().filter(|(page, (before, after))| !is_split(*page) && before == after).count(),
        healed_to_old_host: both()
            .filter(|(page, (before, after))| is_split(*page) && host(before) == host(after))
            .count(),
        split: (0..pages).filter(|page| is_split(*page)).count(),
        back,
        healed,
        faults: swarm.world.ledger.faults(),
    })
}
