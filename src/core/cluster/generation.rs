//! The generation of the registry's memory, as one node learns of it.
//!
//! Another generation is no burial: the registry has forgotten, or may have. Every node registers
//! at once and asserts its pages. For [`YOUNG`] by its own clock a node takes no page without a
//! record, and asks for no new slot: the holders may not have registered yet. A process that has
//! just started cannot know how old a generation is, and waits as well.
//!
//! A node whose lease ran out before it learned of a generation may have lost pages meanwhile. It
//! *regains*: its pages say `ALONE` until all are asserted.

use std::time::Duration;

use super::Generation;
use crate::time::Time;

/// Time for which a generation is young.
const YOUNG: Duration = Duration::from_secs(5);

/// A node's knowledge of the present generation.
#[derive(Debug, Default)]
pub struct GenerationWatch {
    current: Option<Generation>,
    /// When the generation is no longer young. `None` afterwards.
    young_until: Option<Time>,
    is_asserting: bool,
    is_regaining: bool,
}

impl GenerationWatch {
    /// Notes the generation of an answer. Returns whether it is another one.
    pub fn learn(&mut self, now: Time, generation: &Generation) -> bool {
        if self.current.as_ref() == Some(generation) {
            return false;
        }
        self.current = Some(generation.clone());
        self.young_until = Some(now.plus(YOUNG));
        true
    }

    /// The node asserts its pages. `regains` if its lease had run out before.
    pub const fn assert(&mut self, regains: bool) {
        self.is_asserting = true;
        self.is_regaining |= regains;
    }

    /// All pages of the node are asserted. Returns whether it was asserting.
    pub const fn settle(&mut self) -> bool {
        self.is_regaining = false;
        std::mem::replace(&mut self.is_asserting, false)
    }

    /// Returns whether the node asserts its pages.
    #[must_use]
    pub const fn is_asserting(&self) -> bool {
        self.is_asserting
    }

    /// Returns whether another node may have taken pages that the node has not asserted yet.
    #[must_use]
    pub const fn is_regaining(&self) -> bool {
        self.is_regaining
    }

    /// Returns whether nodes may not have registered yet. So it is before the first generation.
    #[must_use]
    pub const fn is_young(&self) -> bool {
        self.current.is_none() || self.young_until.is_some()
    }

    /// Returns whether the generation comes of age.
    pub fn comes_of_age(&mut self, now: Time) -> bool {
        self.young_until.take_if(|until| *until <= now).is_some()
    }

    /// Returns when [`Self::comes_of_age`] is due.
    #[must_use]
    pub const fn next_deadline(&self) -> Option<Time> {
        self.young_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_generation_is_young_for_five_seconds() {
        let (a, b) = (Generation("a".into()), Generation("b".into()));
        let mut watch = GenerationWatch::default();
        assert!(watch.is_young());
        assert!(watch.learn(Time(0), &a));
        assert!(!watch.learn(Time(1000), &a));
        assert!(!watch.comes_of_age(Time(4999)));
        assert!(watch.is_young());
        assert!(watch.comes_of_age(Time(5000)));
        assert!(!watch.is_young() && !watch.comes_of_age(Time(5001)));
        assert!(watch.learn(Time(9000), &b));
        assert_eq!(watch.next_deadline(), Some(Time(14_000)));
    }

    #[test]
    fn a_node_regains_until_it_has_settled() {
        let mut watch = GenerationWatch::default();
        watch.assert(true);
        watch.assert(false);
        assert!(watch.is_asserting() && watch.is_regaining());
        assert!(watch.settle());
        assert!(!watch.is_asserting() && !watch.is_regaining() && !watch.settle());
    }
}
