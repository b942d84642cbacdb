//! From pages to clients: one writer on each thread that has sockets.
//!
//! Frames for many members of a page are one message to the writer, not one for each member. The
//! writer puts them into the sockets itself and wakes no session. Frames for one socket that arrive
//! while others are written go out together. An urgent frame is written at once; what its page
//! sends after it is held back until then ([`Batch`](super::outlet::Batch)).

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::iter;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{self, Poll};

use actix::fut::ActorFuture;
use actix::{Actor, AsyncContext, Context, Handler, Message, Recipient};
use futures_util::FutureExt;
use tokio::task::coop::unconstrained;
use tokio::task::yield_now;

use super::outbound::{Judged, Outbound, QueuedItem, Urgent};
use super::outbound_queue::{OutboundQueue, Wake};
use super::outlet::Outlet;
use crate::transport::counters::SessionCounters;
use crate::transport::socket::Socket;
use peerstar_core::frame::fair_queue::{FairQueue, Lane};
use peerstar_core::protocol::id::SessionId;
use peerstar_core::protocol::outgoing::Frame;

/// Number of sockets that are written to before others on the thread have their turn. It is small,
/// so that what a sender says next goes out with what it said before.
const SOCKETS_A_TURN: usize = 8;
/// Number of queued items for which memory is kept.
const KEPT_ITEMS: usize = 1024;

struct SocketEntry<N: Message<Result = ()> + Send> {
    socket: Rc<RefCell<Socket>>,
    session: Recipient<N>,
}

impl<N: Message<Result = ()> + Send> SocketEntry<N> {
    fn queue(&self, frame: Frame, lane: Lane, unwritten: &RefCell<FairQueue<Rc<RefCell<Socket>>>>) {
        if self.socket.borrow_mut().queue(frame) {
            unwritten.borrow_mut().push(Rc::clone(&self.socket), lane);
        }
    }
}

/// The sockets of one thread.
struct SocketTable<N: Message<Result = ()> + Send> {
    entries: RefCell<HashMap<SessionId, SocketEntry<N>>>,
    /// Sockets with frames that are not written yet.
    unwritten: RefCell<FairQueue<Rc<RefCell<Socket>>>>,
    /// An empty list, kept for its memory.
    spare: Cell<Vec<QueuedItem<N>>>,
}

impl<N: Message<Result = ()> + Send> Default for SocketTable<N> {
    fn default() -> Self {
        Self { entries: RefCell::default(), unwritten: RefCell::default(), spare: Cell::default() }
    }
}

impl<N: Message<Result = ()> + Send> SocketTable<N> {
    /// Puts one item where it belongs. Items for sessions that are gone are dropped.
    #[expect(clippy::disallowed_methods, reason = "a session handles a notice at once")]
    fn put(&self, QueuedItem { receiver, item, lane }: QueuedItem<N>) {
        let entries = self.entries.borrow();
        let Some(entry) = entries.get(&receiver) else { return };
        match item {
            Outbound::Frame(frame) => entry.queue(frame, lane, &self.unwritten),
            Outbound::Judged(judged) => {
                let Judged { frame, .. } = *judged;
                entry.queue(frame, lane, &self.unwritten);
            }
            Outbound::Notice(notice) => entry.session.do_send(notice),
            Outbound::Urgent(urgent) => {
                let Urgent { frame, notice, opener } = *urgent;
                entry.socket.borrow_mut().queue(frame);
                write_now(|| entry.socket.borrow_mut().flush());
                drop(opener);
                if let Some(notice) = notice {
                    entry.session.do_send(notice);
                }
            }
        }
    }

    /// Puts all items of `queue` where they belong, and writes to some sockets. Returns whether
    /// more sockets wait.
    fn flush(&self, queue: &OutboundQueue<N>) -> bool {
        let mut items = queue.take(self.spare.take());
        items.drain(..).for_each(|item| self.put(item));
        items.shrink_to(KEPT_ITEMS);
        self.spare.set(items);
        let mut unwritten = self.unwritten.borrow_mut();
        write_now(|| {
            iter::from_fn(|| unwritten.pop())
                .take(SOCKETS_A_TURN)
                .for_each(|socket| socket.borrow_mut().flush())
        });
        !unwritten.is_empty()
    }
}

/// Writes without tokio's budget, which lets one task write 128 times and then makes every session
/// write for itself.
fn write_now(write: impl FnOnce()) {
    unconstrained(async { write() }).now_or_never();
}

/// Handle to the sockets of the current thread and to their writer.
pub struct ThreadSockets<N: Message<Result = ()> + Send> {
    queue: Arc<OutboundQueue<N>>,
    table: Rc<SocketTable<N>>,
}

// not derived: `N` need not be `Clone`
impl<N: Message<Result = ()> + Send> Clone for ThreadSockets<N> {
    fn clone(&self) -> Self {
        Self { queue: Arc::clone(&self.queue), table: Rc::clone(&self.table) }
    }
}

impl<N: Message<Result = ()> + Send + Unpin + 'static> ThreadSockets<N> {
    /// Starts a writer on this thread, which has no sockets yet.
    #[must_use]
    pub fn start() -> Self {
        let table = Rc::<SocketTable<N>>::default();
        let context = Context::<Writer<N>>::new();
        let queue = Arc::new(OutboundQueue::new(context.address().recipient()));
        let _ = context.run(Writer { table: Rc::clone(&table), queue: Arc::clone(&queue) });
        Self { queue, table }
    }

    /// Returns the outlet of a session of this thread.
    #[must_use]
    pub fn outlet(&self, session: SessionId, counters: Arc<SessionCounters>) -> Outlet<N> {
        Outlet::local(session, counters, Arc::clone(&self.queue))
    }

    /// Adds the socket of a session that has begun, and where its notices go.
    pub fn add(&self, id: SessionId, socket: Rc<RefCell<Socket>>, session: Recipient<N>) {
        self.table.entries.borrow_mut().insert(id, SocketEntry { socket, session });
    }

    /// Removes the socket of a session that has ended. The session may have panicked before it
    /// flushed the queue.
    pub fn remove(&self, id: SessionId) {
        self.table.entries.borrow_mut().remove(&id);
        if std::thread::panicking() {
            self.queue.wake_writer();
        }
    }

    /// Sends a frame from a session of this thread, which is to [`flush`](Self::flush) soon.
    pub fn send(&self, outlet: &Outlet<N>, frame: Frame) {
        outlet.send_from(&self.queue, frame);
    }

    /// Does a part of the writer's work, so that a session that reads without pause does not keep
    /// the writer from it.
    pub fn flush(&self) {
        if self.table.flush(&self.queue) {
            self.queue.wake_writer();
        }
    }
}

/// The actor. It must not panic: all sockets of its thread are in its hands.
pub struct Writer<N: Message<Result = ()> + Send> {
    table: Rc<SocketTable<N>>,
    queue: Arc<OutboundQueue<N>>,
}

impl<N: Message<Result = ()> + Send + Unpin + 'static> Actor for Writer<N> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.spawn(FlushLoop);
    }
}

impl<N: Message<Result = ()> + Send + Unpin + 'static> Handler<Wake> for Writer<N> {
    type Result = ();

    /// Does nothing: [`FlushLoop`] runs after this.
    fn handle(&mut self, Wake: Wake, _: &mut Context<Self>) {}
}

/// Flushes the queue whenever the writer is woken.
struct FlushLoop;

impl<N: Message<Result = ()> + Send + Unpin + 'static> ActorFuture<Writer<N>> for FlushLoop {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        writer: &mut Writer<N>,
        _: &mut Context<Writer<N>>,
        cx: &mut task::Context<'_>,
    ) -> Poll<()> {
        if writer.table.flush(&writer.queue) {
            // wakes this task after all others had their turn and new events were polled
            let _ = pin!(yield_now()).poll(cx);
        }
        Poll::Pending
    }
}
