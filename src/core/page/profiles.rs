//! Limits how often the host is told of new profiles.

use std::time::Duration;

use crate::page::deadline_map::DeadlineMap;
use crate::page::member::Seat;
use crate::time::Time;

/// Least time between two profiles of one member for the host. Of several in between only the last
/// is sent.
const INTERVAL: Duration = Duration::from_secs(1);

/// Whether the host is told of a profile now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Send {
    /// The host is told at once.
    Now,
    /// At the end of the interval that runs.
    Later,
}

/// Members whose profile the host was told within the interval, and whether each has changed it
/// since.
#[derive(Debug, Default)]
pub struct ProfileThrottle(DeadlineMap<Seat, bool>);

impl ProfileThrottle {
    /// Notes that a member changed its profile. Begins an interval if none runs.
    pub fn changed(&mut self, seat: Seat, now: Time) -> Send {
        match self.0.change(&seat) {
            Some(is_pending) => {
                *is_pending = true;
                Send::Later
            }
            None => {
                self.0.insert(seat, now.plus(INTERVAL), false);
                Send::Now
            }
        }
    }

    /// Returns the next member whose interval is over and whose profile is to be sent. Begins its
    /// next interval.
    pub fn take_due(&mut self, now: Time) -> Option<Seat> {
        while let Some((seat, is_pending)) = self.0.take_due(now) {
            if is_pending {
                self.0.insert(seat, now.plus(INTERVAL), false);
                return Some(seat);
            }
        }
        None
    }

    /// Forgets a member that left.
    pub fn forget(&mut self, seat: Seat) {
        self.0.take(&seat);
    }

    /// Returns whether the host is yet to hear of the last profile of a member.
    #[must_use]
    pub fn is_pending(&self, seat: Seat) -> bool {
        self.0.get(&seat).is_some_and(|(_, is_pending)| *is_pending)
    }

    /// Returns when the next interval is over.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.0.next_deadline()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_profiles_in_a_second_the_first_and_the_last_are_sent() {
        let mut throttle = ProfileThrottle::default();
        assert_eq!(throttle.changed(Seat(1), Time(0)), Send::Now);
        assert_eq!(throttle.changed(Seat(1), Time(10)), Send::Later);
        assert_eq!(throttle.changed(Seat(1), Time(20)), Send::Later);
        assert!(throttle.is_pending(Seat(1)));
        assert_eq!(throttle.take_due(Time(999)), None);
        assert_eq!(throttle.take_due(Time(1000)), Some(Seat(1)));
        assert!(!throttle.is_pending(Seat(1)));
        assert_eq!(throttle.next_deadline(), Some(Time(2000)));
        assert_eq!((throttle.take_due(Time(2000)), throttle.next_deadline()), (None, None));
        assert_eq!(throttle.changed(Seat(1), Time(2000)), Send::Now);
    }

    #[test]
    fn a_member_that_left_is_forgotten() {
        let mut throttle = ProfileThrottle::default();
        throttle.changed(Seat(1), Time(0));
        throttle.changed(Seat(1), Time(1));
        throttle.forget(Seat(1));
        assert_eq!((throttle.take_due(Time(5000)), throttle.next_deadline()), (None, None));
    }
}
