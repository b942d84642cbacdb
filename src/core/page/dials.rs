//! How long a data channel may fairly take to open on one page.

use std::time::Duration;

use crate::time::Time;

/// Number of dials in the window.
const WINDOW: usize = 16;
/// Duration in ms that every dial of a new window is assumed to have taken. Dials of 8 s are
/// common, and a member suspects a host 1.6 s after it last heard it. A first dial of 8 s ends
/// before such a suspicion counts.
const ASSUMED_MS: u32 = 2500;
/// Rank of the 90th percentile in a sorted window, from 0.
const P90: usize = WINDOW * 9 / 10;
/// Multiple of the 90th percentile that is fair.
const MULTIPLE: u32 = 3;
/// Lower bound of the fair time.
const LEAST: Duration = Duration::from_secs(3);
/// Upper bound of the fair time, doublings included.
const MOST: Duration = Duration::from_secs(30);
/// Time without an `unreachable` election after which the page counts as calm.
const CALM: Duration = Duration::from_secs(60);

/// Window over the page's last dials, from which the fair time is computed.
///
/// The fair time is three times the 90th percentile of the window, from 3 s to 30 s. Each
/// `unreachable` election doubles it, until a minute has passed without one.
#[derive(Debug, Clone)]
pub struct Dials {
    /// Durations in ms, as a ring.
    window: [u32; WINDOW],
    /// Index of the oldest duration.
    oldest: usize,
    /// Number of `unreachable` elections since the page was last calm.
    doublings: u32,
    /// When the page is calm again. `None` while it is calm.
    calm_at: Option<Time>,
}

impl Default for Dials {
    fn default() -> Self {
        Self { window: [ASSUMED_MS; WINDOW], oldest: 0, doublings: 0, calm_at: None }
    }
}

impl Dials {
    /// Adds a dial that took `ms` and drops the oldest.
    pub const fn add(&mut self, ms: u32) {
        self.window[self.oldest] = ms;
        self.oldest = (self.oldest + 1) % WINDOW;
    }

    /// Returns the fair time.
    #[must_use]
    pub fn fair(&self) -> Duration {
        let mut sorted = self.window;
        sorted.sort_unstable();
        let fair = (Duration::from_millis(sorted[P90].into()) * MULTIPLE).clamp(LEAST, MOST);
        (0..self.doublings).fold(fair, |fair, _| (fair * 2).min(MOST))
    }

    /// Returns the fair time in ms, as the wire tells it.
    #[must_use]
    pub fn fair_ms(&self) -> u64 {
        self.fair().as_millis() as u64
    }

    /// Doubles the fair time because of an `unreachable` election.
    pub const fn strain(&mut self, now: Time) {
        self.doublings = self.doublings.saturating_add(1);
        self.calm_at = Some(now.plus(CALM));
    }

    /// Ends all doublings if a calm minute has passed; returns whether it did.
    pub fn relax(&mut self, now: Time) -> bool {
        let calm = self.calm_at.take_if(|at| *at <= now).is_some();
        if calm {
            self.doublings = 0;
        }
        calm
    }

    /// Returns when [`Dials::relax`] is due.
    #[must_use]
    pub const fn next_deadline(&self) -> Option<Time> {
        self.calm_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(dials: &[u32]) -> u64 {
        let mut window = Dials::default();
        dials.iter().for_each(|ms| window.add(*ms));
        window.fair_ms()
    }

    #[test]
    fn a_new_page_assumes_dials_of_two_and_a_half_seconds() {
        assert_eq!(after(&[]), 7500);
    }

    #[test]
    fn one_slow_dial_of_sixteen_changes_nothing_and_two_do() {
        assert_eq!(after(&[8000]), 7500);
        assert_eq!(after(&[8000, 4000]), 12_000);
    }

    #[test]
    fn only_the_last_sixteen_dials_count() {
        assert_eq!(after(&[[9000; 16], [1500; 16]].concat()), 4500);
        assert_eq!(
            after(&[[9000; 16].as_slice(), &[1500; 14]].concat()),
            27_000,
            "two slow ones are left"
        );
    }

    #[test]
    fn the_fair_time_has_bounds() {
        assert_eq!(after(&[0; 16]), 3000);
        assert_eq!(after(&[600_000; 16]), 30_000);
    }

    #[test]
    fn each_strain_doubles_it_until_a_calm_minute_has_passed() {
        let mut dials = Dials::default();
        let told = [0, 30_000, 31_000, 32_000].map(|at| {
            dials.strain(Time(at));
            dials.fair_ms()
        });
        assert_eq!(told, [15_000, 30_000, 30_000, 30_000]);
        assert!(!dials.relax(Time(91_999)), "60 s from the last one, not from the first");
        assert_eq!((dials.fair_ms(), dials.next_deadline()), (30_000, Some(Time(92_000))));
        assert!(dials.relax(Time(92_000)) && !dials.relax(Time(92_001)));
        assert_eq!((dials.fair_ms(), dials.next_deadline()), (7500, None));
    }

    #[test]
    fn any_number_of_doublings_stays_within_the_bounds() {
        let mut dials = Dials::default();
        (0..1000).for_each(|_| dials.strain(Time(0)));
        assert_eq!(dials.fair_ms(), 30_000);
    }
}
