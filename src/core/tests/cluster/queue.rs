//! The events to come, in the order of virtual time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Virtual time in µs since the schedule began.
pub(crate) type Us = u64;

/// Microseconds in a millisecond.
pub(crate) const MS: Us = 1000;
/// Microseconds in a second.
pub(crate) const S: Us = 1_000_000;

#[derive(Debug)]
struct Entry<E> {
    at: Us,
    number: u64,
    event: E,
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// Events by time. Events of the same time come in the order in which they were added.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    heap: BinaryHeap<Reverse<Entry<E>>>,
    number: u64,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), number: 0 }
    }
}

impl<E> Queue<E> {
    pub(crate) fn add(&mut self, at: Us, event: E) {
        self.number += 1;
        self.heap.push(Reverse(Entry { at, number: self.number, event }));
    }

    pub(crate) fn next(&mut self) -> Option<(Us, E)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.event))
    }
}
