//! Whether a node is the only one that has lost the registry: it asks the others, and leaves if it
//! is.
//!
//! A node that cannot reach the registry goes on for its own clients. While the others cannot reach
//! it either, that is all that can be done. While they can, its clients are better off with them.

use std::time::Duration;

use crate::time::Time;

/// Interval at which the others are asked.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// Time for which the others have the registry, until the node leaves.
const LEAVE_AFTER: Duration = Duration::from_secs(30);
/// Time without the registry after which the node leaves if nobody says how the others are.
const GIVE_UP_AFTER: Duration = Duration::from_secs(25 * 60);

/// The answers of the other nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// One of them has the registry.
    HaveIt,
    /// Some have answered, and none has the registry.
    LackIt,
    /// No other node has answered, or it is not known where to ask.
    Silent,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Rest,
    /// Ask the others: [`Solitude::answered`].
    Ask,
    /// Drain, and end the process.
    Leave,
}

/// One node without the registry, as far as it is.
#[derive(Debug, Default)]
pub struct Solitude {
    /// Since when the registry cannot be reached.
    lost: Option<Time>,
    /// When the others were last asked, and what they answered.
    asked: Option<(Time, Others)>,
    /// Since when the others have it.
    alone: Option<Time>,
}

impl Solitude {
    /// Notes whether the registry can be reached. Returns what is to be done.
    pub fn tick(&mut self, now: Time, is_lost: bool) -> Step {
        if !is_lost {
            *self = Self::default();
            return Step::Rest;
        }
        let lost = *self.lost.get_or_insert(now);
        let is_silent = self.asked.is_some_and(|(_, others)| others == Others::Silent);
        let is_alone = self.alone.is_some_and(|since| now.since(since) >= LEAVE_AFTER);
        if is_alone || is_silent && now.since(lost) >= GIVE_UP_AFTER {
            return Step::Leave;
        }
        let last = self.asked.map_or(lost, |(asked, _)| asked);
        if now.since(last) >= ASK_EVERY { Step::Ask } else { Step::Rest }
    }

    /// Notes what the others have answered.
    pub fn answered(&mut self, now: Time, others: Others) {
        self.asked = Some((now, others));
        match others {
            Others::HaveIt => drop(self.alone.get_or_insert(now)),
            Others::LackIt => self.alone = None,
            // as before: who was there may be gone
            Others::Silent => {}
        }
    }

    /// Returns whether new clients are better off with other nodes.
    #[must_use]
    pub const fn is_alone(&self) -> bool {
        self.alone.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets a node without the registry live, second by second. Returns when it was first not ready,
    /// and when it left.
    fn live(others: impl Fn(u64) -> Others) -> (Option<u64>, Option<u64>) {
        let (mut solitude, mut unready) = (Solitude::default(), None);
        for second in 0..3600 {
            let now = Time(second * 1000);
            match solitude.tick(now, true) {
                Step::Rest => {}
                Step::Ask => solitude.answered(now, others(second)),
                Step::Leave => return (unready, Some(second)),
            }
            unready = unready.or_else(|| solitude.is_alone().then_some(second));
        }
        (unready, None)
    }

    #[test]
    fn a_node_that_alone_has_lost_the_registry_leaves_after_half_a_minute() {
        assert_eq!(live(|_| Others::HaveIt), (Some(5), Some(35)));
    }

    #[test]
    fn while_the_others_lack_it_too_the_node_stays_and_is_ready() {
        assert_eq!(live(|_| Others::LackIt), (None, None));
        // they had it for a moment
        let flaps = |second| if second == 20 { Others::HaveIt } else { Others::LackIt };
        assert_eq!(live(flaps), (Some(20), None));
    }

    #[test]
    fn a_node_that_cannot_ask_leaves_after_25_minutes_and_is_ready_until_then() {
        assert_eq!(live(|_| Others::Silent), (None, Some(1500)));
        // they answered once, and are gone
        let gone = |second| if second == 20 { Others::LackIt } else { Others::Silent };
        assert_eq!(live(gone), (None, Some(1500)));
    }

    #[test]
    fn a_registry_that_is_back_ends_it() {
        let mut solitude = Solitude::default();
        solitude.tick(Time(0), true);
        solitude.answered(Time(5000), Others::HaveIt);
        assert!(solitude.is_alone());
        assert_eq!(solitude.tick(Time(6000), false), Step::Rest);
        assert!(!solitude.is_alone());
        assert_eq!(solitude.tick(Time(60_000), true), Step::Rest, "it begins anew");
    }
}
