//! Runs thousands of clients of peerstar, cheaply enough that the measurements are those of the
//! server. See docs/RELIABILITY.md.
//!
//! One thread runs all clients ([`run`]). One [`ledger`] checks what they are told.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

pub mod backoff;
pub mod bench;
pub mod cluster;
pub mod frame;
pub mod http;
pub mod ledger;
pub mod member;
pub mod overlap;
pub mod restart;
pub mod server;
pub mod soak;
pub mod socket;
pub mod spread;
pub mod swarm;
pub mod switch;
pub mod words;

/// Runs a scenario on this thread, with the highest descriptor limit. A signal to stop drops
/// everything that the scenario started.
///
/// # Errors
/// Returns the error of the scenario, or an error if a signal stopped it.
pub fn run<T>(scenario: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut stop = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            done = scenario => done,
            _ = stop.recv() => Err(io::Error::other("told to stop")),
            _ = interrupt.recv() => Err(io::Error::other("interrupted")),
        }
    })
}
