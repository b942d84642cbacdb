//! A server without sockets: the core's directory and page, and sessions that do what `src/actor/session.rs` does.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use peerstar_core::directory::{DirectoryState, Incarnation, JoinDecision, Succession};
use peerstar_core::page::member::{Departure, JoinRequest, Rights, Status};
use peerstar_core::page::{Assignment, Env, Handover, Input, Output, PageState, Rules};
use peerstar_core::protocol::claim::Claim;
use peerstar_core::protocol::close::Close;
use peerstar_core::protocol::id::{Epoch, PageKey, PageName, PeerId, SessionId, Token};
use peerstar_core::protocol::incoming::{self, Inbound};
use peerstar_core::protocol::outgoing::{self, Frame};
use peerstar_core::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

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
    /// Whether its ticket allows the relay.
    relay: bool,
    claim: Option<DialledClaim>,
}

#[derive(Debug, Deserialize)]
struct DialledClaim {
    epoch: u64,
    host: String,
}

/// One result of a step, as the simulation is told it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Told {
    /// A text frame, as it stands, for these sessions.
    Frame { to: Vec<u32>, frame: Box<RawValue> },
    /// The session is closed.
    Close { session: u32, code: u16, name: &'static str },
    /// A member has left the page.
    Left { id: String },
    /// A host was elected.
    Elected { host: String, epoch: u64, cause: &'static str },
    /// Another deputy was named, or there is none any more.
    Deputy { id: Option<String> },
}

/// All results of a step, and how the page stands after it.
#[derive(Serialize)]
struct Report {
    told: Vec<Told>,
    /// Host of the page. `None`: nobody hosts, or the host has yet to come back.
    hosted: Option<Hosted>,
    /// Whether the page waits for a host that it was told of.
    recovering: bool,
    /// When the page wants its timer, by the server's time.
    deadline: Option<u64>,
    /// An invariant of the page that is broken.
    violation: Option<String>,
}

#[derive(Serialize)]
struct Hosted {
    host: String,
    epoch: u64,
}

/// The host that all sessions of one incarnation of the page were told of, as in the routing table.
type Published = Rc<RefCell<Option<Claim>>>;

struct Session {
    id: PeerId,
    token: Token,
    group: u32,
    rights: Rights,
    claim: Option<Claim>,
    status: Status,
    /// Number of text frames it has sent.
    spoken: u64,
    /// Since when nothing comes from it, if so.
    silent_since: Option<Time>,
    is_member: bool,
    /// The life of the page that let it in.
    page: Option<Incarnation>,
    /// The assignment that it alone was told.
    told: Option<Claim>,
    published: Published,
    /// Inputs from the client since the page's actor died.
    early: Vec<Input>,
}

impl Session {
    /// Returns who hosts, as its client was last told.
    fn last_told(&self) -> Option<Claim> {
        let published = self.published.borrow().clone();
        self.told.iter().cloned().chain(published).max_by_key(|claim| claim.epoch)
    }

    fn join_request(
        &self,
        session: SessionId,
        claim: Option<Claim>,
        resumed: Option<Status>,
    ) -> JoinRequest {
        JoinRequest {
            session,
            id: self.id.clone(),
            token: Some(self.token.clone()),
            group: self.group,
            rights: self.rights,
            address: None,
            claim,
            resumed,
        }
    }
}

struct Page {
    incarnation: Incarnation,
    state: PageState,
    published: Published,
}

/// The directory with its one page, and the sessions.
pub struct Server {
    rules: Arc<Rules>,
    key: PageKey,
    directory: DirectoryState,
    page: Option<Page>,
    sessions: BTreeMap<SessionId, Session>,
    /// Whether the page took an input that may have changed it since its invariants were last checked.
    unchecked: bool,
}

impl Server {
    pub fn new(rules: Rules) -> Self {
        let name = PageName::parse("page").unwrap_or_else(|bad| panic!("{bad}"));
        Self {
            rules: Arc::new(rules),
            key: PageKey::Named(name),
            directory: DirectoryState::new(usize::MAX),
            page: None,
            sessions: BTreeMap::new(),
            unchecked: false,
        }
    }

    pub fn connect(&mut self, moment: Moment, dialled: Dialled) -> Result<String, String> {
        let claim = dialled.claim.map(|DialledClaim { epoch, host }| {
            Ok::<_, String>(Claim { epoch: Epoch(epoch), host: id(&host)? })
        });
        let session = Session {
            id: id(&dialled.id)?,
            token: Token::parse(&dialled.token).map_err(|bad| bad.to_string())?,
            group: dialled.group,
            rights: Rights { host: true, relay: dialled.relay },
            claim: claim.transpose()?,
            status: Status::default(),
            spoken: 0,
            silent_since: None,
            is_member: false,
            page: None,
            told: None,
            published: Published::default(),
            early: Vec::new(),
        };
        let number = SessionId(dialled.session.into());
        self.sessions.insert(number, session);
        Ok(self.step(moment, |server, told| server.join(moment, number, told)))
    }

    pub fn text(&mut self, moment: Moment, session: u32, text: &str) -> String {
        let number = SessionId(session.into());
        self.step(moment, |server, told| server.hear(moment, number, text, told))
    }

    pub fn silence(&mut self, now: Time, session: u32) {
        if let Some(session) = self.sessions.get_mut(&SessionId(session.into())) {
            session.silent_since.get_or_insert(now);
        }
    }

    pub fn closed(&mut self, moment: Moment, session: u32, departure: Departure) -> String {
        let number = SessionId(session.into());
        self.step(moment, |server, told| server.end(moment, number, departure, told))
    }

    pub fn timer(&mut self, moment: Moment) -> String {
        self.step(moment, |server, told| server.drive(moment, Input::Timer, told))
    }

    pub fn lose_page(&mut self, moment: Moment) -> String {
        self.step(moment, |server, told| {
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
                    server.drive(moment, Input::Timer, told);
                }
                Succession::Abandon(close) => {
                    let sessions = std::mem::take(&mut server.sessions);
                    sessions.into_keys().for_each(|session| report_close(session, close, told));
                }
            }
        })
    }

    pub fn resume(&mut self, moment: Moment, session: u32) -> String {
        let number = SessionId(session.into());
        self.step(moment, |server, told| {
            let current = server.page.as_ref().map(|page| page.incarnation);
            let Some(session) = server.sessions.get_mut(&number) else { return };
            if session.page == current {
                return;
            }
            if !session.is_member {
                return server.join(moment, number, told);
            }
            let request =
                session.join_request(number, session.last_told(), Some(session.status.clone()));
            server.drive(moment, Input::Join(request), told);
            let Some(session) = server.sessions.get_mut(&number) else { return };
            for input in std::mem::take(&mut session.early) {
                server.drive(moment, input, told);
            }
        })
    }

    fn step(&mut self, moment: Moment, run: impl FnOnce(&mut Self, &mut Vec<Told>)) -> String {
        let mut told = Vec::new();
        run(self, &mut told);
        self.report(told, moment)
    }

    fn report(&mut self, told: Vec<Told>, moment: Moment) -> String {
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

    fn open(&mut self, moment: Moment, incarnation: Incarnation, handover: Handover) {
        let state = PageState::new(self.key.clone(), Arc::clone(&self.rules), moment.now, handover);
        self.page = Some(Page { incarnation, state, published: Published::default() });
    }

    fn join(&mut self, moment: Moment, number: SessionId, told: &mut Vec<Told>) {
        let Some(session) = self.sessions.get(&number) else { return };
        let request = session.join_request(number, session.claim.clone(), None);
        match self.directory.join(&self.key) {
            JoinDecision::PassOn { incarnation, create } => {
                if create {
                    self.open(
                        moment,
                        incarnation,
                        Handover::above(self.directory.announced_epoch()),
                    );
                }
                self.drive(moment, Input::Join(request), told);
            }
            JoinDecision::Refuse(close) => self.close(number, close, told),
        }
    }

    /// Does what a session does with a text frame.
    fn hear(&mut self, moment: Moment, number: SessionId, text: &str, told: &mut Vec<Told>) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        session.spoken += 1;
        let input = match incoming::read(&session.id, text) {
            Ok(Inbound::Heartbeat) => {
                if session.group > 0 {
                    send(number, &outgoing::heartbeat(), told);
                }
                return;
            }
            Ok(Inbound::Probed | Inbound::Ignored) => return,
            Ok(Inbound::Unreachable(frame)) => return send(number, &frame, told),
            Ok(Inbound::Goodbye) => {
                report_close(number, Close::Left, told);
                return self.end(moment, number, Departure::Goodbye, told);
            }
            Err(_) => {
                report_close(number, Close::BadMessage, told);
                return self.end(moment, number, Departure::Expelled, told);
            }
            Ok(Inbound::Relay { dst, frame }) => Input::Relay { session: number, dst, frame },
            Ok(Inbound::Suspect(suspicion)) => Input::Suspect { session: number, suspicion },
            Ok(Inbound::Trust(suspicion)) => Input::Trust { session: number, suspicion },
            Ok(Inbound::Resign { epoch, to }) => Input::Resign { session: number, epoch, to },
            Ok(Inbound::Forward { kind, dst, frame }) => {
                Input::Forward { session: number, kind, dst, frame }
            }
            Ok(Inbound::Status(update)) => {
                session.status.update(update.clone());
                Input::Status { session: number, update }
            }
        };
        let current = self.page.as_ref().map(|page| page.incarnation);
        if session.page.is_some() && session.page == current {
            self.drive(moment, input, told);
        } else {
            session.early.push(input);
        }
    }

    /// Ends a session of this server's own accord.
    fn close(&mut self, number: SessionId, close: Close, told: &mut Vec<Told>) {
        if self.sessions.remove(&number).is_some() {
            report_close(number, close, told);
        }
    }

    fn end(
        &mut self,
        moment: Moment,
        number: SessionId,
        departure: Departure,
        told: &mut Vec<Told>,
    ) {
        if self.sessions.remove(&number).is_some() {
            self.drive(moment, Input::SocketClosed { session: number, departure }, told);
        }
    }

    /// Gives the page one input and does what it decides, as `src/actor/page.rs` does.
    fn drive(&mut self, moment: Moment, input: Input, told: &mut Vec<Told>) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let Some(Page { state, .. }) = &mut self.page else { return };
            self.unchecked |= !matches!(input, Input::Relay { .. });
            let sessions = &self.sessions;
            let heard = |session| {
                let silent = sessions.get(&session).and_then(|session| session.silent_since);
                silent.unwrap_or(moment.now)
            };
            let spoken = |session| sessions.get(&session).map_or(0, |session| session.spoken);
            let env = Env {
                now: moment.now,
                unix_ms: moment.unix_ms,
                random: moment.random,
                last_heard: &heard,
                texts_sent: &spoken,
            };
            let mut outputs = Vec::new();
            state.handle(env, input, &mut outputs);
            inputs.extend(outputs.into_iter().filter_map(|output| self.perform(output, told)));
        }
    }

    /// Does one thing; returns what it leads to.
    fn perform(&mut self, output: Output, told: &mut Vec<Told>) -> Option<Input> {
        let page = self.page.as_mut()?;
        match output {
            Output::Welcome { to, open, assignment } => {
                let claim = assignment.map(Assignment::into_claim);
                if let Some(open) = &open {
                    send(to, open, told);
                    let to_all = claim.clone().filter(|_| !page.state.is_recovering());
                    page.published.replace(to_all);
                }
                if let Some(session) = self.sessions.get_mut(&to) {
                    // one that resumes is told nothing by that
                    session.told = if open.is_some() { claim } else { session.last_told() };
                    session.is_member = true;
                    session.page = Some(page.incarnation);
                    session.published = Rc::clone(&page.published);
                }
            }
            Output::AnnounceHost { to, frame, assignment } => {
                send(to, &frame, told);
                let hosting = assignment.hosting;
                let claim = assignment.into_claim();
                if let Some(session) = self.sessions.get_mut(&to).filter(|_| hosting) {
                    session.told = Some(claim.clone());
                }
                page.published.replace(Some(claim));
            }
            Output::AnnounceHostToOthers(announcement) => {
                page.state.announce_to_others(&announcement, |to, frame| send(to, &frame, told));
                page.published.replace(Some(announcement.assignment.into_claim()));
            }
            Output::Send { to, frame }
            | Output::Forward { to, frame, .. }
            | Output::RosterChange { to, frame } => send(to, &frame, told),
            Output::Ping(session) => {
                let answers = self.sessions.get(&session).is_some_and(|s| s.silent_since.is_none());
                return answers.then_some(Input::Alive(session));
            }
            Output::Dismiss { session, close } => self.close(session, close, told),
            Output::Left { id, .. } => told.push(Told::Left { id: id.to_string() }),
            Output::Elected { assignment: Assignment { epoch, host, .. }, cause } => {
                let (host, epoch) = (host.to_string(), epoch.0);
                told.push(Told::Elected { host, epoch, cause: cause.name() });
            }
            Output::Deputy { id } => told.push(Told::Deputy { id: id.map(|id| id.to_string()) }),
            Output::NotAllowed => {}
            Output::Idle { joins_seen } => {
                let (incarnation, highest) = (page.incarnation, page.state.announced_epoch());
                if self.directory.retire(&self.key, incarnation, joins_seen, highest) {
                    self.page = None;
                }
            }
        }
        None
    }
}

/// Reads a departure by its name in the server's log.
pub fn departure(name: &str) -> Result<Departure, String> {
    const ALL: [Departure; 6] = [
        Departure::Goodbye,
        Departure::GoingAway,
        Departure::Disconnected,
        Departure::Lost,
        Departure::Expelled,
        Departure::Silent,
    ];
    let found = ALL.into_iter().find(|departure| departure.name() == name);
    found.ok_or_else(|| format!("{name:?} is not a departure"))
}

fn id(text: &str) -> Result<PeerId, String> {
    PeerId::parse(text).map_err(|bad| bad.to_string())
}

/// Sends a frame to a session, together with those before it that were sent the same.
fn send(to: SessionId, frame: &Frame, told: &mut Vec<Told>) {
    let to = to.0 as u32;
    if let Some(Told::Frame { to: others, frame: last }) = told.last_mut()
        && last.get() == &**frame
    {
        return others.push(to);
    }
    let frame = RawValue::from_string(frame.to_string()).unwrap_or_else(|bad| panic!("{bad}"));
    told.push(Told::Frame { to: vec![to], frame });
}

fn report_close(session: SessionId, close: Close, told: &mut Vec<Told>) {
    let (code, name) = (close.code(), close.name());
    told.push(Told::Close { session: session.0 as u32, code, name });
}
