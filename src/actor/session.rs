//! The actor of a session, which is one WebSocket: does what [`SessionState`] decides.
//!
//! A session reads what its client sends, passes it on to the page, and writes what its thread's
//! writer could not. The page judges whether the client lives, by the [`SessionCounters`].

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task;
use std::time::Duration;

use actix::fut::ActorFuture;
use actix::{Actor, ActorContext, AsyncContext, Context, Handler};
use actix_web::web::Bytes;
use tokio::time::{Instant, Sleep, sleep};

use super::directory_address::DirectoryAddress;
use super::message::{
    Outlet, PageAddress, RoutingTable, ThreadSockets, ToDirectory, ToPage, ToSession,
};
use crate::admission::ConnectionPermit;
use crate::clock::unix_ms;
use crate::shared::Shared;
use crate::transport::counters::SessionCounters;
use crate::transport::socket::{ClosedBy, Inflow, ReadState, Socket, hang_up};
use crate::transport::upgrade::Upgraded;
use peerstar_core::frame::reader::{Event, Opcode, ProtocolViolation};
use peerstar_core::page::Input;
use peerstar_core::page::member::JoinRequest;
use peerstar_core::protocol::close::Close;
use peerstar_core::protocol::id::PeerId;
use peerstar_core::protocol::incoming::{self, SignalKind};
use peerstar_core::protocol::outgoing::{self, Frame};
use peerstar_core::session::{
    Identity, JOIN_RETRY, Reaction, SessionEnv, SessionInput, SessionOutput, SessionState,
};
use peerstar_core::time::Time;

/// The actor of one WebSocket.
pub struct Session {
    state: SessionState<PageAddress>,
    shared: Arc<Shared>,
    directory: DirectoryAddress,
    counters: Arc<SessionCounters>,
    /// Empty after the last frame was queued.
    socket: Option<Rc<RefCell<Socket>>>,
    /// All sockets of this thread.
    sockets: ThreadSockets,
    /// Routing table of the page, once the session is a member.
    routing: Option<Arc<RoutingTable>>,
    alarm: Pin<Box<Sleep>>,
    alarm_at: Time,
    permit: Option<ConnectionPermit>,
}

thread_local! {
    /// Outputs of one step. Empty between steps; one for all sessions of a thread, for its memory.
    static OUTPUTS: Cell<Vec<SessionOutput<PageAddress>>> = const { Cell::new(Vec::new()) };
}

/// Starts the session of a client, on this thread.
pub fn start(
    identity: Identity,
    permit: ConnectionPermit,
    shared: &Arc<Shared>,
    directory: &DirectoryAddress,
    sockets: ThreadSockets,
    upgraded: Upgraded,
) {
    let (now, counters) = (shared.clock.now(), Arc::<SessionCounters>::default());
    let rules = Arc::clone(&shared.session_rules);
    let socket = Socket::new(upgraded, Arc::clone(&counters), &shared.settings, now);
    Session {
        state: SessionState::new(permit.session(), identity, permit.address(), rules, now),
        shared: Arc::clone(shared),
        directory: directory.clone(),
        counters,
        socket: Some(Rc::new(RefCell::new(socket))),
        sockets,
        routing: None,
        alarm: Box::pin(sleep(JOIN_RETRY)),
        alarm_at: now,
        permit: Some(permit),
    }
    .start();
}

/// Tells a client why it is refused, and closes the connection.
pub fn refuse(close: Close, farewell: Option<Frame>, shared: &Shared, upgraded: Upgraded) {
    shared.metrics.refused(close);
    let mut socket = Socket::new(upgraded, Arc::default(), &shared.settings, shared.clock.now());
    if let Some(farewell) = farewell {
        socket.answer(Opcode::Text, farewell.into_bytes());
    }
    socket.close(close);
    hang_up(Rc::new(RefCell::new(socket)), None, ClosedBy::Server);
}

impl Session {
    /// Hands one input to the state, and performs all outputs.
    fn step(&mut self, input: SessionInput<PageAddress>, ctx: &mut Context<Self>) {
        let (as_of, holds_handshake) = self.socket.as_ref().map_or((Time(0), false), |socket| {
            let socket = socket.borrow();
            (socket.as_of(), socket.holds_handshake())
        });
        let env = SessionEnv {
            now: self.shared.clock.now(),
            runs: &PageAddress::runs,
            announced: &|| self.routing.as_ref()?.host(),
            as_of,
            holds_handshake,
        };
        let mut outputs = OUTPUTS.take();
        self.state.handle(&env, input, &mut outputs);
        outputs.drain(..).for_each(|output| self.perform(output, ctx));
        OUTPUTS.set(outputs);
    }

    fn perform(&mut self, output: SessionOutput<PageAddress>, ctx: &mut Context<Self>) {
        match output {
            SessionOutput::Join(request) => {
                let (key, outlet) = (self.state.identity().key.clone(), self.outlet());
                self.report(ToDirectory::Join { key, request, outlet });
            }
            SessionOutput::Seek => {
                let (key, outlet) = (self.state.identity().key.clone(), self.outlet());
                self.report(ToDirectory::Seek { key, outlet });
            }
            SessionOutput::Resume { page, request } => self.resume(&page, request),
            SessionOutput::Forward(input) => self.send_to_page(input),
            SessionOutput::ForgetInFlight => self.counters.forget_in_flight(),
            SessionOutput::ReleaseHandshake => {
                if let Some(socket) = &self.socket {
                    socket.borrow_mut().release_handshake();
                }
            }
            SessionOutput::Ping => self.answer(Opcode::Ping, Bytes::new()),
            SessionOutput::RenewIce => {
                let ice = &self.shared.rules.ice;
                let servers = outgoing::ice(&ice.for_client(&self.state.identity().id, unix_ms()));
                self.answer(Opcode::Text, servers.into_bytes());
            }
            SessionOutput::Close { close, farewell, was_member } => {
                if was_member {
                    self.shared.metrics.closed(close);
                } else {
                    self.shared.metrics.refused(close);
                }
                if let Some(farewell) = farewell {
                    self.answer(Opcode::Text, farewell.into_bytes());
                }
                if let Some(socket) = &self.socket {
                    socket.borrow_mut().close(close);
                }
                self.hang_up(ClosedBy::Server, ctx);
            }
        }
    }

    fn outlet(&self) -> Outlet {
        self.sockets.outlet(self.state.session(), Arc::clone(&self.counters))
    }

    fn report(&self, message: ToDirectory) {
        self.directory.tell(message);
    }

    fn resume(&self, page: &PageAddress, request: Box<JoinRequest>) {
        page.send(ToPage::Join { request, outlet: self.outlet() });
    }

    fn send_to_page(&self, input: Input) {
        if let Some(page) = self.state.page() {
            if page.counts_messages() {
                self.counters.add_in_flight();
            }
            page.send(ToPage::FromClient { session: self.state.session(), input });
        }
    }

    /// Sends a message to the page, or keeps it until there is a page.
    fn forward(&mut self, input: Input) {
        if let Some(input) = self.state.forward(input, PageAddress::runs) {
            self.send_to_page(input);
        }
    }

    fn answer(&self, opcode: Opcode, body: impl Into<Bytes>) {
        if let Some(socket) = &self.socket {
            socket.borrow_mut().answer(opcode, body);
        }
    }

    /// Writes, reads and keeps time. Runs after whatever wakes this actor.
    fn poll(&mut self, ctx: &mut Context<Self>, cx: &mut task::Context<'_>) {
        loop {
            let now = self.shared.clock.now();
            if now >= self.state.next_tick() {
                self.step(SessionInput::Tick, ctx);
            }
            let Some(socket) = &self.socket else { return };
            let mut socket = socket.borrow_mut();
            // an error shows when the socket is read
            let _ = socket.poll_flush(cx);
            let inflow = if self.state.is_full() {
                Inflow::Nothing(None)
            } else {
                socket.poll_read(cx, now)
            };
            drop(socket);
            let tick_at = self.state.next_tick();
            let until = match inflow {
                Inflow::Bytes(bytes) => {
                    self.read(bytes, now, ctx);
                    continue;
                }
                Inflow::Nothing(until) => until.map_or(tick_at, |until| until.min(tick_at)),
                Inflow::End => return ctx.stop(),
            };
            if until != self.alarm_at {
                self.alarm_at = until;
                // the clock counts whole milliseconds: without one more the alarm may be early
                let delay = until.since(now) + Duration::from_millis(1);
                self.alarm.as_mut().reset(Instant::now() + delay);
            }
            if self.alarm.as_mut().poll(cx).is_pending() {
                return;
            }
            self.alarm_at = Time(u64::MAX);
        }
    }

    fn read(&mut self, mut bytes: Vec<u8>, now: Time, ctx: &mut Context<Self>) {
        let (mut at, mut frames) = (0, 0);
        while let Some(socket) = self.socket.as_ref().filter(|_| !self.state.is_full()) {
            let next = socket.borrow_mut().next(&mut bytes[at..], now);
            match next {
                Ok(Some((event, length))) => {
                    self.handle_event(event, now, ctx);
                    at += length;
                    frames += 1;
                }
                Ok(None) => break,
                Err(violation) => {
                    let close = match violation {
                        ProtocolViolation::TooBig => Close::TooBig,
                        ProtocolViolation::Malformed => Close::ProtocolError,
                        ProtocolViolation::NotText => Close::InvalidUtf8,
                        ProtocolViolation::Binary => Close::BinaryRefused,
                    };
                    self.step(SessionInput::Close { close, detail: None }, ctx);
                }
            }
        }
        let state = if self.state.is_full() { ReadState::Full } else { ReadState::Ready };
        if let Some(socket) = &self.socket {
            socket.borrow_mut().keep(bytes, at, frames, state, now);
        }
        self.sockets.flush();
    }

    fn handle_event(&mut self, event: Event<'_>, now: Time, ctx: &mut Context<Self>) {
        self.counters.set_heard(now);
        if let Some(alive) = self.state.sign_of_life() {
            self.forward(alive);
        }
        match event {
            Event::Text(text) => self.handle_text(&text, ctx),
            Event::Ping(body) => self.answer(Opcode::Pong, Bytes::copy_from_slice(body)),
            Event::Pong | Event::Fragment => {}
            Event::Close(code, body) => {
                self.step(SessionInput::ClientClosed(code), ctx);
                self.answer(Opcode::Close, Bytes::copy_from_slice(body));
                self.hang_up(ClosedBy::Client, ctx);
            }
        }
    }

    fn handle_text(&mut self, text: &str, ctx: &mut Context<Self>) {
        self.counters.add_text();
        let reaction = match incoming::read(&self.state.identity().id, text) {
            Ok(message) => {
                self.shared.metrics.said(&message);
                self.state.react(message)
            }
            Err(why) => Reaction::Close { close: Close::BadMessage, detail: Some(why.to_string()) },
        };
        match reaction {
            Reaction::ToPage(input) => self.forward(input),
            Reaction::Signal { kind, dst, frame } => self.signal(kind, dst, frame),
            Reaction::Answer(frame) => self.answer(Opcode::Text, frame.into_bytes()),
            Reaction::Ignore => {}
            Reaction::Close { close, detail } => {
                self.step(SessionInput::Close { close, detail }, ctx);
            }
        }
    }

    /// Passes a signalling message on: to its receiver's outlet if possible, else to the page.
    fn signal(&mut self, kind: SignalKind, dst: PeerId, frame: Frame) {
        let in_flight = self.counters.in_flight();
        let bypass = self.state.may_bypass_page(kind, in_flight, PageAddress::runs);
        let passed = match self.routing.as_ref().filter(|_| bypass) {
            Some(routing) => routing.pass(&dst, frame, &self.sockets),
            None => Err(frame),
        };
        if let Err(frame) = passed {
            let session = self.state.session();
            self.forward(Input::Forward { session, kind, dst, frame });
        }
    }

    fn hang_up(&mut self, by: ClosedBy, ctx: &mut Context<Self>) {
        // no frame may follow a close frame
        self.sockets.remove(self.state.session());
        if let Some(socket) = self.socket.take() {
            hang_up(socket, self.permit.take(), by);
        }
        ctx.stop();
    }
}

/// Runs for as long as the session does.
struct PollLoop;

impl ActorFuture<Session> for PollLoop {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        session: &mut Session,
        ctx: &mut Context<Session>,
        cx: &mut task::Context<'_>,
    ) -> task::Poll<()> {
        session.poll(ctx, cx);
        task::Poll::Pending
    }
}

impl Actor for Session {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.counters.set_heard(self.shared.clock.now());
        if let Some(socket) = &self.socket {
            let session = self.state.session();
            self.sockets.add(session, Rc::clone(socket), ctx.address().recipient());
        }
        self.step(SessionInput::Start, ctx);
        ctx.spawn(PollLoop);
    }

    /// Reports the departure. This is the only place that does, and it runs however the session
    /// ends. It must not panic.
    fn stopped(&mut self, _: &mut Context<Self>) {
        let (session, departure) = (self.state.session(), self.state.departure());
        self.sockets.remove(session);
        let key = self.state.identity().key.clone();
        self.report(ToDirectory::Gone { key, session, departure });
    }
}

impl Handler<ToSession> for Session {
    type Result = ();

    fn handle(&mut self, message: ToSession, ctx: &mut Context<Self>) {
        let input = match message {
            ToSession::Joined { page, routing, claim, open: _ } => {
                if !self.state.is_member() {
                    self.shared.metrics.joins.inc();
                }
                // The state still needs what the page's former actor announced.
                self.step(SessionInput::Joined { page, claim }, ctx);
                self.routing = Some(routing);
                return;
            }
            ToSession::Hosts(claim) => SessionInput::Hosts(claim),
            ToSession::Ping => SessionInput::Ping,
            ToSession::Close(close) => SessionInput::Close { close, detail: None },
            ToSession::PageLost(successor) => SessionInput::PageLost(successor),
        };
        self.step(input, ctx);
    }
}
