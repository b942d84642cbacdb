//! When a page next looks for members that were silent for too long.

use crate::time::Time;

/// The time of the next sweep over all members. No member falls silent for too long before it.
#[derive(Debug, Default)]
pub struct SilenceWatch {
    sweep_at: Option<Time>,
}

impl SilenceWatch {
    /// Sees to it that a sweep takes place at `at` or before.
    pub fn watch(&mut self, at: Time) {
        self.sweep_at = Some(self.sweep_at.map_or(at, |sweep_at| sweep_at.min(at)));
    }

    /// Sets the sweep after one at `now`. `next` is the least time at which a member is silent for
    /// too long.
    pub fn swept(&mut self, now: Time, next: Option<Time>) {
        self.sweep_at = next.map(|at| at.max(Time(now.0 + 1)));
    }

    /// Ends the watch: the page is empty.
    pub const fn stop(&mut self) {
        self.sweep_at = None;
    }

    /// Returns when the next sweep takes place.
    #[must_use]
    pub const fn next_deadline(&self) -> Option<Time> {
        self.sweep_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_end_of_patience_decides_and_a_sweep_never_repeats_at_once() {
        let mut silence = SilenceWatch::default();
        [9, 5, 7].into_iter().for_each(|at| silence.watch(Time(at)));
        assert_eq!(silence.next_deadline(), Some(Time(5)));
        silence.swept(Time(5), Some(Time(3)));
        assert_eq!(silence.next_deadline(), Some(Time(6)));
        silence.swept(Time(6), None);
        assert_eq!(silence.next_deadline(), None);
    }
}
