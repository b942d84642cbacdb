//! A session: one WebSocket, acting.
//!
//! It reads what its client says, passes it on to the page, and writes what its courier cannot. Others judge whether it lives: by
//! what it noted in its [`SessionCounters`].

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task;
use std::time::Duration;

use actix::fut::ActorFuture;
use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Recipient};
use actix_web::web::Bytes;
use tokio::time::{Instant, Sleep, sleep};

use super::directory::PageDirectory;
use super::message::{ToDirectory, ToPage, ToSession};
use super::routing_table::RoutingTable;
use super::writer::{Outlet, ThreadSockets};
use crate::admission::ConnectionPermit;
use crate::clock::unix_ms;
use crate::settings::ms;
use crate::shared::Shared;
use crate::transport::counters::SessionCounters;
use crate::transport::socket::{Inflow, Socket, hang_up};
use crate::transport::upgrade::Upgraded;
use peerstar_core::frame::reader::{Event, Opcode, ProtocolViolation};
use peerstar_core::page::Input;
use peerstar_core::page::member::{Departure, JoinRequest, Rights, Status};
use peerstar_core::protocol::claim::Claim;
use peerstar_core::protocol::close::Close;
use peerstar_core::protocol::id::{PageKey, PeerId, SessionId, Token};
use peerstar_core::protocol::incoming::{self, Inbound, SignalKind};
use peerstar_core::protocol::outgoing::{self, Frame};
use peerstar_core::time::Time;

/// How long the answer to the handshake waits for the page's word, to go out with it.
const WELCOME_WITHIN: Duration = Duration::from_millis(250);
/// How long to wait for the page's word before asking again: it may have died with our question in its mailbox.
const ASK_AGAIN: Duration = Duration::from_secs(4);
/// The same for a member, which is missed.
const SEEK_AGAIN: Duration = Duration::from_millis(500);
/// How much of what the client says is kept while there is no page.
const MOST_EARLY: usize = 32;

/// Who a client says it is, checked.
#[derive(Debug)]
pub struct Identity {
    /// Where it wants to be.
    pub key: PageKey,
    /// Its id.
    pub id: PeerId,
    /// Its proof for the next time.
    pub token: Option<Token>,
    /// The version of the group protocol it speaks; 0 for a stock client.
    pub group: u32,
    /// What it may do.
    pub rights: Rights,
    /// What it was last told.
    pub claim: Option<Claim>,
}

/// The actor of one WebSocket.
pub struct Session {
    session: SessionId,
    me: Identity,
    shared: Arc<Shared>,
    directory: Addr<PageDirectory>,
    pulse: Arc<SessionCounters>,
    /// None when the last was said.
    socket: Option<Rc<RefCell<Socket>>>,
    /// That of this thread's courier.
    round: ThreadSockets,
    /// None until the page let us in, and between the death of its actor and our word to the next.
    page: Option<Recipient<ToPage>>,
    switchboard: Option<Arc<RoutingTable>>,
    /// Who hosts, as we were told by ourselves and not with all others.
    told: Option<Claim>,
    is_member: bool,
    /// The successor to which we have said who we are. It may be named to us twice.
    resumed_at: Option<Recipient<ToPage>>,
    /// What the client said meanwhile.
    early: Vec<Input>,
    /// What we tell a page whose actor died.
    status: Status,
    /// The page wants to know when the client says something.
    owes_sign_of_life: bool,
    /// When to look after things, and when to tell fresh ICE servers.
    tick_at: Time,
    ice_at: Option<Time>,
    alarm: Pin<Box<Sleep>>,
    alarm_at: Time,
    departure: Departure,
    place: Option<ConnectionPermit>,
}

/// Starts the session of a client, on this thread.
pub fn start(
    me: Identity,
    place: ConnectionPermit,
    shared: &Arc<Shared>,
    directory: &Addr<PageDirectory>,
    round: ThreadSockets,
    upgraded: Upgraded,
) {
    let (now, pulse) = (shared.clock.now(), Arc::<SessionCounters>::default());
    let renewed = shared.rules.ice.renewed_every().filter(|_| matches!(me.key, PageKey::Named(_)));
    Session {
        session: shared.next_session(),
        me,
        shared: Arc::clone(shared),
        directory: directory.clone(),
        socket: Some(Rc::new(RefCell::new(Socket::new(upgraded, Arc::clone(&pulse), shared)))),
        round,
        pulse,
        page: None,
        switchboard: None,
        told: None,
        is_member: false,
        resumed_at: None,
        early: Vec::new(),
        status: Status::default(),
        owes_sign_of_life: false,
        tick_at: now,
        ice_at: renewed.map(|every| now.plus(every)),
        alarm: Box::pin(sleep(ASK_AGAIN)),
        alarm_at: now,
        departure: Departure::Lost,
        place: Some(place),
    }
    .start();
}

/// Tells a client why it may not stay.
pub fn refuse(close: Close, words: Option<Frame>, shared: &Shared, upgraded: Upgraded) {
    shared.metrics.refused(close);
    let mut socket = Socket::new(upgraded, Arc::default(), shared);
    if let Some(words) = words {
        socket.answer(Opcode::Text, words.into_bytes());
    }
    socket.close(close);
    hang_up(Rc::new(RefCell::new(socket)), None, false);
}

impl Session {
    fn join(&self) {
        let joiner = self.joiner(self.me.claim.clone(), None);
        self.report(ToDirectory::Join { key: self.me.key.clone(), joiner, line: self.line() });
    }

    /// To a page whose actor is new: we were a member, and this is what we know.
    fn resume(&self) -> ToPage {
        ToPage::Join {
            joiner: self.joiner(self.told(), Some(self.status.clone())),
            line: self.line(),
        }
    }

    fn joiner(&self, claim: Option<Claim>, resumed: Option<Status>) -> Box<JoinRequest> {
        let Identity { id, token, group, rights, .. } = &self.me;
        let (id, token) = (id.clone(), token.clone());
        let address = self.place.as_ref().and_then(ConnectionPermit::address);
        Box::new(JoinRequest {
            session: self.session,
            id,
            token,
            group: *group,
            rights: *rights,
            address,
            claim,
            resumed,
        })
    }

    /// Who hosts, as our client was last told.
    fn told(&self) -> Option<Claim> {
        let since = self.switchboard.as_ref().and_then(|switchboard| switchboard.host());
        self.told.iter().cloned().chain(since).max_by_key(|claim| claim.epoch)
    }

    fn line(&self) -> Outlet {
        self.round.line(self.session, Arc::clone(&self.pulse))
    }

    #[expect(clippy::disallowed_methods, reason = "the directory does little, and never waits")]
    fn report(&self, message: ToDirectory) {
        self.directory.do_send(message);
    }

    fn has_page(&self) -> bool {
        self.page.as_ref().is_some_and(Recipient::connected)
    }

    /// To the page, or kept until there is one.
    #[expect(clippy::disallowed_methods, reason = "the socket bounds how fast we can send")]
    fn say(&mut self, input: Input) {
        match self.page.as_ref().filter(|page| page.connected()) {
            Some(page) => {
                self.pulse.send();
                page.do_send(ToPage::Said { session: self.session, input });
            }
            None => self.early.push(input),
        }
    }

    fn answer(&self, opcode: Opcode, body: impl Into<Bytes>) {
        if let Some(socket) = &self.socket {
            socket.borrow_mut().answer(opcode, body);
        }
    }

    /// Writes what there is to be said, hears what has come, and keeps time. Runs after whatever wakes this actor.
    fn attend(&mut self, ctx: &mut Context<Self>, cx: &mut task::Context<'_>) {
        loop {
            let now = self.shared.clock.now();
            if now >= self.tick_at {
                self.tick(now);
            }
            let Some(socket) = &self.socket else { return };
            let mut socket = socket.borrow_mut();
            // one that fails says so when it is read
            let _ = socket.poll_flush(cx);
            let inflow = if self.early.len() < MOST_EARLY {
                socket.poll_read(cx, now)
            } else {
                Inflow::Nothing(None)
            };
            drop(socket);
            let until = match inflow {
                Inflow::Bytes(bytes) => {
                    self.read(bytes, now, ctx);
                    continue;
                }
                Inflow::Nothing(until) => {
                    until.map_or(self.tick_at, |until| until.min(self.tick_at))
                }
                Inflow::End => return ctx.stop(),
            };
            if until != self.alarm_at {
                self.alarm_at = until;
                // a part of a millisecond early would be too early
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
        while let Some(socket) = self.socket.as_ref().filter(|_| self.early.len() < MOST_EARLY) {
            let next = socket.borrow_mut().next(&mut bytes[at..], now);
            match next {
                Ok(Some((event, length))) => {
                    self.hear(event, now, ctx);
                    at += length;
                    frames += 1;
                }
                Ok(None) => break,
                Err(breach) => self.close_with(
                    match breach {
                        ProtocolViolation::TooBig => Close::TooBig,
                        ProtocolViolation::Malformed => Close::ProtocolError,
                        ProtocolViolation::NotText => Close::InvalidUtf8,
                        ProtocolViolation::Binary => Close::BinaryRefused,
                    },
                    ctx,
                ),
            }
        }
        let held = self.early.len() >= MOST_EARLY;
        if let Some(socket) = &self.socket {
            socket.borrow_mut().keep(bytes, at, frames, held, now);
        }
        self.round.serve();
    }

    fn hear(&mut self, event: Event<'_>, now: Time, ctx: &mut Context<Self>) {
        self.pulse.beat(now);
        if std::mem::take(&mut self.owes_sign_of_life) {
            self.say(Input::Alive(self.session));
        }
        match event {
            Event::Text(text) => self.text(&text, ctx),
            Event::Ping(body) => self.answer(Opcode::Pong, Bytes::copy_from_slice(body)),
            Event::Pong | Event::Fragment => {}
            Event::Close(code, body) => {
                self.departure = match code {
                    None => Departure::Disconnected,
                    Some(1000) => Departure::Goodbye,
                    Some(1001) => Departure::GoingAway,
                    // an application's own codes may mean anything, such as: I dial again
                    Some(_) => Departure::Lost,
                };
                self.answer(Opcode::Close, Bytes::copy_from_slice(body));
                self.hang_up(true, ctx);
            }
        }
    }

    fn text(&mut self, text: &str, ctx: &mut Context<Self>) {
        self.pulse.speak();
        let session = self.session;
        let message = incoming::read(&self.me.id, text);
        if let Ok(message) = &message {
            self.shared.metrics.said(message);
        }
        match message {
            Ok(Inbound::Heartbeat) if self.me.group > 0 => {
                self.answer(Opcode::Text, outgoing::heartbeat().into_bytes())
            }
            Ok(Inbound::Heartbeat | Inbound::Probed | Inbound::Ignored) => {}
            Ok(Inbound::Relay { frame, .. })
                if frame.len() > self.shared.settings.relay.max_message_bytes =>
            {
                let why = format!(
                    "RELAY is longer than {} bytes",
                    self.shared.settings.relay.max_message_bytes
                );
                self.close(Close::TooBig, outgoing::farewell(Close::TooBig, Some(&why)), ctx);
            }
            Ok(Inbound::Relay { dst, frame }) => self.say(Input::Relay { session, dst, frame }),
            Ok(Inbound::Suspect(suspicion)) => self.say(Input::Suspect { session, suspicion }),
            Ok(Inbound::Trust(suspicion)) => self.say(Input::Trust { session, suspicion }),
            Ok(Inbound::Resign { epoch, to }) => self.say(Input::Resign { session, epoch, to }),
            Ok(Inbound::Forward { kind, dst, frame }) => self.forward(kind, dst, frame),
            Ok(Inbound::Status(update)) => {
                self.status.update(update.clone());
                self.say(Input::Status { session, update });
            }
            Ok(Inbound::Unreachable(answer)) => self.answer(Opcode::Text, answer.into_bytes()),
            Ok(Inbound::Goodbye) => self.close(Close::Left, None, ctx),
            Err(why) => self.close(
                Close::BadMessage,
                outgoing::farewell(Close::BadMessage, Some(&why.to_string())),
                ctx,
            ),
        }
    }

    /// To the receiver itself, if the page need not know; but not past what is still on its way to the page.
    fn forward(&mut self, kind: SignalKind, dst: PeerId, frame: Frame) {
        let may = !kind.makes_contact() && self.pulse.under_way() == 0 && self.has_page();
        let passed = match self.switchboard.as_ref().filter(|_| may) {
            Some(switchboard) => switchboard.pass(&dst, frame, &self.round),
            None => Err(frame),
        };
        if let Err(frame) = passed {
            self.say(Input::Forward { session: self.session, kind, dst, frame });
        }
    }

    fn close_with(&mut self, close: Close, ctx: &mut Context<Self>) {
        self.close(close, outgoing::farewell(close, None), ctx);
    }

    fn close(&mut self, close: Close, last_words: Option<Frame>, ctx: &mut Context<Self>) {
        let Some(socket) = &self.socket else { return };
        let metrics = &self.shared.metrics;
        if self.is_member {
            metrics.closed(close)
        } else {
            metrics.refused(close)
        }
        self.departure = if close == Close::Left {
            Departure::Goodbye
        } else if close.retry() {
            Departure::Lost
        } else {
            Departure::Expelled
        };
        let mut socket = socket.borrow_mut();
        if let Some(words) = last_words {
            socket.answer(Opcode::Text, words.into_bytes());
        }
        socket.close(close);
        drop(socket);
        self.hang_up(false, ctx);
    }

    fn hang_up(&mut self, is_last: bool, ctx: &mut Context<Self>) {
        // nothing comes after a close frame
        self.round.remove(self.session);
        if let Some(socket) = self.socket.take() {
            hang_up(socket, self.place.take(), is_last);
        }
        ctx.stop();
    }

    /// Pings a client that has been silent for a while, or is read so slowly that it may be gone: if so, the kernel finds
    /// out by what it is sent. A page that takes long to answer keeps no handshake waiting; later it is asked again.
    fn tick(&mut self, now: Time) {
        if !self.is_member {
            if !self.socket.as_ref().is_some_and(|socket| socket.borrow_mut().welcome()) {
                self.join();
            }
        } else if !self.has_page() {
            self.report(ToDirectory::Seek { key: self.me.key.clone(), line: self.line() });
        } else if now >= self.as_of().plus(self.ping_interval()) {
            self.answer(Opcode::Ping, Bytes::new());
        }
        if let (Some(at), Some(every)) = (self.ice_at, self.shared.rules.ice.renewed_every())
            && now >= at
        {
            self.ice_at = Some(now.plus(every));
            let fresh = outgoing::ice(&self.shared.rules.ice.for_client(&self.me.id, unix_ms()));
            self.answer(Opcode::Text, fresh.into_bytes());
        }
        self.rearm(now);
    }

    fn as_of(&self) -> Time {
        self.socket.as_ref().map_or(Time(0), |socket| socket.borrow().as_of())
    }

    fn rearm(&mut self, now: Time) {
        let interval = self.ping_interval();
        let due = self.as_of().plus(interval);
        let next = match (self.has_page(), self.is_member) {
            (false, true) => now.plus(SEEK_AGAIN),
            (false, false) => now.plus(ASK_AGAIN),
            (true, _) if due <= now => now.plus(interval),
            (true, _) => due,
        };
        self.tick_at = self.ice_at.map_or(next, |at| at.min(next));
    }

    fn ping_interval(&self) -> Duration {
        let liveness = &self.shared.settings.liveness;
        let hosting = self.told().is_some_and(|claim| claim.host == self.me.id);
        ms(if hosting {
            liveness.ping_ms.min(liveness.host_timeout_ms / 3)
        } else {
            liveness.ping_ms
        })
    }

    fn joined(&mut self, page: Recipient<ToPage>) {
        if !self.is_member {
            self.shared.metrics.joins.inc();
        }
        self.page = Some(page);
        self.is_member = true;
        let early = std::mem::take(&mut self.early);
        early.into_iter().for_each(|input| self.say(input));
    }
}

/// The one thing that goes on for as long as the session does.
struct Attend;

impl ActorFuture<Session> for Attend {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        session: &mut Session,
        ctx: &mut Context<Session>,
        cx: &mut task::Context<'_>,
    ) -> task::Poll<()> {
        session.attend(ctx, cx);
        task::Poll::Pending
    }
}

impl Actor for Session {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let now = self.shared.clock.now();
        self.pulse.beat(now);
        if let Some(socket) = &self.socket {
            self.round.add(self.session, Rc::clone(socket), ctx.address().recipient());
        }
        self.join();
        self.tick_at = now.plus(WELCOME_WITHIN);
        ctx.spawn(Attend);
    }

    /// The one place where a departure is announced; it runs on every way to end. It must not panic.
    fn stopped(&mut self, _: &mut Context<Self>) {
        self.round.remove(self.session);
        let (key, session, departure) = (self.me.key.clone(), self.session, self.departure);
        self.report(ToDirectory::Gone { key, session, departure });
    }
}

impl Handler<ToSession> for Session {
    type Result = ();

    fn handle(&mut self, message: ToSession, ctx: &mut Context<Self>) {
        match message {
            ToSession::Joined { page, switchboard, told } => {
                self.told = told.or_else(|| self.told());
                self.switchboard = Some(switchboard);
                self.joined(page);
                self.rearm(self.shared.clock.now());
            }
            // a host is watched more closely: it may have been silent for too long already
            ToSession::Hosts(claim) => {
                self.told = Some(claim);
                self.tick_at = self.shared.clock.now();
            }
            ToSession::Ping => {
                // one that is under way is enough
                if !std::mem::replace(&mut self.owes_sign_of_life, true) {
                    self.answer(Opcode::Ping, Bytes::new());
                }
            }
            ToSession::Close(close) => self.close_with(close, ctx),
            ToSession::PageLost(None) => self.close_with(Close::Internal, ctx),
            ToSession::PageLost(Some(page)) => self.page_lost(page),
        }
    }
}

impl Session {
    #[expect(clippy::disallowed_methods, reason = "one message")]
    fn page_lost(&mut self, page: Recipient<ToPage>) {
        if self.is_member {
            if self.resumed_at.as_ref() == Some(&page) {
                return;
            }
            self.resumed_at = Some(page.clone());
            self.page = None;
            self.pulse.forget_under_way();
            page.do_send(self.resume());
            self.rearm(self.shared.clock.now());
        } else {
            self.join();
        }
    }
}
