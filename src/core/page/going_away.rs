//! Members whose browser closed the socket with 1001. Most of them have left; some are back within
//! a moment.
//!
//! Firefox closes the WebSockets of a page with 1001 when a navigation begins, also when that turns
//! out to be a download and the page stays. Such a member keeps its seat, and a host its role, for
//! [`GRACE`]. Nothing is sent to it meanwhile.

use std::time::Duration;

use crate::page::deadline_map::DeadlineMap;
use crate::page::member::Seat;
use crate::time::Time;

/// How long a member whose socket was closed with 1001 keeps its seat.
pub const GRACE: Duration = Duration::from_secs(1);

/// Members without a socket that keep their seats.
#[derive(Debug, Default)]
pub struct GoingAway(DeadlineMap<Seat, ()>);

impl GoingAway {
    /// Begins the grace of a member.
    pub fn begin(&mut self, seat: Seat, now: Time) {
        self.0.insert(seat, now.plus(GRACE), ());
    }

    /// Ends the grace of a member. Returns whether the member had one.
    pub fn end(&mut self, seat: Seat) -> bool {
        self.0.take(&seat).is_some()
    }

    /// Ends the grace of all members.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Returns whether a member has no socket and keeps its seat.
    #[must_use]
    pub fn contains(&self, seat: Seat) -> bool {
        self.0.has(&seat)
    }

    /// Returns the next member whose grace is over at `now`.
    #[must_use]
    pub fn due(&self, now: Time) -> Option<Seat> {
        self.0.due(now).copied()
    }

    /// Returns when the next grace is over.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.0.next_deadline()
    }

    /// Returns the members that have a grace.
    pub fn seats(&self) -> impl Iterator<Item = Seat> {
        self.0.iter().map(|(seat, ())| *seat)
    }

    /// Returns whether no member has a grace.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grace_ends_after_a_second_or_when_the_member_is_back() {
        let mut going_away = GoingAway::default();
        going_away.begin(Seat(1), Time(0));
        going_away.begin(Seat(2), Time(500));
        assert_eq!(
            (going_away.next_deadline(), going_away.due(Time(999))),
            (Some(Time(1000)), None)
        );
        assert_eq!(going_away.due(Time(1000)), Some(Seat(1)));
        assert!(going_away.end(Seat(1)) && !going_away.end(Seat(1)));
        assert!(going_away.contains(Seat(2)) && !going_away.contains(Seat(1)));
        going_away.clear();
        assert!(going_away.is_empty());
    }
}
