//! The queue from which one writer takes its items.

use std::sync::{Mutex, MutexGuard, PoisonError};

use actix::{Message, Recipient};

use super::outbound::QueuedItem;

/// Tells a writer that its queue has items.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Wake;

/// Items for the sessions of one thread, in the order in which they were sent.
#[derive(Debug)]
pub struct OutboundQueue<N> {
    items: Mutex<Vec<QueuedItem<N>>>,
    writer: Recipient<Wake>,
}

impl<N> OutboundQueue<N> {
    /// Returns an empty queue, which `writer` takes from.
    #[must_use]
    pub const fn new(writer: Recipient<Wake>) -> Self {
        Self { items: Mutex::new(Vec::new()), writer }
    }

    fn items(&self) -> MutexGuard<'_, Vec<QueuedItem<N>>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the writer that the queue has items.
    #[expect(
        clippy::disallowed_methods,
        reason = "sent once for all items of the queue, which are counted in bytes"
    )]
    pub fn wake_writer(&self) {
        self.writer.do_send(Wake);
    }

    fn extend(&self, add: impl FnOnce(&mut Vec<QueuedItem<N>>)) {
        let mut items = self.items();
        let is_awake = !items.is_empty();
        add(&mut items);
        drop(items);
        if !is_awake {
            self.wake_writer();
        }
    }

    /// Adds one item, and wakes the writer if the queue was empty.
    pub fn push(&self, item: QueuedItem<N>) {
        self.extend(|items| items.push(item));
    }

    /// Adds several items, and wakes the writer if the queue was empty.
    pub fn append(&self, mut more: Vec<QueuedItem<N>>) {
        self.extend(|items| items.append(&mut more));
    }

    /// Adds one item without waking the writer: the caller flushes the queue soon.
    pub fn push_quietly(&self, item: QueuedItem<N>) {
        self.items().push(item);
    }

    /// Takes all items, and leaves the empty list `spare` in their place.
    pub fn take(&self, spare: Vec<QueuedItem<N>>) -> Vec<QueuedItem<N>> {
        std::mem::replace(&mut *self.items(), spare)
    }
}
