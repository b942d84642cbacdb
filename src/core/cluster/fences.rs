//! Fences, as one node gives them: the least number of its slot above all that it has seen.

use super::{Fence, Slot};

/// Least number that is no fence.
const LIMIT: u64 = 1 << 53;

/// The slot of a node, and the highest fence that it has seen.
#[derive(Debug, Default)]
pub struct Fences {
    slot: Option<Slot>,
    highest: u64,
}

impl Fences {
    /// Returns the slot of the node.
    #[must_use]
    pub const fn slot(&self) -> Option<Slot> {
        self.slot
    }

    /// Sets the slot. Returns whether it is another one.
    pub fn set_slot(&mut self, slot: Option<Slot>) -> bool {
        std::mem::replace(&mut self.slot, slot) != slot
    }

    /// Notes a fence that somebody has given.
    pub fn see(&mut self, fence: Fence) {
        if fence.0 < LIMIT {
            self.highest = self.highest.max(fence.0);
        }
    }

    /// Gives the next fence of the node, if it has a slot.
    pub fn give(&mut self) -> Option<Fence> {
        self.highest = self.slot?.at_least(self.highest + 1);
        Some(Fence(self.highest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_is_above_all_seen_and_of_the_slot() {
        let mut fences = Fences::default();
        assert_eq!(fences.give(), None);
        assert!(fences.set_slot(Some(Slot(7))) && !fences.set_slot(Some(Slot(7))));
        assert_eq!(fences.give(), Some(Fence(7)));
        assert_eq!(fences.give(), Some(Fence(263)));
        fences.see(Fence(1000));
        fences.see(Fence(u64::MAX));
        assert_eq!(fences.give(), Some(Fence(1031)));
    }
}
