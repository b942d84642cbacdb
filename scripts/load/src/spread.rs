//! Quantiles of measured times.

use std::fmt;
use std::time::Duration;

/// Times in ascending order.
#[derive(Debug, Clone, Default)]
pub struct Spread(Vec<Duration>);

impl FromIterator<Duration> for Spread {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        let mut times: Vec<_> = times.into_iter().collect();
        times.sort_unstable();
        Self(times)
    }
}

impl Spread {
    /// Number of measured times.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.0.len()
    }

    /// Returns the quantile `share` (0 to 1); zero if there are no times.
    #[must_use]
    pub fn at(&self, share: f64) -> Duration {
        let last = self.0.len().saturating_sub(1);
        self.0.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
    }

    /// Returns the longest time.
    #[must_use]
    pub fn most(&self) -> Duration {
        self.at(1.0)
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |share| self.at(share).as_secs_f64() * 1000.0;
        write!(
            f,
            "median {:.1} ms, p99 {:.1} ms, longest {:.1} ms ({} in all)",
            ms(0.5),
            ms(0.99),
            ms(1.0),
            self.count()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_the_sorted_times() {
        let spread: Spread = (0..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(
            (spread.at(0.5), spread.at(0.99), spread.most()),
            ([50, 99, 100].map(Duration::from_millis)).into()
        );
        assert_eq!(Spread::default().most(), Duration::ZERO);
    }
}
