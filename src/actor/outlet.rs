//! How a page reaches its sessions. A page does not know where a session's socket is.
//!
//! There are two kinds of [`Route`]: to a writer of this process, and by a link to another node.
//! `conformance` holds writers and links to the same rules.

use std::sync::Arc;

use super::latch::Latch;
use super::outbound::{Outbound, QueuedItem, Urgent};
use super::outbound_queue::OutboundQueue;
use crate::transport::counters::SessionCounters;
use peerstar_core::frame::fair_queue::Lane;
use peerstar_core::protocol::claim::Claim;
use peerstar_core::protocol::id::SessionId;
use peerstar_core::protocol::outgoing::Frame;

/// Number of items for one writer in one batch from which on they count as a broadcast.
const BROADCAST_FROM: usize = 8;
/// Number of items for one writer at which a batch is sent without being asked to.
const MAX_BATCH: usize = 1024;

/// A way to sessions whose sockets are elsewhere.
pub trait Link<N>: std::fmt::Debug + Send + Sync {
    /// Sends one item.
    fn push(&self, item: QueuedItem<N>);

    /// Sends several items, in this order.
    fn append(&self, items: Vec<QueuedItem<N>>);

    /// Publishes the host that all members were told of.
    fn publish_host(&self, host: Option<&Claim>);

    /// Sends the host a `PROBE`, and has its node report whether the host's code runs.
    fn probe(&self, to: SessionId, frame: Frame);

    /// Says which sessions at the far end are members, and that no others are.
    fn say_members(&self, sessions: Vec<SessionId>, host: Option<Claim>);

    /// Says which sessions at the far end are members, as a hash. The far end asks if it has others.
    fn compare_members(&self, sessions: Vec<SessionId>);
}

/// Where queued items go.
#[derive(Debug)]
enum Route<N> {
    /// To a writer of this process.
    Writer(Arc<OutboundQueue<N>>),
    /// To the far end of a link.
    Link(Arc<dyn Link<N>>),
}

// not derived: `N` need not be `Clone`
impl<N> Clone for Route<N> {
    fn clone(&self) -> Self {
        match self {
            Self::Writer(queue) => Self::Writer(Arc::clone(queue)),
            Self::Link(link) => Self::Link(Arc::clone(link)),
        }
    }
}

impl<N> Route<N> {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Writer(one), Self::Writer(other)) => Arc::ptr_eq(one, other),
            (Self::Link(one), Self::Link(other)) => Arc::ptr_eq(one, other),
            (Self::Writer(_), Self::Link(_)) | (Self::Link(_), Self::Writer(_)) => false,
        }
    }

    fn push(&self, item: QueuedItem<N>) {
        match self {
            Self::Writer(queue) => queue.push(item),
            Self::Link(link) => link.push(item),
        }
    }

    fn append(&self, items: Vec<QueuedItem<N>>) {
        match self {
            Self::Writer(queue) => queue.append(items),
            Self::Link(link) => link.append(items),
        }
    }
}

/// How a page reaches one session. Bounded by [`SessionCounters::has_room`], which the sender asks
/// first.
#[derive(Debug)]
pub struct Outlet<N> {
    /// Number of the session.
    pub session: SessionId,
    /// What is known of the session without asking its thread.
    pub counters: Arc<SessionCounters>,
    route: Route<N>,
}

// not derived: `N` need not be `Clone`
impl<N> Clone for Outlet<N> {
    fn clone(&self) -> Self {
        let Self { session, counters, route } = self;
        Self { session: *session, counters: Arc::clone(counters), route: route.clone() }
    }
}

impl<N> Outlet<N> {
    /// Returns the outlet of a session whose socket is in the hands of the writer that takes from
    /// `queue`.
    #[must_use]
    pub const fn local(
        session: SessionId,
        counters: Arc<SessionCounters>,
        queue: Arc<OutboundQueue<N>>,
    ) -> Self {
        Self { session, counters, route: Route::Writer(queue) }
    }

    /// Returns the outlet of a session at the far end of `link`. The counters are those of this
    /// side: nothing counts against the session's room here, unless the link does so.
    #[must_use]
    pub const fn linked(
        session: SessionId,
        counters: Arc<SessionCounters>,
        link: Arc<dyn Link<N>>,
    ) -> Self {
        Self { session, counters, route: Route::Link(link) }
    }

    /// Returns whether the session's socket is on another node, where its room is judged.
    #[must_use]
    pub const fn is_linked(&self) -> bool {
        matches!(self.route, Route::Link(_))
    }

    /// Returns the link to the session's node, if that is another one.
    #[must_use]
    pub const fn link(&self) -> Option<&Arc<dyn Link<N>>> {
        match &self.route {
            Route::Writer(_) => None,
            Route::Link(link) => Some(link),
        }
    }

    /// Addresses an item. Counts it against the session's room, if that is judged here.
    fn address(&self, item: Outbound<N>, lane: Lane) -> QueuedItem<N> {
        if let (Route::Writer(_), Some(bytes)) = (&self.route, item.frame_bytes()) {
            self.counters.add_queued(bytes);
        }
        QueuedItem { receiver: self.session, item, lane }
    }

    /// Sends one item to the session.
    pub fn send(&self, item: Outbound<N>) {
        self.route.push(self.address(item, Lane::Direct));
    }

    /// Sends a frame from the thread whose writer takes from `here`. If that is the session's own
    /// thread, the writer is not woken: the caller flushes the queue soon.
    pub fn send_from(&self, here: &Arc<OutboundQueue<N>>, frame: Frame) {
        let item = self.address(Outbound::Frame(frame), Lane::Direct);
        match &self.route {
            Route::Writer(queue) if Arc::ptr_eq(queue, here) => queue.push_quietly(item),
            Route::Writer(queue) => queue.push(item),
            Route::Link(link) => link.push(item),
        }
    }
}

/// What is to be sent in one moment, sorted by where it goes.
#[derive(Debug)]
pub struct Batch<N> {
    parts: Vec<(Route<N>, Vec<QueuedItem<N>>)>,
    /// Set while an urgent frame may not be written yet: everything that is sent after it waits for
    /// that.
    latch: Option<Arc<Latch>>,
}

impl<N> Default for Batch<N> {
    fn default() -> Self {
        Self { parts: Vec::new(), latch: None }
    }
}

impl<N: Send + 'static> Batch<N> {
    /// Adds one item. A batch that has grown large is sent.
    pub fn put(&mut self, outlet: &Outlet<N>, item: Outbound<N>) {
        let at =
            self.parts.iter().position(|(route, _)| route.is(&outlet.route)).unwrap_or_else(|| {
                self.parts.push((outlet.route.clone(), Vec::new()));
                self.parts.len() - 1
            });
        let items = &mut self.parts[at].1;
        let lane = if items.len() >= BROADCAST_FROM { Lane::Broadcast } else { Lane::Direct };
        items.push(outlet.address(item, lane));
        if items.len() >= MAX_BATCH {
            self.send();
        }
    }

    /// Sends all items of the batch.
    pub fn send(&mut self) {
        let mut parts = std::mem::take(&mut self.parts);
        parts.drain(..).for_each(|(route, items)| self.run(move || route.append(items)));
        self.parts = parts;
    }

    /// Sends `frame` at once, and then `notice` to the session. Whatever is put or done after it
    /// waits until the frame is written, on all threads.
    pub fn send_urgent(&mut self, outlet: &Outlet<N>, frame: Frame, notice: Option<N>) {
        self.send();
        let (latch, opener) = Latch::closed();
        let item = Outbound::Urgent(Box::new(Urgent { frame, notice, opener }));
        let route = outlet.route.clone();
        let item = outlet.address(item, Lane::Direct);
        self.run(move || route.push(item));
        self.latch = Some(latch);
    }

    /// Runs `action` after what was sent so far is on its way.
    pub fn then(&mut self, action: impl FnOnce() + Send + 'static) {
        self.run(action);
    }

    /// Returns whether something may be held back by an urgent frame.
    #[must_use]
    pub const fn holds_back(&self) -> bool {
        self.latch.is_some()
    }

    fn run(&mut self, action: impl FnOnce() + Send + 'static) {
        let Some(latch) = &self.latch else { return action() };
        if latch.run(action) {
            self.latch = None;
        }
    }
}
