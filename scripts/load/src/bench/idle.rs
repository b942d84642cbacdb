//! Measures members that only stay.

use std::io;
use std::time::{Duration, Instant};

use super::contender::Running;
use super::crowd::{Crowd, Heard};
use super::meter;
use super::seats::{Seat, all_in, gone};

/// Members of a page.
const EACH: usize = 10;

/// Returns resident memory without members, and the memory of each member after all were idle for
/// `length`, in bytes.
///
/// # Errors
/// Fails if not all get in and stay.
pub fn run(server: &Running, connections: usize, length: Duration) -> io::Result<[f64; 2]> {
    let base = meter::memory(server.pid)?;
    let mut crowd = Crowd::new(server.address)?;
    let mut seats: Vec<_> = (0..connections)
        .map(|n| Seat { page: format!("page{}", n / EACH), id: format!("peer{n}") })
        .collect();
    all_in(&mut crowd, server.contender, &mut seats)?;
    let end = Instant::now() + length;
    while Instant::now() < end {
        crowd.turn(Duration::from_millis(100), |number, heard, _| match heard {
            Heard::Gone(code) => Err(gone(number, code)),
            Heard::Open | Heard::Text(_) => Ok(()),
        })?;
    }
    let grown = meter::memory(server.pid)?.saturating_sub(base);
    Ok([base as f64, grown as f64 / connections as f64])
}
