//! Suspicions of the present host: which members hear nothing of it, and for how long.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::page::deadline_map::DeadlineMap;
use crate::page::member::Seat;
use crate::time::Time;

/// Members that suspect the present host. Each term begins without any.
///
/// A suspicion is a state with a beginning and an end. That of a member to which nothing may be
/// relayed from the host counts once it has lasted for the fair
/// time. By then a newcomer has tried to dial the host for that long, and a member that lost its
/// data channel had that long to dial again.
#[derive(Debug, Default)]
pub struct Suspicions {
    /// All members that suspect the host.
    all: BTreeSet<Seat>,
    /// Suspicions that do not count yet, by when they began.
    pending: DeadlineMap<Seat, ()>,
    /// Members whose suspicion counts.
    counting: BTreeSet<Seat>,
    /// Whether anything has changed since the suspicions were last weighed.
    changed: bool,
}

impl Suspicions {
    /// Begins the suspicion of the member on `seat`, which never counts.
    pub fn note(&mut self, seat: Seat) {
        self.all.insert(seat);
    }

    /// Begins the suspicion of the member on `seat`, which counts after a while. A suspicion that
    /// holds already goes on.
    pub fn begin(&mut self, seat: Seat, now: Time) {
        self.all.insert(seat);
        if !self.counting.contains(&seat) && !self.pending.has(&seat) {
            self.pending.insert(seat, now, ());
        }
    }

    /// Ends the suspicion of the member on `seat`, if it holds.
    pub fn end(&mut self, seat: Seat) {
        self.all.remove(&seat);
        self.disregard(seat);
    }

    /// Has the suspicion of the member on `seat` not count.
    pub fn disregard(&mut self, seat: Seat) {
        self.pending.take(&seat);
        self.changed |= self.counting.remove(&seat);
    }

    /// Notes that something else changed that decides whether the host is replaced.
    pub const fn touch(&mut self) {
        self.changed = true;
    }

    /// Lets suspicions that have lasted for the `fair` time count. Returns how many count, if
    /// anything changed since the last call.
    pub fn weigh(&mut self, now: Time, fair: Duration) -> Option<usize> {
        while self.next_counts_at(fair).is_some_and(|at| at <= now)
            && let Some((seat, ())) = self.pending.take_due(now)
        {
            self.counting.insert(seat);
            self.changed = true;
        }
        std::mem::take(&mut self.changed).then_some(self.counting.len())
    }

    /// Returns whether the suspicion of the member on `seat` counts.
    #[must_use]
    pub fn counts(&self, seat: Seat) -> bool {
        self.counting.contains(&seat)
    }

    /// Returns the members that suspect the host, whether that counts or not.
    pub fn seats(&self) -> impl Iterator<Item = Seat> {
        self.all.iter().copied()
    }

    /// Returns the number of members that suspect the host, whether that counts or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Returns whether no member suspects the host.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Returns when the next suspicion begins to count.
    #[must_use]
    pub fn next_counts_at(&self, fair: Duration) -> Option<Time> {
        self.pending.next_deadline().map(|began| began.plus(fair))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAIR: Duration = Duration::from_secs(6);

    #[test]
    fn a_suspicion_counts_after_the_fair_time_and_repeating_it_changes_nothing() {
        let mut suspicions = Suspicions::default();
        suspicions.begin(Seat(1), Time(1000));
        suspicions.begin(Seat(1), Time(5000));
        assert_eq!(suspicions.next_counts_at(FAIR), Some(Time(7000)));
        assert_eq!(suspicions.weigh(Time(6999), FAIR), None);
        assert_eq!(suspicions.weigh(Time(7000), FAIR), Some(1));
        suspicions.begin(Seat(1), Time(8000));
        assert_eq!(
            (suspicions.weigh(Time(8000), FAIR), suspicions.next_counts_at(FAIR)),
            (None, None)
        );
    }

    #[test]
    fn a_suspicion_that_does_not_count_is_one_of_all() {
        let mut suspicions = Suspicions::default();
        suspicions.note(Seat(1));
        suspicions.begin(Seat(2), Time(0));
        suspicions.disregard(Seat(2));
        assert_eq!((suspicions.len(), suspicions.next_counts_at(FAIR)), (2, None));
        [1, 2].into_iter().for_each(|seat| suspicions.end(Seat(seat)));
        assert!(suspicions.is_empty());
    }

    #[test]
    fn a_suspicion_that_ended_starts_again() {
        let mut suspicions = Suspicions::default();
        suspicions.begin(Seat(1), Time(0));
        suspicions.end(Seat(1));
        suspicions.begin(Seat(1), Time(5000));
        assert_eq!(suspicions.weigh(Time(10_999), FAIR), None);
        assert_eq!(suspicions.weigh(Time(11_000), FAIR), Some(1));
        suspicions.end(Seat(1));
        assert!(!suspicions.counts(Seat(1)));
        assert_eq!(
            suspicions.weigh(Time(11_000), FAIR),
            Some(0),
            "the end of a suspicion is a change"
        );
    }

    #[test]
    fn a_suspicion_that_counts_goes_on_counting_when_the_fair_time_grows() {
        let mut suspicions = Suspicions::default();
        suspicions.begin(Seat(1), Time(0));
        suspicions.begin(Seat(2), Time(3000));
        assert_eq!(suspicions.weigh(Time(6000), FAIR), Some(1));
        suspicions.touch();
        assert_eq!(suspicions.weigh(Time(14_999), FAIR * 2), Some(1));
        assert_eq!(suspicions.weigh(Time(15_000), FAIR * 2), Some(2));
    }
}
