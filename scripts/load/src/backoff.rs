//! Waits between dials, as the browser library has them (static/src/retry.ts).

use std::time::Duration;

use rand::RngExt;
use rand::rngs::SmallRng;

const FIRST_MS: f64 = 150.0;
const MOST_MS: f64 = 10_000.0;

/// Counts the failed dials since the last success.
#[derive(Debug, Default)]
pub struct Backoff {
    attempt: i32,
    /// Wait in ms that a stopping server asked for.
    pub retry_ms: Option<u64>,
}

impl Backoff {
    /// Resets the count after a successful dial.
    pub const fn reset(&mut self) {
        self.attempt = 0;
        self.retry_ms = None;
    }

    /// Returns how long to wait after a close with `code`.
    pub fn wait(&mut self, code: u16, random: &mut SmallRng) -> Duration {
        let jitter = |random: &mut SmallRng| random.random_range(0.0..1.0);
        let backoff =
            (FIRST_MS * 1.6_f64.powi(self.attempt)).min(MOST_MS) * (0.5 + jitter(random) / 2.0);
        let wait = match self.retry_ms {
            Some(retry) => {
                retry as f64 * (1.0 + jitter(random) / 2.0)
                    + if self.attempt > 0 { backoff } else { 0.0 }
            }
            None if code >= 4500 && code != 4504 && code != 4508 => {
                backoff.max(1000.0 * (1.0 + jitter(random)))
            }
            None => backoff,
        };
        self.attempt += 1;
        Duration::from_secs_f64(wait / 1000.0)
    }
}

/// Returns whether a close says that dialling again is of no use.
#[must_use]
pub const fn is_terminal(code: u16) -> bool {
    matches!(code, 4400..=4499 | 1002..=1004 | 1007..=1009)
}
