//! A server without sockets: the core's directory, one page, and the sessions, run in lock-step.
//!
//! [`Server`] does what the actors of `src/actor` do with the outputs of the core. Sessions have no
//! ticks here: silence is simulated, and no message to an actor is lost.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use peerstar_core::cluster::Slot;
use peerstar_core::directory::{DirectoryState, Incarnation, JoinDecision, Succession};
use peerstar_core::epoch_clock::EpochClock;
use peerstar_core::page::member::{JoinRequest, Rights};
use peerstar_core::page::{Assignment, Env, Handover, Input, Output, PageState, Rules};
use peerstar_core::protocol::claim::Claim;
use peerstar_core::protocol::close::Close;
use peerstar_core::protocol::id::{
    Capabilities, Epoch, PageKey, PageName, PeerId, SessionId, Token,
};
use peerstar_core::protocol::incoming;
use peerstar_core::protocol::outgoing::Frame;
use peerstar_core::session::{
    Identity, Reaction, SessionEnv, SessionInput, SessionOutput, SessionRules, SessionState,
};
use peerstar_core::time::Time;
use serde::Deserialize;

use crate::report::{Hosted, Report, Told, send};

/// When a step happens, and the random number for it.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    pub now: Time,
    pub unix_ms: u64,
    pub random: u64,
}

/// Parameters of a client's URL.
#[derive(Debug, Deserialize)]
pub struct Dialled {
    session: u32,
    id: String,
    token: String,
    group: u32,
    /// What it can do, with commas between the names.
    #[serde(default)]
    can: String,
    /// Whether its ticket allows the relay.
    relay: bool,
    claim: Option<DialledClaim>,
}

#[derive(Debug, Deserialize)]
struct DialledClaim {
    epoch: u64,
    host: String,
}

/// Contents of the routing table of one incarnation of the page.
#[derive(Default)]
struct Routing {
    /// The host that all members were told of.
    host: Option<Claim>,
    /// The session of each member.
    members: BTreeMap<PeerId, SessionId>,
}

/// The routing table, which the page shares with its sessions.
type SharedRouting = Rc<RefCell<Routing>>;

struct Session {
    state: SessionState<Incarnation>,
    /// Number of text frames that the client has sent.
    texts: u64,
    /// Time since which nothing comes from the client, if so.
    silent_since: Option<Time>,
    /// Routing table of the page, once the session is a member.
    routing: Option<SharedRouting>,
}

struct Page {
    incarnation: Incarnation,
    state: PageState,
    routing: SharedRouting,
}

/// The directory with its one page, and the sessions.
pub struct Server {
    rules: Arc<Rules>,
    session_rules: Arc<SessionRules>,
    key: PageKey,
    directory: DirectoryState,
    page: Option<Page>,
    sessions: BTreeMap<SessionId, Session>,
    /// The server's share of the epochs. `None` for a server alone.
    slot: Option<Slot>,
    /// The clock of epochs, and the wall clock at the first step.
    epochs: Option<(EpochClock, u64)>,
    /// Inputs that the page has yet to handle.
    inputs: VecDeque<Input>,
    /// Results of the current step.
    told: Vec<Told>,
    /// Whether the page took an input that may have changed it since its invariants were last
    /// checked.
    unchecked: bool,
}

impl Server {
    pub fn new(rules: Rules, session_rules: SessionRules, slot: Option<Slot>) -> Self {
        let name = PageName::parse("page").unwrap_or_else(|bad| panic!("{bad}"));
        Self {
            rules: Arc::new(rules),
            session_rules: Arc::new(session_rules),
            key: PageKey::Named(name),
            directory: DirectoryState::new(usize::MAX),
            page: None,
            sessions: BTreeMap::new(),
            slot,
            epochs: None,
            inputs: VecDeque::new(),
            told: Vec::new(),
            unchecked: false,
        }
    }

    pub fn connect(&mut self, moment: Moment, dialled: Dialled) -> Result<String, String> {
        let claim = dialled.claim.map(|DialledClaim { epoch, host }| {
            Ok::<_, String>(Claim { epoch: Epoch(epoch), host: id(&host)? })
        });
        let identity = Identity {
            key: self.key.clone(),
            id: id(&dialled.id)?,
            token: Some(Token::parse(&dialled.token).map_err(|bad| bad.to_string())?),
            group: dialled.group,
            can: Capabilities::parse(&dialled.can).map_err(|bad| bad.to_string())?,
            rights: Rights { host: true, relay: dialled.relay },
            claim: claim.transpose()?,
        };
        let number = SessionId(dialled.session.into());
        let rules = Arc::clone(&self.session_rules);
        let state = SessionState::new(number, identity, None, rules, moment.now);
        self.sessions
            .insert(number, Session { state, texts: 0, silent_since: None, routing: None });
        Ok(self.step(moment, |server| server.handle(moment, number, SessionInput::Start)))
    }

    pub fn text(&mut self, moment: Moment, session: u32, text: &str) -> String {
        self.step(moment, |server| server.read(moment, SessionId(session.into()), text))
    }

    pub fn silence(&mut self, now: Time, session: u32) {
        if let Some(session) = self.sessions.get_mut(&SessionId(session.into())) {
            session.silent_since.get_or_insert(now);
        }
    }

    /// Ends a session whose client has closed the socket with `code`, or has lost it.
    pub fn closed(&mut self, moment: Moment, session: u32, code: Option<u16>) -> String {
        let number = SessionId(session.into());
        self.step(moment, |server| {
            if let Some(code) = code {
                server.handle(moment, number, SessionInput::ClientClosed(Some(code)));
            }
            server.end(number);
        })
    }

    pub fn timer(&mut self, moment: Moment) -> String {
        self.step(moment, |server| server.inputs.push_back(Input::Timer))
    }

    /// Begins or ends the page's time on its own.
    pub fn set_alone(&mut self, moment: Moment, is_alone: bool) -> String {
        self.step(moment, |server| server.inputs.push_back(Input::Alone(is_alone)))
    }

    pub fn lose_page(&mut self, moment: Moment) -> String {
        self.step(moment, |server| {
            let Some(Page { incarnation, mut state, .. }) = server.page.take() else { return };
            let handover = state.hand_over();
            let succession = server.directory.stopped(
                moment.now,
                &server.key,
                incarnation,
                handover.announced_epoch,
            );
            match succession {
                Succession::Expected => {}
                Succession::Recreate(next) => {
                    server.open(moment, next, handover);
                    server.inputs.push_back(Input::Timer);
                }
                Succession::Abandon(close) => {
                    let sessions: Vec<_> = server.sessions.keys().copied().collect();
                    sessions.into_iter().for_each(|session| server.close(moment, session, close));
                }
            }
        })
    }

    pub fn resume(&mut self, moment: Moment, session: u32) -> String {
        let number = SessionId(session.into());
        self.step(moment, |server| {
            let current = server.incarnation();
            let page = server.sessions.get(&number).and_then(|session| session.state.page());
            if page.is_none() || page != current.as_ref() {
                server.handle(moment, number, SessionInput::PageLost(current));
            }
        })
    }

    /// Runs one step: first what `run` does, then all that the page is to handle.
    fn step(&mut self, moment: Moment, run: impl FnOnce(&mut Self)) -> String {
        run(self);
        self.drive(moment);
        self.report(moment)
    }

    fn report(&mut self, moment: Moment) -> String {
        let told = std::mem::take(&mut self.told);
        let state = self.page.as_ref().map(|page| &page.state);
        let assignment = state.and_then(PageState::assignment);
        let is_here = |host: &PeerId| state.is_some_and(|state| state.has(host));
        let recovering = assignment.as_ref().is_some_and(|(_, host)| !is_here(host));
        let hosted = assignment
            .filter(|_| !recovering)
            .map(|(epoch, host)| Hosted { host: host.to_string(), epoch: epoch.0 });
        let deadline = state.and_then(PageState::next_deadline).map(|due| due.at.max(moment.now).0);
        let unchecked = state.filter(|_| std::mem::take(&mut self.unchecked));
        let violation = unchecked.and_then(|state| state.check().err()).map(|v| v.to_string());
        let report = Report { told, hosted, recovering, deadline, violation };
        serde_json::to_string(&report).unwrap_or_else(|error| panic!("{error}"))
    }

    fn incarnation(&self) -> Option<Incarnation> {
        self.page.as_ref().map(|page| page.incarnation)
    }

    fn open(&mut self, moment: Moment, incarnation: Incarnation, handover: Handover) {
        let state = PageState::new(self.key.clone(), Arc::clone(&self.rules), moment.now, handover);
        self.page = Some(Page { incarnation, state, routing: SharedRouting::default() });
    }

    // --- sessions, as in src/actor/session.rs ---

    /// Hands one input to a session, and performs all outputs.
    fn handle(&mut self, moment: Moment, number: SessionId, input: SessionInput<Incarnation>) {
        let current = self.incarnation();
        let Some(Session { state, routing, .. }) = self.sessions.get_mut(&number) else { return };
        let env = SessionEnv {
            now: moment.now,
            runs: &|page| Some(*page) == current,
            announced: &|| routing.as_ref()?.borrow().host.clone(),
            as_of: moment.now,
            holds_handshake: false,
        };
        let mut outputs = Vec::new();
        state.handle(&env, input, &mut outputs);
        for output in outputs {
            self.perform_for_session(moment, number, output);
        }
    }

    fn perform_for_session(
        &mut self,
        moment: Moment,
        number: SessionId,
        output: SessionOutput<Incarnation>,
    ) {
        match output {
            SessionOutput::Join(request) => self.join(moment, *request),
            SessionOutput::Resume { page, request } => {
                if self.incarnation() == Some(page) {
                    self.inputs.push_back(Input::Join(*request));
                }
            }
            SessionOutput::Forward(input) => self.inputs.push_back(input),
            SessionOutput::Ping => {
                let session = self.sessions.get_mut(&number);
                if session.is_some_and(|session| session.silent_since.is_none()) {
                    self.note_sign_of_life(number);
                }
            }
            // Clients of the simulation ignore the farewell.
            SessionOutput::Close { close, .. } => {
                let (code, name) = (close.code(), close.name());
                self.told.push(Told::Close { session: number.0 as u32, code, name });
                self.end(number);
            }
            SessionOutput::Seek
            | SessionOutput::ForgetInFlight
            | SessionOutput::ReleaseHandshake
            | SessionOutput::RenewIce => {}
        }
    }

    fn join(&mut self, moment: Moment, request: JoinRequest) {
        match self.directory.join(&self.key) {
            JoinDecision::PassOn { incarnation, create } => {
                if create {
                    let handover = Handover::above(self.directory.announced_epoch());
                    self.open(moment, incarnation, handover);
                }
                self.inputs.push_back(Input::Join(request));
            }
            JoinDecision::Refuse(close) => self.close(moment, request.session, close),
        }
    }

    /// Sends a message to the page, or keeps it until there is a page.
    fn forward(&mut self, number: SessionId, input: Input) {
        let current = self.incarnation();
        let Some(session) = self.sessions.get_mut(&number) else { return };
        let runs = |page: &Incarnation| Some(*page) == current;
        self.inputs.extend(session.state.forward(input, runs));
    }

    fn note_sign_of_life(&mut self, number: SessionId) {
        let session = self.sessions.get_mut(&number);
        if let Some(alive) = session.and_then(|session| session.state.sign_of_life()) {
            self.forward(number, alive);
        }
    }

    fn read(&mut self, moment: Moment, number: SessionId, text: &str) {
        self.note_sign_of_life(number);
        let Some(session) = self.sessions.get_mut(&number) else { return };
        session.texts += 1;
        let reaction = match incoming::read(&session.state.identity().id, text) {
            Ok(message) => session.state.react(message),
            Err(_) => Reaction::Close { close: Close::BadMessage, detail: None },
        };
        match reaction {
            Reaction::ToPage(input) => self.forward(number, input),
            Reaction::Signal { kind, dst, frame } => {
                let (state, current) = (&session.state, self.page.as_ref());
                let runs = |page: &Incarnation| current.is_some_and(|own| own.incarnation == *page);
                // The page handles each message at once, so that none is in flight.
                let routing =
                    session.routing.as_ref().filter(|_| state.may_bypass_page(kind, 0, runs));
                match routing.and_then(|routing| routing.borrow().members.get(&dst).copied()) {
                    Some(to) => self.send(to, &frame),
                    None => {
                        self.forward(number, Input::Forward { session: number, kind, dst, frame });
                    }
                }
            }
            Reaction::Answer(frame) => self.send(number, &frame),
            Reaction::Ignore => {}
            Reaction::Close { close, .. } => self.close(moment, number, close),
        }
    }

    fn close(&mut self, moment: Moment, number: SessionId, close: Close) {
        self.handle(moment, number, SessionInput::Close { close, detail: None });
    }

    /// Forgets a session, and reports its departure to the page.
    fn end(&mut self, session: SessionId) {
        if let Some(Session { state, .. }) = self.sessions.remove(&session) {
            let departure = state.departure();
            self.inputs.push_back(Input::SocketClosed { session, departure });
        }
    }

    // --- the page, as in src/actor/page.rs ---

    /// Hands all inputs to the page, and performs all outputs.
    fn drive(&mut self, moment: Moment) {
        while let Some(input) = self.inputs.pop_front() {
            let Some(Page { state, .. }) = &mut self.page else { continue };
            self.unchecked |= !matches!(input, Input::Relay { .. });
            // The wall clock is not set during a life, but the simulation's time runs at another pace.
            let (clock, began) = self.epochs.get_or_insert_with(|| {
                let clock = EpochClock { slot: self.slot, ..EpochClock::start(moment.unix_ms) };
                (clock, moment.unix_ms)
            });
            let since = Time(moment.unix_ms - *began);
            let sessions = &self.sessions;
            let heard = |session| {
                let silent = sessions.get(&session).and_then(|session| session.silent_since);
                silent.unwrap_or(moment.now)
            };
            let texts = |session| sessions.get(&session).map_or(0, |session| session.texts);
            let env = Env {
                now: moment.now,
                epochs: clock.read(since, moment.unix_ms),
                random: moment.random,
                last_heard: &heard,
                texts_sent: &texts,
            };
            let mut outputs = Vec::new();
            state.handle(env, input, &mut outputs);
            clock.note(since, moment.unix_ms, state.announced_epoch());
            outputs.into_iter().for_each(|output| self.perform(moment, output));
        }
    }

    fn perform(&mut self, moment: Moment, output: Output) {
        let Some(Page { incarnation, state, routing }) = &mut self.page else { return };
        let (incarnation, routing) = (*incarnation, Rc::clone(routing));
        match output {
            Output::Welcome { to, open, assignment } => {
                // A session that resumes is told nothing.
                let claim = assignment.filter(|_| open.is_some()).map(Assignment::into_claim);
                if state.is_recovering() {
                    routing.borrow_mut().host = None;
                } else if claim.is_some() {
                    routing.borrow_mut().host.clone_from(&claim);
                }
                if let Some(id) = state.id_of(to).cloned() {
                    routing.borrow_mut().members.insert(id, to);
                }
                if let Some(open) = &open {
                    self.send(to, open);
                }
                self.handle(moment, to, SessionInput::Joined { page: incarnation, claim });
                // The state still needed what the page's former actor announced.
                if let Some(session) = self.sessions.get_mut(&to) {
                    session.routing = Some(routing);
                }
            }
            Output::AnnounceHost { to, frame, assignment } => {
                self.send(to, &frame);
                let hosting = assignment.hosting;
                let claim = assignment.into_claim();
                if hosting {
                    self.handle(moment, to, SessionInput::Hosts(claim.clone()));
                }
                routing.borrow_mut().host = Some(claim);
            }
            Output::AnnounceHostToOthers(announcement) => {
                let told = &mut self.told;
                state.announce_to_others(&announcement, |to, frame| send(to, &frame, told));
                routing.borrow_mut().host = Some(announcement.assignment.into_claim());
            }
            Output::Send { to, frame }
            | Output::Relay { to, frame }
            | Output::Forward { to, frame, .. }
            | Output::Probe { to, frame }
            | Output::RosterChange { to, frame } => self.send(to, &frame),
            Output::Ping(session) => self.handle(moment, session, SessionInput::Ping),
            Output::Dismiss { session, close } => self.close(moment, session, close),
            Output::Left { id, .. } => {
                routing.borrow_mut().members.remove(&id);
                self.told.push(Told::Left { id: id.to_string() });
            }
            Output::Elected { assignment: Assignment { epoch, host, .. }, cause } => {
                let (host, epoch) = (host.to_string(), epoch.0);
                self.told.push(Told::Elected { host, epoch, cause: cause.name() });
            }
            Output::Deputy { id } => {
                self.told.push(Told::Deputy { id: id.map(|id| id.to_string()) });
            }
            Output::NotAllowed => {}
            Output::Idle { joins_seen } => {
                let highest = state.announced_epoch();
                if self.directory.retire(&self.key, incarnation, joins_seen, highest) {
                    self.page = None;
                }
            }
        }
    }

    fn send(&mut self, to: SessionId, frame: &Frame) {
        send(to, frame, &mut self.told);
    }
}

fn id(text: &str) -> Result<PeerId, String> {
    PeerId::parse(text).map_err(|bad| bad.to_string())
}
