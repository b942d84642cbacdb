//! The mailbox of a node's directory, as other threads use it. It has a bound: while too much waits
//! in it, the bus takes nothing more from links. What waits in links is bounded by their windows,
//! and their senders notice.
//!
//! The questions of this node's sessions are bounded by their number, and are not counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix::Recipient;

use super::message::ToNode;

/// Number of messages in the mailbox from which on links wait.
const MOST_WAITING: usize = 4096;

/// The number of messages that wait in the mailbox.
#[derive(Debug, Clone, Default)]
pub struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    /// Returns the number of messages.
    #[must_use]
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Returns whether so many messages wait that links have to.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.get() >= MOST_WAITING
    }

    /// Notes that the directory handles a message.
    pub fn taken(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The way to a node's directory.
#[derive(Clone)]
pub struct Inbox {
    directory: Recipient<ToNode>,
    waiting: Waiting,
}

impl Inbox {
    /// Returns the way to `directory`, which notes in `waiting` what it handles.
    #[must_use]
    pub const fn new(directory: Recipient<ToNode>, waiting: Waiting) -> Self {
        Self { directory, waiting }
    }

    /// Tells the directory something.
    #[expect(clippy::disallowed_methods, reason = "the directory does little, and never waits")]
    pub fn tell(&self, message: ToNode) {
        self.waiting.0.fetch_add(1, Ordering::Relaxed);
        self.directory.do_send(message);
    }

    /// Returns whether so much waits that links have to.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.waiting.is_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix::{Actor, Context, Handler};

    /// Handles nothing before the test lets it.
    struct Directory(Waiting);

    impl Actor for Directory {
        type Context = Context<Self>;
    }

    impl Handler<ToNode> for Directory {
        type Result = ();

        fn handle(&mut self, _: ToNode, _: &mut Self::Context) {
            self.0.taken();
        }
    }

    #[actix_web::test]
    async fn what_waits_is_counted_and_links_wait_when_it_is_too_much() {
        let waiting = Waiting::default();
        let directory = Directory(waiting.clone()).start();
        let inbox = Inbox::new(directory.recipient(), waiting.clone());
        let stranger = || ToNode::Stranger(peerstar_core::cluster::NodeId(7));
        (1..MOST_WAITING).for_each(|_| inbox.tell(stranger()));
        assert!(!inbox.is_full());
        inbox.tell(stranger());
        assert!(inbox.is_full() && waiting.get() == MOST_WAITING);
        while waiting.get() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(!inbox.is_full());
    }
}
