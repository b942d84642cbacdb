//! Helpers of the wire tests: a real server in a process of its own, and clients that talk to it
//! over sockets.
//!
//! No helper sleeps to show that something does not happen: see [`Client::nothing_more`] and
//! [`Client::nothing_until_expire`].
#![allow(dead_code, unused_imports, reason = "each test file uses a part of it")]

mod client;
mod http;
mod raw;
mod redis;
mod redis_server;
mod server;

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, sleep};

pub(crate) use client::{Client, Event, Query};
pub(crate) use http::{Response, http};
pub(crate) use raw::{Raw, frame, masked, unmasked};
pub(crate) use redis::SECRET;
pub(crate) use redis_server::Redis;
pub(crate) use server::{Outcome, Server, run_once};

/// Time after which an event counts as not happening. It is long, because the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until the answer is true.
pub(crate) async fn eventually(what: &str, mut ask: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !ask().await {
        assert!(Instant::now() < deadline, "never: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Prints a measured figure, which shows with --nocapture.
#[expect(clippy::print_stdout, reason = "cargo test shows it only when asked to")]
pub(crate) fn figure(what: &str, value: impl Display) {
    println!("figure: {what}: {value}");
}

/// Lets this process have as many sockets as it can.
pub(crate) fn many_sockets() {
    rlimit::increase_nofile_limit(u64::MAX).expect("more descriptors");
}

pub(crate) const MIB: usize = 1024 * 1024;
