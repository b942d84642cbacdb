//! Fair order between a broadcast to a large page and direct messages.

use std::collections::VecDeque;

/// Alternates items of a broadcast with direct items, so that neither waits for all of the other.
/// Items of one lane keep their order.
#[derive(Debug)]
pub struct FairQueue<T> {
    broadcast: VecDeque<T>,
    direct: VecDeque<T>,
    broadcast_was_last: bool,
}

/// Which of the two queues an item belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Items of a broadcast to a large page.
    Broadcast,
    /// Items for single members.
    Direct,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { broadcast: VecDeque::new(), direct: VecDeque::new(), broadcast_was_last: false }
    }
}

impl<T> FairQueue<T> {
    /// Adds an item at the end of its lane.
    pub fn push(&mut self, item: T, lane: Lane) {
        match lane {
            Lane::Broadcast => self.broadcast.push_back(item),
            Lane::Direct => self.direct.push_back(item),
        }
    }

    /// Removes the next item.
    pub fn pop(&mut self) -> Option<T> {
        let broadcast_is_next =
            !self.broadcast_was_last && !self.broadcast.is_empty() || self.direct.is_empty();
        self.broadcast_was_last = broadcast_is_next;
        if broadcast_is_next { self.broadcast.pop_front() } else { self.direct.pop_front() }
    }

    /// Returns whether no item waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.broadcast.is_empty() && self.direct.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_alternate_and_keep_their_order() {
        let mut queue = FairQueue::default();
        (0..4).for_each(|n| queue.push(n, Lane::Broadcast));
        assert_eq!(queue.pop(), Some(0), "a broadcast alone does not wait");
        (10..12).for_each(|n| queue.push(n, Lane::Direct));
        let rest: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(rest, [10, 1, 11, 2, 3]);
        assert!(queue.is_empty());
    }
}
