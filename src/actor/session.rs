//! A session: one WebSocket, acting. The only file that knows actix-web-actors.
//!
//! It reads what its client says, passes it on to the page, and writes what it is told to. A client that stops reading
//! stops this actor altogether (its output is the response body), which is why others judge whether it lives.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::{Actor, ActorContext, Addr, AsyncContext, Handler, Recipient, SpawnHandle, StreamHandler};
use actix_http::ws::Item;
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws::{CloseCode, CloseReason, Message, ProtocolError, WebsocketContext, WsResponseBuilder};

use super::directory::PageDirectory;
use super::message::{Line, Pulse, ToDirectory, ToPage, ToSession};
use crate::clock::unix_ms;
use crate::core::claim::Claim;
use crate::core::close::Close;
use crate::core::frame_guard::Breach;
use crate::core::id::{PageKey, PeerId, SessionId, Token};
use crate::core::inbound::{self, Inbound};
use crate::core::member::{Departure, Joiner, Rights, Status};
use crate::core::page::{Assignment, Input};
use crate::core::reassembly::{Broken, Reassembly};
use crate::core::wire::{self, Frame};
use crate::edge::guard::{InboundGuard, Inflow};
use crate::settings::ms;
use crate::shared::{Place, Shared};

type Context = WebsocketContext<Session>;

/// How long to wait for the page's word before asking again: it may have died with our question in its mailbox.
const ASK_AGAIN: Duration = Duration::from_secs(4);
/// The same for a member, which is missed.
const SEEK_AGAIN: Duration = Duration::from_millis(500);

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
    pulse: Arc<Pulse>,
    inflow: Rc<Inflow>,
    fragments: Reassembly,
    /// None until the page let us in, and between the death of its actor and our word to the next.
    page: Option<Recipient<ToPage>>,
    is_member: bool,
    /// The successor to which we have said who we are. It may be named to us twice.
    resumed_at: Option<Recipient<ToPage>>,
    /// What the client said meanwhile. The guard lets few through.
    early: Vec<Input>,
    /// What we tell a page whose actor died.
    status: Status,
    assignment: Option<Assignment>,
    /// The page wants to know when the client says something.
    owes_sign_of_life: bool,
    timer: Option<SpawnHandle>,
    /// Nothing is read or said any more.
    closing: bool,
    departure: Departure,
    _place: Place,
}

/// Answers a WebSocket handshake with a session.
///
/// # Errors
/// When the request is no proper handshake (RFC 6455, 4.2.1).
pub fn start(
    me: Identity,
    place: Place,
    shared: &Arc<Shared>,
    directory: &Addr<PageDirectory>,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, actix_web::Error> {
    let inflow = Rc::new(Inflow::new(shared.clock.now()));
    let session = Session {
        session: shared.next_session(),
        me,
        shared: Arc::clone(shared),
        directory: directory.clone(),
        pulse: Arc::default(),
        inflow: Rc::clone(&inflow),
        fragments: Reassembly::default(),
        page: None,
        is_member: false,
        resumed_at: None,
        early: Vec::new(),
        status: Status::default(),
        assignment: None,
        owes_sign_of_life: false,
        timer: None,
        closing: false,
        departure: Departure::Lost,
        _place: place,
    };
    let limits = &shared.settings.limits;
    let guard = InboundGuard::new(payload, inflow, Arc::clone(&session.pulse), shared);
    WsResponseBuilder::new(session, request, guard).frame_size(limits.message_bytes).start()
}

/// Answers a WebSocket handshake with a reason and a close, which is how a browser gets to know the reason.
///
/// # Errors
/// When the request is no proper handshake.
pub fn refuse(
    close: Close,
    words: Frame,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, actix_web::Error> {
    WsResponseBuilder::new(Refusal { close, words }, request, payload).start()
}

fn reason(close: Close) -> CloseReason {
    CloseReason { code: CloseCode::from(close.code()), description: Some(close.name().to_owned()) }
}

impl Session {
    fn join(&self, ctx: &Context) {
        let joiner = self.joiner(self.me.claim.clone(), None);
        self.report(ToDirectory::Join { key: self.me.key.clone(), joiner, line: self.line(ctx) });
    }

    /// To a page whose actor is new: we were a member, and this is what we know.
    fn resume(&self, ctx: &Context) -> ToPage {
        let claim = self.assignment.as_ref().map(|a| Claim { epoch: a.epoch, host: a.host.clone() });
        ToPage::Join { joiner: self.joiner(claim, Some(self.status.clone())), line: self.line(ctx) }
    }

    fn joiner(&self, claim: Option<Claim>, resumed: Option<Status>) -> Box<Joiner> {
        let Identity { id, token, group, rights, .. } = &self.me;
        let (id, token) = (id.clone(), token.clone());
        Box::new(Joiner { session: self.session, id, token, group: *group, rights: *rights, claim, resumed })
    }

    fn line(&self, ctx: &Context) -> Line {
        Line::new(self.session, Arc::clone(&self.pulse), ctx.address().recipient())
    }

    #[expect(clippy::disallowed_methods, reason = "the directory does little, and never waits")]
    fn report(&self, message: ToDirectory) {
        self.directory.do_send(message);
    }

    fn has_page(&self) -> bool {
        self.page.as_ref().is_some_and(Recipient::connected)
    }

    /// To the page, or kept until there is one.
    #[expect(clippy::disallowed_methods, reason = "the guard bounds how fast we can send")]
    fn say(&mut self, input: Input) {
        match self.page.as_ref().filter(|page| page.connected()) {
            Some(page) => {
                self.pulse.send();
                page.do_send(ToPage::Said { session: self.session, input });
            }
            None => self.early.push(input),
        }
    }

    fn heard(&mut self) {
        self.pulse.beat(self.shared.clock.now());
        if std::mem::take(&mut self.owes_sign_of_life) {
            self.say(Input::Alive(self.session));
        }
    }

    fn text(&mut self, text: &str, ctx: &mut Context) {
        self.pulse.speak();
        let session = self.session;
        match inbound::read(&self.me.id, text) {
            Ok(Inbound::Heartbeat) if self.me.group > 0 => ctx.text(wire::heartbeat()),
            Ok(Inbound::Heartbeat | Inbound::Probed) => {}
            Ok(Inbound::Relay { frame, .. }) if frame.len() > self.shared.settings.relay.max_message_bytes => {
                let why = format!("RELAY is longer than {} bytes", self.shared.settings.relay.max_message_bytes);
                self.close(Close::TooBig, Close::TooBig.farewell(Some(&why)), ctx);
            }
            Ok(Inbound::Relay { dst, frame }) => self.say(Input::Relay { session, dst, frame }),
            Ok(Inbound::Suspect(suspicion)) => self.say(Input::Suspect { session, suspicion }),
            Ok(Inbound::Resign { epoch, to }) => self.say(Input::Resign { session, epoch, to }),
            Ok(Inbound::Forward { kind, dst, frame }) => self.say(Input::Forward { session, kind, dst, frame }),
            Ok(Inbound::Status(update)) => {
                self.status.update(update.clone());
                self.say(Input::Status { session, update });
            }
            Ok(Inbound::Unreachable(answer)) => ctx.text(answer),
            Ok(Inbound::Goodbye) => self.close(Close::Left, None, ctx),
            Ok(Inbound::Ignored) => {
                self.shared.counters.ignored.fetch_add(1, Ordering::Relaxed);
            }
            Err(why) => self.close(Close::BadMessage, Close::BadMessage.farewell(Some(&why)), ctx),
        }
    }

    fn fragment(&mut self, item: Item, ctx: &mut Context) {
        let limit = self.shared.settings.limits.message_bytes;
        let text = match item {
            Item::FirstText(bytes) => self.fragments.first(&bytes, limit).map(|()| None),
            Item::Continue(bytes) => self.fragments.more(&bytes, limit).map(|()| None),
            Item::Last(bytes) => self.fragments.last(&bytes, limit).map(Some),
            Item::FirstBinary(_) => return self.close_with(Close::BinaryRefused, ctx),
        };
        match text {
            Ok(Some(text)) => self.text(&text, ctx),
            Ok(None) => {}
            Err(Broken::OutOfOrder) => self.close_with(Close::ProtocolError, ctx),
            Err(Broken::NotText) => self.close_with(Close::InvalidUtf8, ctx),
            Err(Broken::TooBig) => self.close_with(Close::TooBig, ctx),
        }
    }

    fn close_with(&mut self, close: Close, ctx: &mut Context) {
        self.close(close, close.farewell(None), ctx);
    }

    fn close(&mut self, close: Close, last_words: Option<Frame>, ctx: &mut Context) {
        if std::mem::replace(&mut self.closing, true) {
            return;
        }
        self.departure = if close == Close::Left {
            Departure::Goodbye
        } else if close.retry() {
            Departure::Lost
        } else {
            Departure::Expelled
        };
        if let Some(words) = last_words {
            ctx.text(words);
        }
        ctx.close(Some(reason(close)));
        ctx.stop();
    }

    /// Pings a client that has been silent for a while, or is read so slowly that it may be gone: if so, the kernel finds
    /// out by what it is sent. Asks again for a page that has not answered.
    fn tick(&mut self, ctx: &mut Context) {
        if !self.is_member {
            self.join(ctx);
        } else if !self.has_page() {
            self.report(ToDirectory::Seek { key: self.me.key.clone(), line: self.line(ctx) });
        } else if self.shared.clock.now() >= self.inflow.as_of().plus(self.ping_interval()) {
            ctx.ping(b"");
        }
        self.rearm(ctx);
    }

    fn rearm(&mut self, ctx: &mut Context) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let interval = self.ping_interval();
        let now = self.shared.clock.now();
        let due = self.inflow.as_of().plus(interval).since(now);
        let delay = match (self.has_page(), self.is_member) {
            (false, true) => SEEK_AGAIN,
            (false, false) => ASK_AGAIN,
            (true, _) if due.is_zero() => interval,
            (true, _) => due,
        };
        self.timer = Some(ctx.run_later(delay, Self::tick));
    }

    fn ping_interval(&self) -> Duration {
        let liveness = &self.shared.settings.liveness;
        let hosting = self.assignment.as_ref().is_some_and(|a| a.hosting);
        ms(if hosting { liveness.ping_ms.min(liveness.host_timeout_ms / 3) } else { liveness.ping_ms })
    }

    fn joined(&mut self, page: Recipient<ToPage>) {
        self.page = Some(page);
        self.is_member = true;
        let early = std::mem::take(&mut self.early);
        self.inflow.seen(early.len());
        early.into_iter().for_each(|input| self.say(input));
    }
}

impl Actor for Session {
    type Context = Context;

    fn started(&mut self, ctx: &mut Context) {
        self.pulse.beat(self.shared.clock.now());
        self.join(ctx);
        self.rearm(ctx);
        if let (PageKey::Named(_), Some(every)) = (&self.me.key, self.shared.rules.ice.renewed_every()) {
            ctx.run_interval(every, |session, ctx| {
                ctx.text(wire::ice(&session.shared.rules.ice.for_client(&session.me.id, unix_ms())));
            });
        }
    }

    /// The one place where a departure is announced; it runs on every way to end. It must not panic.
    fn stopped(&mut self, _: &mut Context) {
        let (key, session, departure) = (self.me.key.clone(), self.session, self.departure);
        self.report(ToDirectory::Gone { key, session, departure });
    }
}

impl StreamHandler<Result<Message, ProtocolError>> for Session {
    fn handle(&mut self, message: Result<Message, ProtocolError>, ctx: &mut Context) {
        if self.closing {
            return;
        }
        let kept = self.early.len();
        self.heard();
        match message {
            Ok(Message::Text(text)) => self.text(&text, ctx),
            Ok(Message::Ping(payload)) => ctx.pong(&payload),
            Ok(Message::Pong(_) | Message::Nop) => {}
            Ok(Message::Continuation(item)) => self.fragment(item, ctx),
            Ok(Message::Binary(_)) => self.close_with(Close::BinaryRefused, ctx),
            Ok(Message::Close(reason)) => {
                self.closing = true;
                self.departure = match &reason {
                    None => Departure::Disconnected,
                    Some(said) if matches!(said.code, CloseCode::Normal | CloseCode::Away) => Departure::Goodbye,
                    // an application's own codes may mean anything, such as: I dial again
                    Some(_) => Departure::Lost,
                };
                ctx.close(reason);
                ctx.stop();
            }
            // the guard lets no I/O error through: this one says that text was not UTF-8
            Err(ProtocolError::Io(_)) => self.close_with(Close::InvalidUtf8, ctx),
            Err(ProtocolError::Overflow) => self.close_with(Close::TooBig, ctx),
            Err(_) => self.close_with(Close::ProtocolError, ctx),
        }
        // the guard may hand over the next, unless we had to keep this one
        if self.early.len() == kept {
            self.inflow.seen(1);
        }
    }

    /// No more comes in: the socket is gone, or the guard saw enough.
    fn finished(&mut self, ctx: &mut Context) {
        match self.inflow.breach() {
            Some(Breach::TooBig) => self.close_with(Close::TooBig, ctx),
            Some(Breach::Malformed) => self.close_with(Close::ProtocolError, ctx),
            None => ctx.stop(),
        }
    }
}

impl Handler<ToSession> for Session {
    type Result = ();

    fn handle(&mut self, message: ToSession, ctx: &mut Context) {
        self.pulse.took(&message);
        if self.closing {
            return;
        }
        match message {
            ToSession::Tell(frame) => ctx.text(frame),
            ToSession::Appoint { frame, assignment } => {
                ctx.text(frame);
                self.assignment = Some(assignment);
                // a host is watched more closely: it may have been silent for too long already
                self.tick(ctx);
            }
            ToSession::Joined { page, open, assignment } => {
                if let Some(open) = open {
                    ctx.text(open);
                }
                self.joined(page);
                self.assignment = assignment;
                self.rearm(ctx);
            }
            ToSession::Ping => {
                self.owes_sign_of_life = true;
                ctx.ping(b"");
            }
            ToSession::Close(close) => self.close_with(close, ctx),
            ToSession::PageLost(None) => self.close_with(Close::Internal, ctx),
            ToSession::PageLost(Some(page)) => self.page_lost(page, ctx),
        }
    }
}

impl Session {
    #[expect(clippy::disallowed_methods, reason = "one message")]
    fn page_lost(&mut self, page: Recipient<ToPage>, ctx: &mut Context) {
        if self.is_member {
            if self.resumed_at.as_ref() == Some(&page) {
                return;
            }
            self.resumed_at = Some(page.clone());
            self.page = None;
            self.pulse.forget_under_way();
            page.do_send(self.resume(ctx));
            self.rearm(ctx);
        } else {
            self.join(ctx);
        }
    }
}

/// A WebSocket that is told why it may not stay.
struct Refusal {
    close: Close,
    words: Frame,
}

impl Actor for Refusal {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.text(self.words.clone());
        ctx.close(Some(reason(self.close)));
        ctx.stop();
    }
}

impl StreamHandler<Result<Message, ProtocolError>> for Refusal {
    fn handle(&mut self, _: Result<Message, ProtocolError>, _: &mut Self::Context) {}
}
