//! Kills the server under load and starts it again; lets crowds join at once.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::member::Idle;
use crate::server::Server;
use crate::spread::Spread;
use crate::swarm::Swarm;

/// Timeout of each phase.
const PATIENCE: Duration = Duration::from_secs(60);

/// Result of a restart.
#[derive(Debug)]
pub struct Restart {
    /// Number of pages before the kill.
    pub pages: usize,
    /// Pages that kept host and epoch.
    pub kept: usize,
    /// Time for which the server was gone.
    pub down: Duration,
    /// Time from the kill until each member was in again.
    pub back: Spread,
    /// Faults that the run found; see [`crate::ledger`].
    pub faults: (usize, Vec<String>),
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pages, kept, down, back, faults } = self;
        write!(
            f,
            "{kept} of {pages} pages kept host and epoch; server gone for {} ms; back: {back}; ",
            down.as_millis()
        )?;
        write!(f, "faults: {}", faults.0)
    }
}

/// Joins members until all are in and agree.
///
/// # Errors
/// Fails if they do not agree in time.
pub async fn settled(server: &Server, pages: usize, each: usize, seed: u64) -> io::Result<Swarm> {
    let swarm = Swarm::new(server.address, seed);
    // one member of each page first, as people arrive
    for n in 0..pages * each {
        swarm.join(n % pages, |_| Idle);
    }
    swarm.all_up(PATIENCE).await?;
    swarm.agreed(PATIENCE).await?;
    Ok(swarm)
}

/// Kills the server of `swarm`, starts it again, and waits until all members are back and agree.
///
/// # Errors
/// Fails if they do not agree in time.
pub async fn restart(mut server: Server, swarm: &Swarm) -> io::Result<(Server, Restart)> {
    let before = swarm.agreed(PATIENCE).await?;
    let killed = Instant::now();
    server =
        spawn_blocking(move || server.kill().and_then(|()| server.start_again()).map(|()| server))
            .await
            .map_err(io::Error::other)??;
    let down = killed.elapsed();
    // all members have noticed: a socket that the kernel has ended is read to its end before the
    // next dial
    crate::swarm::until("all were cut off", PATIENCE, || {
        swarm
            .bees
            .borrow()
            .iter()
            .all(|bee| !bee.seat.up.get() || bee.seat.opened.get() > Some(killed))
    })
    .await?;
    swarm.all_up(PATIENCE).await?;
    let after = swarm.agreed(PATIENCE).await?;
    let back = swarm
        .bees
        .borrow()
        .iter()
        .filter_map(|bee| Some(bee.seat.opened.get()? - killed))
        .collect();
    let kept = before.iter().zip(&after).filter(|(before, after)| before == after).count();
    let report =
        Restart { pages: before.len(), kept, down, back, faults: swarm.world.ledger.faults() };
    Ok((server, report))
}

/// Result of a crowd that joins at once.
#[derive(Debug)]
pub struct Crowd {
    /// Time from its dial until each member was in.
    pub waited: Spread,
    /// Times of the first, the middle and the last third of the members.
    pub by_turn: [Spread; 3],
    /// Number of dials without an OPEN.
    pub failed_dials: usize,
    /// Faults that were found.
    pub faults: (usize, Vec<String>),
    /// The server's memory with all members, in bytes.
    pub memory: usize,
}

impl fmt::Display for Crowd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, middle, last] = self.by_turn.each_ref().map(|third| third.at(0.5).as_millis());
        write!(
            f,
            "in after: {}; median of those who dialled first, then, last: {first}, {middle}, {last} ms; ",
            self.waited
        )?;
        write!(f, "failed dials: {}, faults: {}; ", self.failed_dials, self.faults.0)?;
        write!(f, "the server has {} MiB", self.memory / 1024 / 1024)
    }
}

/// Lets `count` members dial in the same moment.
///
/// # Errors
/// Fails if not all get in.
pub async fn crowd(
    server: &Server,
    pages: usize,
    count: usize,
    seed: u64,
) -> io::Result<(Swarm, Crowd)> {
    let swarm = Swarm::new(server.address, seed);
    let began = Instant::now();
    for n in 0..count {
        swarm.join(n % pages, |_| Idle);
    }
    swarm.all_up(PATIENCE).await?;
    swarm.agreed(PATIENCE).await?;
    let waits: Vec<_> =
        swarm.bees.borrow().iter().filter_map(|bee| Some(bee.seat.opened.get()? - began)).collect();
    let third = |n: usize| waits[n * count / 3..(n + 1) * count / 3].iter().copied().collect();
    let failed_dials = swarm.bees.borrow().iter().map(|bee| bee.seat.dials.get() - 1).sum();
    let report = Crowd {
        by_turn: [third(0), third(1), third(2)],
        waited: waits.iter().copied().collect(),
        failed_dials,
        faults: swarm.world.ledger.faults(),
        memory: server.usage()?.memory,
    };
    Ok((swarm, report))
}
