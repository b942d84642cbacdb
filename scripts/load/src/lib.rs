//! Thousands of clients for peerstar, cheap enough that the server is what is measured: see docs/RELIABILITY.md.
//!
//! One thread drives them all ([`run`]); what they are told is checked by one [`ledger`].

use std::io;

use tokio::signal::unix::{SignalKind, signal};

pub mod backoff;
pub mod bench;
pub mod deploy;
pub mod frame;
pub mod http;
pub mod ledger;
pub mod member;
pub mod restart;
pub mod server;
pub mod soak;
pub mod socket;
pub mod spread;
pub mod swarm;
pub mod switch;
pub mod words;

/// Runs a scenario on this thread, with as many descriptors as there may be. Told to stop, it drops what it started.
///
/// # Errors
/// As the scenario, or when told to stop.
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
