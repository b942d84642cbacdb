//! The clock. No other file of the server asks for the time of day.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use peerstar_core::time::Time;

/// Measures the time since the server started.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// Starts a clock at zero.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Returns the time since the start, in whole milliseconds.
    #[must_use]
    pub fn now(&self) -> Time {
        Time(self.started.elapsed().as_millis() as u64)
    }
}

/// Returns the milliseconds since 1970, by the system's clock.
#[must_use]
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
