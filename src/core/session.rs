//! One session, the server's side of one WebSocket: joining, resuming, seeking its page, pinging,
//! closing.
//!
//! [`SessionState`] decides, and the session's actor acts. `P` is the address of a page, which is
//! compared here and not used.

use core::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::page::Input;
use crate::page::member::{Departure, JoinRequest, Rights, Status, Way};
use crate::protocol::claim::Claim;
use crate::protocol::close::Close;
use crate::protocol::id::{Capabilities, PageKey, PeerId, SessionId, Token};
use crate::protocol::incoming::{Inbound, SignalKind};
use crate::protocol::outgoing::{self, Frame};
use crate::time::Time;

/// Time for which the answer to the handshake waits for the page's `OPEN`, to be written with it.
pub const OPEN_WITHIN: Duration = Duration::from_millis(250);
/// Interval at which a session that is no member yet asks to join again: the page's actor may have
/// died with the request in its mailbox.
pub const JOIN_RETRY: Duration = Duration::from_secs(4);
/// Interval at which a member without a page asks where its page is. It is shorter, because the
/// other members miss the member.
pub const SEEK_RETRY: Duration = Duration::from_millis(500);
/// Number of messages kept for the page at which the session stops reading.
pub const MAX_EARLY: usize = 32;

/// Identity of a client, after the check of its handshake.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The page that the client wants to join.
    pub key: PageKey,
    /// Id of the client.
    pub id: PeerId,
    /// Proof that the id is the client's own, when it returns.
    pub token: Option<Token>,
    /// Version of the group protocol that the client speaks; 0 for a stock client.
    pub group: u32,
    /// Capabilities of the client beyond that version.
    pub can: Capabilities,
    /// Rights that the operator grants the client.
    pub rights: Rights,
    /// The host that the client says it was last told of.
    pub claim: Option<Claim>,
}

/// The settings as sessions need them.
#[derive(Debug, Clone)]
pub struct SessionRules {
    /// Time of silence after which a client is pinged.
    pub ping: Duration,
    /// Time of silence after which a host is pinged.
    pub host_ping: Duration,
    /// Interval at which members of a page are sent new ICE servers, if those expire.
    pub ice_renewal: Option<Duration>,
    /// Longest `RELAY`, in bytes.
    pub max_relay_bytes: usize,
}

/// Surroundings of a step: facts that a session cannot know by itself.
pub struct SessionEnv<'a, P> {
    /// The time of the step.
    pub now: Time,
    /// Returns whether the actor at an address runs.
    pub runs: &'a dyn Fn(&P) -> bool,
    /// Returns the host that the page last announced to all members.
    pub announced: &'a dyn Fn() -> Option<Claim>,
    /// Earliest time at which the bytes that were read last can have arrived.
    pub as_of: Time,
    /// Whether the answer to the handshake is not written yet.
    pub holds_handshake: bool,
}

impl<P> std::fmt::Debug for SessionEnv<'_, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionEnv").field("now", &self.now).finish_non_exhaustive()
    }
}

/// An event that a session reacts to.
#[derive(Debug, Clone)]
pub enum SessionInput<P> {
    /// The actor of the session has started.
    Start,
    /// A page has let the session in.
    Joined {
        /// Address of the page.
        page: P,
        /// The host that the client is told of in `OPEN`. A session that resumes is told nothing.
        claim: Option<Claim>,
    },
    /// The client was told that it hosts.
    Hosts(Claim),
    /// The page wants to know whether the client lives.
    Ping,
    /// The page's actor has died. The address is that of its successor; without one the session
    /// ends.
    PageLost(Option<P>),
    /// The connection is to be closed.
    Close {
        /// Reason of the close.
        close: Close,
        /// Text for a person, if it is better than the close's own.
        detail: Option<String>,
    },
    /// The client has sent a close frame, with this code.
    ClientClosed(Option<u16>),
    /// The time of [`SessionState::next_tick`] has come.
    Tick,
}

/// An action that a session wants done.
#[derive(Debug)]
pub enum SessionOutput<P> {
    /// Ask the directory to let the session in.
    Join(Box<JoinRequest>),
    /// Ask the directory where the page is.
    Seek,
    /// Tell the page's new actor what the session knows.
    Resume {
        /// Address of the new actor.
        page: P,
        /// Identity, newest claim and status of the session.
        request: Box<JoinRequest>,
    },
    /// Send a message to the page at [`SessionState::page`].
    Forward(Input),
    /// Forget the messages in flight: they died with the page's actor.
    ForgetInFlight,
    /// Write the answer to the handshake, although no `OPEN` has come.
    ReleaseHandshake,
    /// Send the client a ping frame.
    Ping,
    /// Send the client new ICE servers.
    RenewIce,
    /// Send the farewell and a close frame, and end.
    Close {
        /// Reason of the close.
        close: Close,
        /// Text frame that says so before the close frame.
        farewell: Option<Frame>,
        /// Whether the session was a member.
        was_member: bool,
    },
}

/// How to answer a message of the client.
#[derive(Debug)]
pub enum Reaction {
    /// Do nothing about it.
    Ignore,
    /// Send the client an answer.
    Answer(Frame),
    /// Hand a message to [`SessionState::forward`].
    ToPage(Input),
    /// Pass a signalling message on: past the page if [`SessionState::may_bypass_page`], else to
    /// the page.
    Signal {
        /// Type of the message.
        kind: SignalKind,
        /// Id of the receiver.
        dst: PeerId,
        /// The message, encoded for the receiver.
        frame: Frame,
    },
    /// Close the connection of the client.
    Close {
        /// Reason of the close.
        close: Close,
        /// Text for a person, if it is better than the close's own.
        detail: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No page has let the session in yet.
    Joining,
    /// A page has let the session in. Its actor may have died since.
    Member,
    /// A close frame was sent or received.
    Closed,
}

/// All that one session knows.
#[derive(Debug)]
pub struct SessionState<P> {
    session: SessionId,
    identity: Identity,
    /// Network address of the client.
    address: Option<IpAddr>,
    rules: Arc<SessionRules>,
    stage: Stage,
    /// Empty until a page has let the session in, and from the death of its actor until its
    /// successor does.
    page: Option<P>,
    /// The successor that the session has resumed at. It may be announced twice.
    resumed_at: Option<P>,
    /// The host that the client was told of by a message of its own, not by one to all members.
    claim: Option<Claim>,
    /// Messages for the page, kept while there is none.
    early: Vec<Input>,
    /// Status that the client has reported, for a successor of the page.
    status: Status,
    /// Whether the page waits for a sign of life.
    owes_sign_of_life: bool,
    tick_at: Time,
    ice_at: Option<Time>,
    departure: Departure,
}

impl<P: Clone + PartialEq> SessionState<P> {
    /// Returns the state of a new session, which is to be given [`SessionInput::Start`].
    #[must_use]
    pub fn new(
        session: SessionId,
        identity: Identity,
        address: Option<IpAddr>,
        rules: Arc<SessionRules>,
        now: Time,
    ) -> Self {
        let renewal = rules.ice_renewal.filter(|_| matches!(identity.key, PageKey::Named(_)));
        Self {
            session,
            identity,
            address,
            rules,
            stage: Stage::Joining,
            page: None,
            resumed_at: None,
            claim: None,
            early: Vec::new(),
            status: Status::default(),
            owes_sign_of_life: false,
            tick_at: now,
            ice_at: renewal.map(|every| now.plus(every)),
            departure: Departure::Lost,
        }
    }

    /// Returns the number of the session.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// Returns who the client is.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Returns the address of the page, if the session knows one.
    #[must_use]
    pub const fn page(&self) -> Option<&P> {
        self.page.as_ref()
    }

    /// Returns whether a page has let the session in.
    #[must_use]
    pub fn is_member(&self) -> bool {
        self.stage == Stage::Member
    }

    /// Returns whether the session keeps as many messages as it may. The client is not read until
    /// the page answers.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.early.len() >= MAX_EARLY
    }

    /// Returns when [`SessionInput::Tick`] is due.
    #[must_use]
    pub const fn next_tick(&self) -> Time {
        self.tick_at
    }

    /// Returns how the session ends, if it ends now.
    #[must_use]
    pub const fn departure(&self) -> Departure {
        self.departure
    }

    /// Handles one input, and appends what is to be done. A closed session does nothing.
    pub fn handle(
        &mut self,
        env: &SessionEnv<'_, P>,
        input: SessionInput<P>,
        out: &mut Vec<SessionOutput<P>>,
    ) {
        if self.stage == Stage::Closed {
            return;
        }
        match input {
            SessionInput::Start => {
                out.push(self.join());
                self.tick_at = env.now.plus(OPEN_WITHIN);
            }
            SessionInput::Joined { page, claim } => {
                self.stage = Stage::Member;
                self.page = Some(page);
                // a session that resumes is told nothing, and keeps what it was told before
                self.claim = claim.or_else(|| self.newest_claim(env));
                let early = std::mem::take(&mut self.early);
                for input in early {
                    out.extend(self.forward(input, env.runs).map(SessionOutput::Forward));
                }
                self.rearm(env);
            }
            // a host is watched more closely, and may have been silent for too long already
            SessionInput::Hosts(claim) => {
                self.claim = Some(claim);
                self.tick_at = env.now;
            }
            SessionInput::Ping => {
                // one ping at a time
                if !std::mem::replace(&mut self.owes_sign_of_life, true) {
                    out.push(SessionOutput::Ping);
                }
            }
            SessionInput::PageLost(None) => self.close(Close::Internal, None, out),
            SessionInput::PageLost(Some(page)) => self.page_lost(env, page, out),
            SessionInput::Close { close, detail } => self.close(close, detail.as_deref(), out),
            SessionInput::ClientClosed(code) => {
                self.stage = Stage::Closed;
                self.departure = match code {
                    None => Departure::Disconnected,
                    Some(1000) => Departure::Goodbye,
                    Some(1001) => Departure::GoingAway,
                    // an application's own codes may mean anything, such as a redial
                    Some(_) => Departure::Lost,
                };
            }
            SessionInput::Tick => self.tick(env, out),
        }
    }

    /// Returns the message that says the client lives, if the page waits for it. Called for every
    /// frame from the client.
    pub fn sign_of_life(&mut self) -> Option<Input> {
        std::mem::take(&mut self.owes_sign_of_life).then_some(Input::Alive(self.session))
    }

    /// Returns `input` if it may be sent to [`SessionState::page`] now, or keeps it until there is
    /// a page.
    pub fn forward(&mut self, input: Input, runs: impl Fn(&P) -> bool) -> Option<Input> {
        if self.page.as_ref().is_some_and(runs) {
            return Some(input);
        }
        self.early.push(input);
        None
    }

    /// Returns whether a signalling message may go to its receiver without the page. It must not
    /// overtake messages that are in flight to the page.
    #[must_use]
    pub fn may_bypass_page(
        &self,
        kind: SignalKind,
        in_flight: usize,
        runs: impl Fn(&P) -> bool,
    ) -> bool {
        !kind.makes_contact() && in_flight == 0 && self.page.as_ref().is_some_and(runs)
    }

    /// Decides about a message of the client.
    pub fn react(&mut self, message: Inbound) -> Reaction {
        let session = self.session;
        match message {
            Inbound::Heartbeat if self.identity.group > 0 => {
                Reaction::Answer(outgoing::heartbeat())
            }
            Inbound::HostHeartbeat(epoch) if self.identity.group > 0 => {
                Reaction::ToPage(Input::HostHeartbeat { session, epoch })
            }
            Inbound::Heartbeat | Inbound::HostHeartbeat(_) | Inbound::Probed | Inbound::Ignored => {
                Reaction::Ignore
            }
            Inbound::Relay { frame, .. } if frame.len() > self.rules.max_relay_bytes => {
                let detail = format!("RELAY is longer than {} bytes", self.rules.max_relay_bytes);
                Reaction::Close { close: Close::TooBig, detail: Some(detail) }
            }
            Inbound::Relay { dst, frame } => Reaction::ToPage(Input::Relay { session, dst, frame }),
            Inbound::Suspect(suspicion) => Reaction::ToPage(Input::Suspect { session, suspicion }),
            Inbound::Trust(suspicion) => Reaction::ToPage(Input::Trust { session, suspicion }),
            Inbound::Resign { epoch, to } => Reaction::ToPage(Input::Resign { session, epoch, to }),
            Inbound::Forward { kind, dst, frame } => Reaction::Signal { kind, dst, frame },
            Inbound::Status(update) => {
                self.status.update(update.clone());
                Reaction::ToPage(Input::Status { session, update })
            }
            Inbound::Unreachable(answer) => Reaction::Answer(answer),
            Inbound::Goodbye => Reaction::Close { close: Close::Left, detail: None },
        }
    }

    fn join(&self) -> SessionOutput<P> {
        SessionOutput::Join(self.request(self.identity.claim.clone(), None))
    }

    fn request(&self, claim: Option<Claim>, resumed: Option<Status>) -> Box<JoinRequest> {
        let Identity { id, token, group, can, rights, .. } = &self.identity;
        Box::new(JoinRequest {
            session: self.session,
            id: id.clone(),
            token: token.clone(),
            group: *group,
            can: can.clone(),
            rights: *rights,
            address: self.address,
            // the node of a page elsewhere knows by which way the request came
            way: Way::Local,
            claim,
            resumed,
        })
    }

    /// Returns the newest host that the client was told of, by a message of its own or by one to
    /// all members.
    fn newest_claim(&self, env: &SessionEnv<'_, P>) -> Option<Claim> {
        self.claim.iter().cloned().chain((env.announced)()).max_by_key(|claim| claim.epoch)
    }

    fn page_lost(
        &mut self,
        env: &SessionEnv<'_, P>,
        successor: P,
        out: &mut Vec<SessionOutput<P>>,
    ) {
        if self.stage == Stage::Joining {
            out.push(self.join());
        } else if self.resumed_at.as_ref() != Some(&successor) {
            self.resumed_at = Some(successor.clone());
            self.page = None;
            let request = self.request(self.newest_claim(env), Some(self.status.clone()));
            out.push(SessionOutput::ForgetInFlight);
            out.push(SessionOutput::Resume { page: successor, request });
            self.rearm(env);
        }
    }

    fn close(&mut self, close: Close, detail: Option<&str>, out: &mut Vec<SessionOutput<P>>) {
        let was_member = self.is_member();
        self.stage = Stage::Closed;
        self.departure = if close == Close::Left {
            Departure::Goodbye
        } else if close.retry() {
            Departure::Lost
        } else {
            Departure::Expelled
        };
        out.push(SessionOutput::Close {
            close,
            farewell: outgoing::farewell(close, detail),
            was_member,
        });
    }

    /// Asks again when no page has answered, pings a client that has been silent, and renews ICE
    /// servers.
    ///
    /// A client that is read slowly is pinged as well: if it is gone, the kernel finds out by what
    /// is sent to it.
    fn tick(&mut self, env: &SessionEnv<'_, P>, out: &mut Vec<SessionOutput<P>>) {
        let now = env.now;
        if self.stage == Stage::Joining {
            // The first tick only lets the handshake be answered: a slow page keeps no client
            // waiting for that.
            out.push(if env.holds_handshake {
                SessionOutput::ReleaseHandshake
            } else {
                self.join()
            });
        } else if !self.has_page(env) {
            out.push(SessionOutput::Seek);
        } else if now >= env.as_of.plus(self.ping_interval(env)) {
            out.push(SessionOutput::Ping);
        }
        if let (Some(at), Some(every)) = (self.ice_at, self.rules.ice_renewal)
            && now >= at
        {
            self.ice_at = Some(now.plus(every));
            out.push(SessionOutput::RenewIce);
        }
        self.rearm(env);
    }

    fn has_page(&self, env: &SessionEnv<'_, P>) -> bool {
        self.page.as_ref().is_some_and(env.runs)
    }

    fn ping_interval(&self, env: &SessionEnv<'_, P>) -> Duration {
        let hosts = self.newest_claim(env).is_some_and(|claim| claim.host == self.identity.id);
        if hosts { self.rules.host_ping } else { self.rules.ping }
    }

    /// Sets the time of the next tick.
    fn rearm(&mut self, env: &SessionEnv<'_, P>) {
        let (now, interval) = (env.now, self.ping_interval(env));
        let due = env.as_of.plus(interval);
        let next = match (self.has_page(env), self.is_member()) {
            (false, true) => now.plus(SEEK_RETRY),
            (false, false) => now.plus(JOIN_RETRY),
            (true, _) if due <= now => now.plus(interval),
            (true, _) => due,
        };
        self.tick_at = self.ice_at.map_or(next, |at| at.min(next));
    }
}
