//! The other nodes of the cluster, and the links to them.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::clock::Clock;
use peerstar_core::cluster::NodeId;
use peerstar_core::cluster::entry::Entry;
use peerstar_core::cluster::link::{Condition, Link, Pushed, window};
use peerstar_core::time::Time;

/// Wakes the bus thread, which publishes what links have to send.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Another node, and the link to it.
pub struct OtherNode {
    node: NodeId,
    clock: Clock,
    link: Mutex<Link>,
    /// Whether the bus thread is to look at the link.
    is_due: AtomicBool,
    wake: Wake,
}

impl fmt::Debug for OtherNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OtherNode").field(&self.node).finish()
    }
}

impl OtherNode {
    /// Returns the number of the node.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// Says one thing to the node.
    pub fn say(&self, entry: &Entry) -> Pushed {
        self.with_link(|link, now| link.push(now, entry))
    }

    /// Runs `work` on the link, from any thread. What it leaves to be sent is sent soon.
    pub fn with_link<T>(&self, work: impl FnOnce(&mut Link, Time) -> T) -> T {
        let done = work(&mut self.link(), self.clock.now());
        if !self.is_due.swap(true, Ordering::AcqRel) {
            (self.wake)();
        }
        done
    }

    /// Runs `work` on the link, on the bus thread, which then sends what is to be sent.
    pub fn on_bus<T>(&self, work: impl FnOnce(&mut Link, Time) -> T) -> T {
        self.is_due.store(false, Ordering::Release);
        work(&mut self.link(), self.clock.now())
    }

    /// Returns whether the link is broken, how many bytes wait in it, and how many messages of the
    /// relay it had no room for.
    pub fn look(&self) -> (bool, usize, u64) {
        let link = self.link();
        (link.condition() == Condition::Down, link.waiting_bytes(), link.dropped_relays())
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All other nodes that are known to live.
pub struct OtherNodes {
    clock: Clock,
    wake: Wake,
    all: RwLock<HashMap<NodeId, Arc<OtherNode>>>,
}

impl fmt::Debug for OtherNodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtherNodes").field("all", &self.all).finish_non_exhaustive()
    }
}

impl OtherNodes {
    /// Returns the table of a node that knows no other one.
    #[must_use]
    pub fn new(clock: Clock, wake: Wake) -> Self {
        Self { clock, wake, all: RwLock::default() }
    }

    /// Returns a node, if there is a link to it.
    pub fn get(&self, node: NodeId) -> Option<Arc<OtherNode>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).get(&node).cloned()
    }

    /// Says one thing to a node. Returns what became of it, if there is a link to the node.
    pub fn say(&self, node: NodeId, entry: &Entry) -> Option<Pushed> {
        self.get(node).map(|other| other.say(entry))
    }

    /// Returns all nodes to which there are links.
    pub fn all(&self) -> Vec<Arc<OtherNode>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Begins the link from this node, `own`, to `node`.
    pub fn open(&self, own: NodeId, node: NodeId) {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let room = window(all.len() + 1);
        all.entry(node).or_insert_with(|| {
            let link = Mutex::new(Link::new(own, node, room));
            let wake = Arc::clone(&self.wake);
            Arc::new(OtherNode {
                node,
                clock: self.clock,
                link,
                is_due: AtomicBool::new(false),
                wake,
            })
        });
        all.values().for_each(|other| other.link().set_window(room));
    }

    /// Ends the link to `node`.
    pub fn close(&self, node: NodeId) {
        self.all.write().unwrap_or_else(PoisonError::into_inner).remove(&node);
    }

    /// Ends all links: this process goes on as another node.
    pub fn clear(&self) {
        self.all.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
