//! How fast one may go: a token bucket.

use std::time::Duration;

use crate::time::Time;

/// Lets `rate` pass each second, and as many at once after a rest.
#[derive(Debug, Clone)]
pub struct RateLimiter {
    rate: u64,
    /// Thousandths of a token, so that whole milliseconds add whole numbers.
    milli_tokens: u64,
    filled: Time,
}

impl RateLimiter {
    /// A full bucket. A `rate` of 0 limits nothing.
    #[must_use]
    pub const fn new(now: Time, rate: u64) -> Self {
        Self { rate, milli_tokens: rate * 1000, filled: now }
    }

    /// How many may pass now.
    pub fn available(&mut self, now: Time) -> usize {
        if self.rate == 0 {
            return usize::MAX;
        }
        let earned = now.0.saturating_sub(self.filled.0).saturating_mul(self.rate);
        self.milli_tokens = self.milli_tokens.saturating_add(earned).min(self.rate * 1000);
        self.filled = self.filled.max(now);
        (self.milli_tokens / 1000) as usize
    }

    /// So many passed.
    pub const fn spend(&mut self, passed: usize) {
        self.milli_tokens = self.milli_tokens.saturating_sub(passed as u64 * 1000);
    }

    /// When enough are available again to be worth waking up for: a twentieth of a second's worth, at least one.
    #[must_use]
    pub fn next(&self) -> Time {
        let wanted = (self.rate / 20).max(1) * 1000;
        let missing = wanted.saturating_sub(self.milli_tokens);
        self.filled.plus(Duration::from_millis(missing.div_ceil(self.rate.max(1))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_time_the_rate_passes_and_never_more() {
        let mut pace = RateLimiter::new(Time(0), 100);
        let (mut now, mut passed) = (Time(0), 0);
        while now < Time(10_000) {
            let n = pace.available(now);
            pace.spend(n);
            passed += n;
            now = pace.next();
        }
        assert!((1000..=1100).contains(&passed), "{passed}");
    }

    #[test]
    fn no_rate_is_no_limit() {
        assert_eq!(RateLimiter::new(Time(0), 0).available(Time(5)), usize::MAX);
    }
}
