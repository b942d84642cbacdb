//! The lease of this node: whether it may still decide for its pages.
//!
//! A node renews once a second. It decides until [`LEASE`] after it *sent* the last renewal that
//! was confirmed: a renewal may be carried out long before its answer arrives, and the others count
//! from when it was carried out. Clocks may differ by a tenth in rate: 4 s of a slow clock are
//! shorter than the 5 s of a fast one, after which the others bury the node.
//!
//! A renewal without an answer means nothing: it may have been carried out or not. Then the lease
//! runs out and the node is *unsure*. That ends with an answer, a failed dial, or
//! [`ANSWER_WITHIN`] after asking on a fresh connection. (On an old one TCP may still wait for a
//! host that is gone.) In the latter two cases the registry *cannot be reached*. A failure before
//! the lease ran out counts as well, until an answer comes: a registry that hangs accepts
//! connections, and a node that believed it each time would never go on.

use std::time::Duration;

use crate::time::Time;

/// Interval of renewals.
const RENEW_EVERY: Duration = Duration::from_secs(1);
/// Time from sending the last confirmed renewal for which a node decides.
const LEASE: Duration = Duration::from_secs(4);
/// Longest time for an answer, and for a dial.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// Whether a node holds its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// The node decides until this time.
    Sure(Time),
    /// The node may have been buried.
    Unsure,
    /// The registry cannot be reached.
    Unreachable,
}

/// What is to be done for a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Renew, or register.
    Renew,
    /// Dial anew.
    Reconnect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connection {
    /// There is none. It is dialled since then, unless that dial has failed.
    Dialling(Option<Time>),
    /// It stands. Whether a renewal was answered on it.
    Open { is_proven: bool },
}

/// The lease of a node, and its connection to the registry.
#[derive(Debug)]
pub struct Lease {
    connection: Connection,
    /// When the renewal under way was sent.
    asked: Option<Time>,
    /// When the next renewal is due.
    due: Time,
    /// When the lease ends. `None` after it has ended.
    ends: Option<Time>,
    /// Whether the registry could not be reached, and has not answered since.
    has_failed: bool,
}

impl Lease {
    /// Returns the state of a process that dials the registry.
    #[must_use]
    pub const fn new(now: Time) -> Self {
        Self {
            connection: Connection::Dialling(Some(now)),
            asked: None,
            due: now,
            ends: None,
            has_failed: false,
        }
    }

    /// Returns whether a connection stands.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        matches!(self.connection, Connection::Open { .. })
    }

    /// A fresh connection stands: the node renews at once.
    pub const fn connected(&mut self, now: Time) {
        self.connection = Connection::Open { is_proven: false };
        self.asked = None;
        self.due = now;
    }

    /// The connection is gone, and is dialled anew.
    pub const fn disconnected(&mut self, now: Time) {
        self.connection = Connection::Dialling(Some(now));
        self.asked = None;
    }

    /// A dial has failed.
    pub const fn dial_failed(&mut self) {
        self.has_failed = true;
        self.connection = Connection::Dialling(None);
        self.asked = None;
    }

    /// A renewal is sent.
    pub fn asked(&mut self, now: Time) {
        self.asked = Some(now);
        self.due = now.plus(RENEW_EVERY);
    }

    /// The renewal under way was confirmed.
    pub fn confirmed(&mut self, now: Time) {
        if let Some(asked) = self.answered() {
            let ends = asked.plus(LEASE);
            self.ends = self.ends.max(Some(ends).filter(|ends| now < *ends));
        }
    }

    /// The renewal under way was answered: this node is not registered. If the registry has
    /// forgotten, the lease runs on until it ends: others wait longer than that.
    pub const fn denied(&mut self, now: Time) {
        self.answered();
        self.due = now;
    }

    /// The renewal under way was answered, and this node is not let in. It asks again with the next
    /// one.
    pub const fn not_let_in(&mut self) {
        self.answered();
    }

    /// The node was buried: the lease is over.
    pub const fn buried(&mut self) {
        self.ends = None;
    }

    /// The renewal under way could not be carried out, for nobody: the registry is full, or busy.
    pub const fn refused(&mut self) {
        self.asked = None;
        self.has_failed = true;
    }

    const fn answered(&mut self) -> Option<Time> {
        self.connection = Connection::Open { is_proven: true };
        self.has_failed = false;
        self.asked.take()
    }

    /// The node has something new to say of itself: the next renewal is due.
    pub const fn hurry(&mut self, now: Time) {
        self.due = now;
    }

    /// Returns whether the lease holds, at `now`.
    #[must_use]
    pub fn hold(&self, now: Time) -> Hold {
        match self.ends {
            Some(ends) if now < ends => Hold::Sure(ends),
            _ if self.has_failed => Hold::Unreachable,
            _ => Hold::Unsure,
        }
    }

    /// Notes the time. Returns what is to be done.
    pub fn tick(&mut self, now: Time) -> Option<Order> {
        if self.ends.is_some_and(|ends| ends <= now) {
            self.ends = None;
        }
        match self.connection {
            Connection::Dialling(Some(since)) if since.plus(ANSWER_WITHIN) <= now => {
                self.dial_failed();
                None
            }
            Connection::Dialling(_) => None,
            Connection::Open { is_proven } => match self.asked {
                Some(asked) if asked.plus(ANSWER_WITHIN) <= now => {
                    self.has_failed |= !is_proven;
                    self.disconnected(now);
                    Some(Order::Reconnect)
                }
                Some(_) => None,
                None => (self.due <= now).then_some(Order::Renew),
            },
        }
    }

    /// Returns when [`Self::tick`] is due.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let next = match self.connection {
            Connection::Dialling(since) => since.map(|since| since.plus(ANSWER_WITHIN)),
            Connection::Open { .. } => {
                Some(self.asked.map_or(self.due, |asked| asked.plus(ANSWER_WITHIN)))
            }
        };
        [next, self.ends].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lease that was confirmed at once, at time 0.
    fn held() -> Lease {
        let mut lease = Lease::new(Time(0));
        lease.connected(Time(0));
        assert_eq!(lease.tick(Time(0)), Some(Order::Renew));
        lease.asked(Time(0));
        lease.confirmed(Time(1));
        lease
    }

    #[test]
    fn the_lease_counts_from_when_the_renewal_was_sent() {
        let mut lease = held();
        assert_eq!(lease.tick(Time(1000)), Some(Order::Renew));
        lease.asked(Time(1000));
        lease.confirmed(Time(1900));
        assert_eq!(lease.hold(Time(4999)), Hold::Sure(Time(5000)));
        assert_eq!(lease.hold(Time(5000)), Hold::Unsure);
    }

    #[test]
    fn an_answer_that_comes_too_late_confirms_nothing() {
        let mut lease = held();
        lease.asked(Time(1000));
        assert_eq!(lease.hold(Time(6000)), Hold::Unsure);
        lease.confirmed(Time(6000));
        assert_eq!(lease.hold(Time(6000)), Hold::Unsure, "it was sent five seconds ago");
        assert_eq!(lease.tick(Time(6000)), Some(Order::Renew));
        lease.asked(Time(6000));
        lease.confirmed(Time(6001));
        assert_eq!(lease.hold(Time(6001)), Hold::Sure(Time(10_000)));
    }

    #[test]
    fn a_registry_that_hangs_cannot_be_reached_when_a_fresh_connection_is_not_answered() {
        let mut lease = held();
        lease.asked(Time(1000));
        assert_eq!(lease.tick(Time(1999)), None);
        assert_eq!(lease.tick(Time(2000)), Some(Order::Reconnect));
        lease.connected(Time(2010));
        assert_eq!(lease.tick(Time(2010)), Some(Order::Renew));
        lease.asked(Time(2010));
        assert_eq!(lease.next_deadline(), Some(Time(3010)));
        assert_eq!(lease.tick(Time(3010)), Some(Order::Reconnect));
        assert_eq!(lease.hold(Time(3010)), Hold::Sure(Time(4000)), "the lease still runs");
        lease.connected(Time(3020));
        assert_eq!(lease.hold(Time(4000)), Hold::Unreachable, "a connection alone is no answer");
        lease.asked(Time(3020));
        lease.confirmed(Time(4020));
        assert_eq!(lease.hold(Time(4020)), Hold::Sure(Time(7020)));
    }

    #[test]
    fn a_dial_that_fails_or_hangs_shows_that_the_registry_cannot_be_reached() {
        for hangs in [false, true] {
            let mut lease = held();
            lease.disconnected(Time(3900));
            if hangs {
                assert_eq!(lease.hold(Time(4100)), Hold::Unsure);
                assert_eq!(lease.next_deadline(), Some(Time(4000)), "the end of the lease");
                assert_eq!(lease.tick(Time(4000)), None);
                assert_eq!(lease.next_deadline(), Some(Time(4900)));
                assert_eq!(lease.tick(Time(4900)), None);
            } else {
                lease.dial_failed();
            }
            assert_eq!(lease.hold(Time(4900)), Hold::Unreachable);
            assert!(lease.next_deadline().is_none_or(|at| at <= Time(4000)));
        }
    }

    #[test]
    fn a_buried_node_has_no_lease() {
        let mut lease = held();
        lease.asked(Time(1000));
        lease.denied(Time(1001));
        assert_eq!(lease.hold(Time(1001)), Hold::Sure(Time(4000)), "it may be another generation");
        lease.buried();
        assert_eq!(lease.hold(Time(1001)), Hold::Unsure);
        assert_eq!(lease.tick(Time(1001)), Some(Order::Renew));
    }

    #[test]
    fn a_frozen_process_is_unsure_when_it_wakes() {
        let mut lease = held();
        lease.asked(Time(1000));
        assert_eq!(lease.hold(Time(60_000)), Hold::Unsure);
        assert_eq!(lease.tick(Time(60_000)), Some(Order::Reconnect));
        assert_eq!(lease.hold(Time(60_000)), Hold::Unsure);
    }
}
