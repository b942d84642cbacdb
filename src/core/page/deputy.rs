//! The deputy: the member that hosts next, named in advance where members need a data channel to
//! the host.
//!
//! Where nothing may be relayed to a member, a change of host costs it a dial, which takes seconds
//! on rough networks. The server names the next host while the present one lives, and these members
//! keep a data channel to both.

use std::time::Duration;

use crate::page::member::Seat;
use crate::time::Time;

/// Shortest time from the naming of a deputy to its first judgement. A longer fair time applies
/// instead.
const TRIAL: Duration = Duration::from_secs(10);
/// Largest number of doublings of that time. Every deputy in a row that is not reached doubles it,
/// except the first. Where members reach nobody, another deputy helps nobody and costs dials.
const MOST_DOUBLINGS: u32 = 5;
/// Time without a join or leave before a deputy is judged, and the least time between two
/// judgements.
const CALM: Duration = Duration::from_secs(2);

/// Result of a review of the deputy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// Whether at least half of the members that dial the deputy reach it, or still have time to.
    pub is_reached: bool,
    /// Whether a member still has time to dial the deputy: the deputy is judged again.
    pub is_pending: bool,
}

/// The deputy of a page and when it is next judged.
#[derive(Debug, Default)]
pub struct Deputy {
    seat: Option<Seat>,
    /// Number of changes of the deputy so far. Members note the last one that was announced to
    /// them.
    number: u64,
    /// When the present deputy was named.
    since: Time,
    /// Number of deputies in a row that were replaced because they were not reached.
    unreached: u32,
    /// When a member last joined or left.
    moved_at: Time,
    /// When a deputy was last judged.
    judged_at: Time,
    /// Whether anything that matters has changed since the deputy was last judged.
    changed: bool,
    /// Whether a member may still believe in another deputy than the present one.
    is_unannounced: bool,
}

impl Deputy {
    /// Returns the seat of the deputy.
    #[must_use]
    pub const fn seat(&self) -> Option<Seat> {
        self.seat
    }

    /// Returns the number of the present deputy.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Returns when the present deputy was named.
    #[must_use]
    pub const fn since(&self) -> Time {
        self.since
    }

    /// Notes that a member has joined or left, or has a new socket.
    pub const fn moved(&mut self, now: Time) {
        self.moved_at = now;
        self.changed = true;
    }

    /// Notes that what members say of themselves, or who hosts, has changed.
    pub const fn touch(&mut self) {
        self.changed = true;
    }

    /// Notes that an earlier incarnation of this page may have announced another deputy to a
    /// member.
    pub const fn resumed(&mut self) {
        self.is_unannounced = true;
    }

    /// Names a deputy, or none.
    pub fn name(&mut self, seat: Option<Seat>, now: Time) {
        *self = Self {
            seat,
            number: self.number + 1,
            since: now,
            changed: true,
            is_unannounced: true,
            ..*self
        };
    }

    /// Notes that the deputy was judged, and whether a successor takes its place because nobody
    /// reaches it.
    pub const fn judged(&mut self, judgement: Judgement, has_successor: bool, now: Time) {
        (self.judged_at, self.changed) = (now, judgement.is_pending);
        if judgement.is_reached {
            self.unreached = 0;
        } else if has_successor {
            self.unreached = self.unreached.saturating_add(1);
        }
    }

    /// Has the deputy judged later.
    pub const fn postpone(&mut self, now: Time) {
        self.judged_at = now;
    }

    /// Returns whether members are yet to be told of the present deputy, once.
    pub const fn take_unannounced(&mut self) -> bool {
        std::mem::replace(&mut self.is_unannounced, false)
    }

    /// Returns when the deputy is next judged, on a page with that `fair` time.
    #[must_use]
    pub fn next_deadline(&self, fair: Duration) -> Option<Time> {
        let trial = fair.max(TRIAL) * (1 << self.unreached.saturating_sub(1).min(MOST_DOUBLINGS));
        let at =
            self.since.plus(trial).max(self.moved_at.plus(CALM)).max(self.judged_at.plus(CALM));
        (self.seat.is_some() && self.changed).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAIR: Duration = Duration::from_secs(6);
    const UNREACHED: Judgement = Judgement { is_reached: false, is_pending: false };

    #[test]
    fn a_deputy_is_judged_after_its_term_and_when_the_page_is_calm() {
        let mut deputy = Deputy::default();
        assert_eq!(deputy.next_deadline(FAIR), None);
        deputy.name(Some(Seat(1)), Time(0));
        assert_eq!((deputy.seat(), deputy.number()), (Some(Seat(1)), 1));
        assert_eq!(deputy.next_deadline(FAIR), Some(Time(10_000)));
        assert_eq!(deputy.next_deadline(FAIR * 2), Some(Time(12_000)));
        deputy.moved(Time(9500));
        assert_eq!(deputy.next_deadline(FAIR), Some(Time(11_500)));
        deputy.judged(Judgement { is_reached: true, is_pending: false }, false, Time(11_500));
        assert_eq!(deputy.next_deadline(FAIR), None, "nothing has changed since");
        deputy.touch();
        assert_eq!(deputy.next_deadline(FAIR), Some(Time(13_500)));
    }

    #[test]
    fn each_deputy_that_nobody_reaches_but_the_first_doubles_the_term_of_the_next() {
        let mut deputy = Deputy::default();
        let terms: Vec<_> = (0..9)
            .map(|n| {
                deputy.name(Some(Seat(n)), Time(0));
                let term = deputy.next_deadline(FAIR).map(|at| at.0);
                deputy.judged(UNREACHED, true, Time(0));
                term
            })
            .collect();
        let expected = [10, 10, 20, 40, 80, 160, 320, 320, 320].map(|s| Some(s * 1000));
        assert_eq!(terms, expected);
    }

    #[test]
    fn a_deputy_is_announced_once() {
        let mut deputy = Deputy::default();
        assert!(!deputy.take_unannounced());
        deputy.name(None, Time(0));
        assert!(deputy.take_unannounced() && !deputy.take_unannounced());
        deputy.resumed();
        assert!(deputy.take_unannounced());
    }
}
