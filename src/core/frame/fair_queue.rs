//! Whose turn it is, when a crowd waits beside others.

use std::collections::VecDeque;

/// A crowd, and everybody else: they take turns, so that one who is not of the crowd does not wait for all of it, nor it for
/// them. Among themselves they go in the order in which they came.
#[derive(Debug)]
pub struct FairQueue<T> {
    crowd: VecDeque<T>,
    others: VecDeque<T>,
    crowd_was_last: bool,
}

/// Which of the two queues an item belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Items of a broadcast to a large page.
    Broadcast,
    /// All other items.
    Direct,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { crowd: VecDeque::new(), others: VecDeque::new(), crowd_was_last: false }
    }
}

impl<T> FairQueue<T> {
    /// One more waits.
    pub fn push(&mut self, one: T, lane: Lane) {
        match lane {
            Lane::Broadcast => self.crowd.push_back(one),
            Lane::Direct => self.others.push_back(one),
        }
    }

    /// The next, if anybody waits.
    pub fn pop(&mut self) -> Option<T> {
        let crowd_is_next =
            !self.crowd_was_last && !self.crowd.is_empty() || self.others.is_empty();
        self.crowd_was_last = crowd_is_next;
        if crowd_is_next { self.crowd.pop_front() } else { self.others.pop_front() }
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.crowd.is_empty() && self.others.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_and_others_take_turns_and_keep_their_order() {
        let mut turns = FairQueue::default();
        (0..4).for_each(|n| turns.push(n, Lane::Broadcast));
        assert_eq!(turns.pop(), Some(0), "a crowd alone does not wait");
        (10..12).for_each(|n| turns.push(n, Lane::Direct));
        let rest: Vec<_> = std::iter::from_fn(|| turns.pop()).collect();
        assert_eq!(rest, [10, 1, 11, 2, 3]);
        assert!(turns.is_empty());
    }
}
