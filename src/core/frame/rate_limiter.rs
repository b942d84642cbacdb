//! Rate limit: a token bucket.

use std::time::Duration;

use crate::time::Time;

/// Lets `rate` tokens pass each second, and as many at once after a pause.
#[derive(Debug, Clone)]
pub struct RateLimiter {
    rate: u64,
    /// Available tokens in thousandths, so that a millisecond adds a whole number.
    milli_tokens: u64,
    /// When tokens were last added.
    filled_at: Time,
}

impl RateLimiter {
    /// Creates a full bucket. A `rate` of 0 limits nothing.
    #[must_use]
    pub const fn new(now: Time, rate: u64) -> Self {
        Self { rate, milli_tokens: rate * 1000, filled_at: now }
    }

    /// Returns the number of tokens that may pass now.
    pub fn available(&mut self, now: Time) -> usize {
        if self.rate == 0 {
            return usize::MAX;
        }
        let earned = now.0.saturating_sub(self.filled_at.0).saturating_mul(self.rate);
        self.milli_tokens = self.milli_tokens.saturating_add(earned).min(self.rate * 1000);
        self.filled_at = self.filled_at.max(now);
        (self.milli_tokens / 1000) as usize
    }

    /// Consumes the number of tokens that passed.
    pub const fn spend(&mut self, passed: usize) {
        self.milli_tokens = self.milli_tokens.saturating_sub(passed as u64 * 1000);
    }

    /// Returns when enough tokens are available to wake up for: those of a twentieth of a second,
    /// and at least one.
    #[must_use]
    pub fn next(&self) -> Time {
        let wanted = (self.rate / 20).max(1) * 1000;
        let missing = wanted.saturating_sub(self.milli_tokens);
        self.filled_at.plus(Duration::from_millis(missing.div_ceil(self.rate.max(1))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_time_the_rate_passes_and_no_more() {
        let mut limiter = RateLimiter::new(Time(0), 100);
        let (mut now, mut passed) = (Time(0), 0);
        while now < Time(10_000) {
            let n = limiter.available(now);
            limiter.spend(n);
            passed += n;
            now = limiter.next();
        }
        assert!((1000..=1100).contains(&passed), "{passed}");
    }

    #[test]
    fn no_rate_is_no_limit() {
        assert_eq!(RateLimiter::new(Time(0), 0).available(Time(5)), usize::MAX);
    }
}
