//! From pages to clients: one actor on each thread that has sockets.
//!
//! Frames for many members of a page are one message to it, not one for each; it puts them into the sockets itself, and
//! wakes no session. What comes for a socket while it has others to write to goes out together. A frame that is to come first
//! is written at once, and what its page sends after it is held back until then.

mod latch;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::iter;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{self, Poll};

use actix::fut::ActorFuture;
use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, Recipient};
use futures_util::FutureExt;
use tokio::task::coop::unconstrained;
use tokio::task::yield_now;

use self::latch::{Held, Latch, Opener};
use super::message::ToSession;
use crate::transport::counters::SessionCounters;
use crate::transport::socket::Socket;
use peerstar_core::frame::fair_queue::{FairQueue, Lane};
use peerstar_core::protocol::id::SessionId;
use peerstar_core::protocol::outgoing::Frame;

/// How many sockets are written to until others on the thread have their turn. Few, so that what a sender says next goes out
/// with what it said before.
const MOST_AT_ONCE: usize = 8;
/// How many parcels are not sent together with more, and for how many memory is kept.
const MUCH: usize = 1024;

/// What a session is brought.
#[derive(Debug)]
pub enum Outbound {
    /// For its client.
    Frame(Frame),
    /// For itself, after what came before for its client.
    Notice(ToSession),
    /// A frame for the client, written before what is held back.
    Urgent(Frame, Opener),
}

/// Something for one session.
#[derive(Debug)]
struct QueuedItem {
    to: SessionId,
    word: Outbound,
    /// It is one of many of the same page's; others need not wait for all of them.
    in_crowd: bool,
}

/// To a courier: there is something to be taken.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Wake;

/// Where a courier takes what it is to bring.
#[derive(Debug)]
struct OutboundQueue {
    parcels: Mutex<Vec<QueuedItem>>,
    courier: Addr<Writer>,
}

impl OutboundQueue {
    fn parcels(&self) -> MutexGuard<'_, Vec<QueuedItem>> {
        self.parcels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "once for all that lies here; and that is counted in bytes"
    )]
    fn call(&self) {
        self.courier.do_send(Wake);
    }

    fn leave(&self, put: impl FnOnce(&mut Vec<QueuedItem>)) {
        let mut parcels = self.parcels();
        let knows = !parcels.is_empty();
        put(&mut parcels);
        drop(parcels);
        if !knows {
            self.call();
        }
    }
}

/// How to reach a session, without piling up what its client does not read.
#[derive(Debug, Clone)]
pub struct Outlet {
    /// Which session.
    pub session: SessionId,
    /// What is known of it.
    pub pulse: Arc<SessionCounters>,
    desk: Arc<OutboundQueue>,
}

impl Outlet {
    fn parcel(&self, word: Outbound, in_crowd: bool) -> QueuedItem {
        if let Outbound::Frame(frame) | Outbound::Urgent(frame, _) = &word {
            self.pulse.tell(frame.len());
        }
        QueuedItem { to: self.session, word, in_crowd }
    }

    /// Sends one thing.
    pub fn send(&self, word: Outbound) {
        self.desk.leave(|parcels| parcels.push(self.parcel(word, false)));
    }
}

/// What is to be sent in one moment, by the couriers that take it.
#[derive(Debug, Default)]
pub struct Batch {
    bags: Vec<(Arc<OutboundQueue>, Vec<QueuedItem>)>,
    /// Closed until a frame is written that comes first. None: nothing is held back.
    latch: Option<Arc<Latch>>,
}

impl Batch {
    /// One thing more. When it has become much, all is sent.
    pub fn put(&mut self, line: &Outlet, word: Outbound) {
        let at =
            self.bags.iter().position(|(desk, _)| Arc::ptr_eq(desk, &line.desk)).unwrap_or_else(
                || {
                    self.bags.push((Arc::clone(&line.desk), Vec::new()));
                    self.bags.len() - 1
                },
            );
        let parcels = &mut self.bags[at].1;
        parcels.push(line.parcel(word, parcels.len() >= MOST_AT_ONCE));
        if parcels.len() >= MUCH {
            self.send();
        }
    }

    /// Sends all of it.
    pub fn send(&mut self) {
        let mut bags = std::mem::take(&mut self.bags);
        bags.drain(..).for_each(|(desk, parcels)| self.pass(Held::Parcels(desk, parcels)));
        self.bags = bags;
    }

    /// Sends `frame` at once. Whatever is put in or done after it waits until the frame is written, on all threads.
    pub fn send_first(&mut self, line: &Outlet, frame: Frame) {
        self.send();
        let latch = Arc::<Latch>::default();
        let word = Outbound::Urgent(frame, Opener(Arc::clone(&latch)));
        self.pass(Held::Parcels(Arc::clone(&line.desk), vec![line.parcel(word, false)]));
        self.latch = Some(latch);
    }

    /// Does `act` after what was sent so far is on its way.
    pub fn then(&mut self, act: impl FnOnce() + Send + 'static) {
        if self.latch.is_some() { self.pass(Held::Act(Box::new(act))) } else { act() }
    }

    /// Returns whether something may be held back.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.latch.is_some()
    }

    fn pass(&mut self, thing: Held) {
        let Some(latch) = &self.latch else { return thing.pass() };
        if latch.give(thing) {
            self.latch = None;
        }
    }
}

struct SocketEntry {
    socket: Rc<RefCell<Socket>>,
    session: Recipient<ToSession>,
}

#[derive(Default)]
struct SocketTable {
    all: RefCell<HashMap<SessionId, SocketEntry>>,
    /// What was put into them is not written yet.
    unwritten: RefCell<FairQueue<Rc<RefCell<Socket>>>>,
    /// For its memory.
    spare: Cell<Vec<QueuedItem>>,
}

impl SocketTable {
    #[expect(clippy::disallowed_methods, reason = "a session takes what it is told at once")]
    fn put(&self, QueuedItem { to, word, in_crowd }: QueuedItem) {
        let all = self.all.borrow();
        // or it has gone
        let Some(stop) = all.get(&to) else { return };
        match word {
            Outbound::Frame(frame) => {
                if stop.socket.borrow_mut().tell(frame) {
                    self.unwritten.borrow_mut().push(
                        Rc::clone(&stop.socket),
                        if in_crowd { Lane::Broadcast } else { Lane::Direct },
                    );
                }
            }
            Outbound::Notice(note) => stop.session.do_send(note),
            Outbound::Urgent(frame, opener) => {
                stop.socket.borrow_mut().tell(frame);
                at_once(|| stop.socket.borrow_mut().flush());
                drop(opener);
            }
        }
    }

    /// Puts what lies on the desk where it belongs, and writes for a while. Whether there is more to write.
    fn serve(&self, desk: &OutboundQueue) -> bool {
        let mut parcels = std::mem::replace(&mut *desk.parcels(), self.spare.take());
        parcels.drain(..).for_each(|parcel| self.put(parcel));
        parcels.shrink_to(MUCH);
        self.spare.set(parcels);
        let mut unwritten = self.unwritten.borrow_mut();
        at_once(|| {
            iter::from_fn(|| unwritten.pop())
                .take(MOST_AT_ONCE)
                .for_each(|socket| socket.borrow_mut().flush())
        });
        !unwritten.is_empty()
    }
}

/// Writes without tokio's limit: it would let one task write 128 times, and then send each session to do it itself.
fn at_once(write: impl FnOnce()) {
    unconstrained(async { write() }).now_or_never();
}

/// The sockets of a thread, to which its courier goes.
#[derive(Clone)]
pub struct ThreadSockets {
    desk: Arc<OutboundQueue>,
    stops: Rc<SocketTable>,
}

impl ThreadSockets {
    /// None yet, on this thread.
    #[must_use]
    pub fn start() -> Self {
        let stops = Rc::<SocketTable>::default();
        let context = Context::new();
        let desk =
            Arc::new(OutboundQueue { parcels: Mutex::default(), courier: context.address() });
        let _ = context.run(Writer { stops: Rc::clone(&stops), desk: Arc::clone(&desk) });
        Self { desk, stops }
    }

    /// How others reach a session here.
    #[must_use]
    pub fn line(&self, session: SessionId, pulse: Arc<SessionCounters>) -> Outlet {
        Outlet { session, pulse, desk: Arc::clone(&self.desk) }
    }

    /// A session has begun.
    pub fn add(&self, id: SessionId, socket: Rc<RefCell<Socket>>, session: Recipient<ToSession>) {
        self.stops.all.borrow_mut().insert(id, SocketEntry { socket, session });
    }

    /// It has ended, perhaps by a panic before it served.
    pub fn remove(&self, id: SessionId) {
        self.stops.all.borrow_mut().remove(&id);
        if std::thread::panicking() {
            self.desk.call();
        }
    }

    /// Sends a frame from a session on this thread, which is to [`serve`](ThreadSockets::serve) soon.
    pub fn send(&self, line: &Outlet, frame: Frame) {
        if Arc::ptr_eq(&line.desk, &self.desk) {
            self.desk.parcels().push(line.parcel(Outbound::Frame(frame), false));
        } else {
            line.send(Outbound::Frame(frame));
        }
    }

    /// Does the courier's work, for a while. A session that reads and reads must not keep it from it.
    pub fn serve(&self) {
        if self.stops.serve(&self.desk) {
            self.desk.call();
        }
    }
}

/// The actor. What it does must not fail: all sockets of its thread are in its hands.
pub struct Writer {
    stops: Rc<SocketTable>,
    desk: Arc<OutboundQueue>,
}

impl Actor for Writer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.spawn(FlushLoop);
    }
}

impl Handler<Wake> for Writer {
    type Result = ();

    /// What it comes for is done after this.
    fn handle(&mut self, Wake: Wake, _: &mut Context<Self>) {}
}

/// Runs whenever the courier is woken.
struct FlushLoop;

impl ActorFuture<Writer> for FlushLoop {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        courier: &mut Writer,
        _: &mut Context<Writer>,
        cx: &mut task::Context<'_>,
    ) -> Poll<()> {
        if courier.stops.serve(&courier.desk) {
            // it wakes us when all others had their turn, and what comes from outside was looked at
            let _ = pin!(yield_now()).poll(cx);
        }
        Poll::Pending
    }
}
