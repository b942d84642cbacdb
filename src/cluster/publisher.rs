//! Publishes messages in the inboxes of nodes, over whatever connection serves.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use peerstar_core::cluster::NodeId;
use redis::aio::MultiplexedConnection;
use tokio::sync::{mpsc, watch};

use super::registry_script::Names;

/// Bytes that wait to be published, at most. What is published beyond that is dropped.
const MOST_WAITING: usize = 64 << 20;

struct Message {
    to: NodeId,
    bytes: Vec<u8>,
}

/// Takes messages from any thread.
#[derive(Debug, Clone)]
pub struct Publisher {
    messages: mpsc::UnboundedSender<Message>,
    /// Bytes that wait.
    waiting: Arc<AtomicUsize>,
}

impl Publisher {
    /// Publishes a message in the inbox of a node, if there is room for it. Returns whether there
    /// was.
    pub fn publish(&self, to: NodeId, bytes: Vec<u8>) -> bool {
        let length = bytes.len();
        if self.waiting.fetch_add(length, Ordering::Relaxed) + length > MOST_WAITING {
            self.waiting.fetch_sub(length, Ordering::Relaxed);
            return false;
        }
        self.messages.send(Message { to, bytes }).is_ok()
    }
}

/// Returns a publisher, and the task that publishes what it takes over the connection that serves.
/// The task ends after the last clone of the publisher.
pub fn new(
    names: Names,
    mut serving: watch::Receiver<Option<MultiplexedConnection>>,
) -> (Publisher, impl Future<Output = ()>) {
    let (messages, mut taken) = mpsc::unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let publisher = Publisher { messages, waiting: Arc::clone(&waiting) };
    let task = async move {
        while let Some(Message { to, bytes }) = taken.recv().await {
            waiting.fetch_sub(bytes.len(), Ordering::Relaxed);
            let connection = serving.borrow_and_update().clone();
            let Some(mut connection) = connection else { continue };
            let mut publish = redis::cmd("PUBLISH");
            publish.arg(names.inbox(to)).arg(bytes).set_no_response(true);
            // links send again what is lost
            tokio::select! {
                _ = publish.exec_async(&mut connection) => {}
                _ = serving.changed() => {}
            }
        }
    };
    (publisher, task)
}
