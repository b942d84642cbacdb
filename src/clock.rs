//! The one place that asks what time it is.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use peerstar_core::time::Time;

/// Time since the server started.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// Starts at zero, now.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Time {
        Time(self.started.elapsed().as_millis() as u64)
    }
}

/// Milliseconds since 1970, by the system's clock.
#[must_use]
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
