//! A page, acting: what [`PageState`] decides is done here.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, MessageResult, SpawnHandle};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::directory::PageDirectory;
use super::message::{Ids, Kick, Line, Summarise, Summary, ToDirectory, ToPage, ToSession};
use super::switchboard::Switchboard;
use crate::clock::unix_ms;
use crate::core::directory::Incarnation;
use crate::core::election::Cause;
use crate::core::id::{PageKey, PeerId, SessionId};
use crate::core::page::{Estate, Input, Output, Outside, PageState};
use crate::core::time::Time;
use crate::shared::Shared;

/// How many times `limits.queue_bytes` may wait for a host when a crowd comes or goes.
const NEWS: usize = 16;
/// What part of `limits.queue_bytes` peers may fill with what they say to one: 1 / `PEERS`. One that has no room for the
/// page's own words, or the host's, is closed, and no peer is to bring that about.
const PEERS: usize = 2;

/// The actor of one page.
pub struct Page {
    key: PageKey,
    incarnation: Incarnation,
    shared: Arc<Shared>,
    directory: Addr<PageDirectory>,
    state: PageState,
    /// How to reach members, and newcomers that wait.
    lines: HashMap<SessionId, Line>,
    switchboard: Arc<Switchboard>,
    /// Who came with the present input, and why hosts were named.
    arrived: Vec<SessionId>,
    elected: Vec<Cause>,
    /// How many messages wait here, as the metrics know it.
    waiting: i64,
    /// Empty between inputs; kept for its memory.
    outbox: Vec<Output>,
    timer: Option<(Time, SpawnHandle)>,
    random: SmallRng,
}

impl Page {
    /// A page nobody has come to yet, or the successor of one whose actor died.
    #[must_use]
    pub fn new(
        key: PageKey,
        incarnation: Incarnation,
        estate: Estate,
        shared: Arc<Shared>,
        directory: Addr<PageDirectory>,
    ) -> Self {
        let state = PageState::new(key.clone(), Arc::clone(&shared.rules), shared.clock.now(), estate);
        let random = SmallRng::from_rng(&mut rand::rng());
        let switchboard = Arc::new(Switchboard::new(shared.settings.limits.queue_bytes / PEERS));
        Self {
            key,
            incarnation,
            shared,
            directory,
            state,
            lines: HashMap::new(),
            switchboard,
            arrived: Vec::new(),
            elected: Vec::new(),
            waiting: 0,
            outbox: Vec::new(),
            timer: None,
            random,
        }
    }

    /// One input in, everything that follows from it done, one timer set.
    fn drive(&mut self, input: Input, ctx: &mut Context<Self>) {
        let begun = Instant::now();
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let now = self.shared.clock.now();
            let heard = |session| self.lines.get(&session).map_or(now, |line: &Line| line.pulse.heard());
            let spoken = |session| self.lines.get(&session).map_or(0, |line: &Line| line.pulse.spoken());
            let outside = Outside { now, unix_ms: unix_ms(), random: self.random.next_u64(), heard: &heard, spoken: &spoken };
            self.state.handle(outside, input, &mut self.outbox);
            let mut outbox = std::mem::take(&mut self.outbox);
            inputs.extend(outbox.drain(..).filter_map(|output| self.perform(output, ctx)));
            self.outbox = outbox;
        }
        // what waited for a newcomer is on its way now; what others hand it themselves comes after that
        for session in self.arrived.drain(..) {
            if let (Some(id), Some(line)) = (self.state.id_of(session), self.lines.get(&session)) {
                self.switchboard.connect(id.clone(), line.clone());
            }
        }
        for cause in self.elected.drain(..) {
            self.shared.metrics.elected(cause, begun.elapsed());
        }
        self.count_waiting(self.state.waiting());
        self.check();
        self.rearm(ctx);
    }

    fn count_waiting(&mut self, waiting: usize) {
        let waiting = i64::try_from(waiting).unwrap_or(i64::MAX);
        if waiting != self.waiting {
            self.shared.metrics.waiting.inc_by(waiting - self.waiting);
            self.waiting = waiting;
        }
    }

    /// Does one thing; gives what it leads to.
    fn perform(&mut self, output: Output, ctx: &mut Context<Self>) -> Option<Input> {
        match output {
            Output::Welcome { to, open, assignment } => {
                let page = ctx.address().recipient();
                if let Some(line) = self.lines.get(&to) {
                    self.arrived.push(to);
                    // from now on nobody means the session that had its id until now
                    if let Some(id) = self.state.id_of(to) {
                        self.switchboard.vacate(id);
                    }
                    log::debug!("join page={} session={} members={}", self.key, to.0, self.state.len());
                    let switchboard = Arc::clone(&self.switchboard);
                    line.send_anyway(ToSession::Joined { page, switchboard, open, assignment });
                }
                None
            }
            Output::Appoint { to, frame, assignment } => self.tell(to, ToSession::Appoint { frame, assignment }),
            Output::Tell { to, frame } => self.tell(to, ToSession::Tell(frame)),
            Output::Pass { to, frame, from } => {
                let most = self.shared.settings.limits.queue_bytes / PEERS;
                let sent = self.lines.get(&to)?.send(ToSession::Tell(frame), most);
                from.filter(|_| sent.is_err()).map(|(session, dst)| Input::Undelivered { session, dst })
            }
            Output::News { to, frame } => {
                let most = self.shared.settings.limits.queue_bytes.saturating_mul(NEWS);
                let sent = self.lines.get(&to)?.send(ToSession::Tell(frame), most);
                sent.is_err().then_some(Input::Congested(to))
            }
            Output::Ignored => {
                self.shared.metrics.not_allowed.inc();
                None
            }
            Output::Ping(to) => self.tell(to, ToSession::Ping),
            Output::Dismiss { session, close } => {
                if let Some(line) = self.lines.remove(&session) {
                    log::debug!("dismiss page={} session={} close={}", self.key, session.0, close.name());
                    line.send_anyway(ToSession::Close(close));
                }
                None
            }
            Output::Left { session, id, departure } => {
                log::debug!("leave page={} id={id:?} departure={} members={}", self.key, departure.name(), self.state.len());
                self.lines.remove(&session);
                self.switchboard.vacate(&id);
                None
            }
            Output::Elected { assignment, cause } => {
                log::debug!(
                    "elect page={} host={:?} epoch={} cause={}",
                    self.key,
                    assignment.host,
                    assignment.epoch.0,
                    cause.name()
                );
                self.elected.push(cause);
                None
            }
            Output::Idle { joins_seen } => {
                let (key, incarnation, told) = (self.key.clone(), self.incarnation, self.state.told());
                self.report(ToDirectory::Idle { key, incarnation, joins_seen, told });
                None
            }
        }
    }

    fn tell(&self, to: SessionId, message: ToSession) -> Option<Input> {
        let sent = self.lines.get(&to)?.send(message, self.shared.settings.limits.queue_bytes);
        sent.is_err().then_some(Input::Congested(to))
    }

    #[expect(clippy::disallowed_methods, reason = "the directory does little, and never waits")]
    fn report(&self, message: ToDirectory) {
        self.directory.do_send(message);
    }

    fn check(&self) {
        // all invariants where it costs little; those that cost nothing always
        let thorough = cfg!(debug_assertions) && self.state.len() <= 64;
        let checked = if thorough { self.state.check() } else { self.state.check_quickly() };
        if let Err(violation) = checked {
            self.shared.metrics.violations.inc();
            log::error!("{violation} page={}", self.key);
        }
    }

    fn rearm(&mut self, ctx: &mut Context<Self>) {
        let Some(deadline) = self.state.next_deadline() else { return };
        // an earlier timer than needed does no harm, a cancelled one costs a search
        if self.timer.is_some_and(|(at, _)| at <= deadline) {
            return;
        }
        if let Some((_, later)) = self.timer.take() {
            ctx.cancel_future(later);
        }
        let delay = deadline.since(self.shared.clock.now());
        let timer = ctx.run_later(delay, |page, ctx| {
            page.timer = None;
            page.drive(Input::Timer, ctx);
        });
        self.timer = Some((deadline, timer));
    }
}

impl Actor for Page {
    type Context = Context<Self>;

    /// A successor may have deadlines before anybody says anything.
    fn started(&mut self, ctx: &mut Self::Context) {
        self.drive(Input::Timer, ctx);
    }

    /// The directory starts a successor, unless it ordered this. Runs while a panic unwinds too: it must not panic.
    fn stopped(&mut self, _: &mut Self::Context) {
        self.count_waiting(0);
        let lines = self.lines.drain().map(|(_, line)| line).collect();
        let (key, incarnation, estate) = (self.key.clone(), self.incarnation, Box::new(self.state.leave_estate()));
        self.report(ToDirectory::Stopped { key, incarnation, estate, lines });
    }
}

impl Handler<ToPage> for Page {
    type Result = ();

    fn handle(&mut self, message: ToPage, ctx: &mut Self::Context) {
        match message {
            ToPage::Join { joiner, line } => {
                self.lines.insert(line.session, line);
                self.drive(Input::Join(*joiner), ctx);
            }
            ToPage::Input(input) => {
                let gone = if let Input::Gone { session, .. } = input { Some(session) } else { None };
                self.drive(input, ctx);
                if let Some(session) = gone {
                    self.lines.remove(&session);
                }
            }
            ToPage::Said { session, input } => {
                let pulse = self.lines.get(&session).map(|line| Arc::clone(&line.pulse));
                self.drive(input, ctx);
                // not earlier: what follows may take the shorter way
                if let Some(pulse) = pulse {
                    pulse.arrive();
                }
            }
            ToPage::Retire => ctx.stop(),
            #[cfg(feature = "faults")]
            ToPage::Fail => panic!("asked to"),
        }
    }
}

impl Handler<Ids> for Page {
    type Result = MessageResult<Ids>;

    fn handle(&mut self, _: Ids, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.state.ids().cloned().collect::<Vec<PeerId>>())
    }
}

impl Handler<Kick> for Page {
    type Result = bool;

    fn handle(&mut self, Kick(id): Kick, ctx: &mut Self::Context) -> bool {
        let is_here = self.state.has(&id);
        self.drive(Input::Kick(id), ctx);
        is_here
    }
}

impl Handler<Summarise> for Page {
    type Result = MessageResult<Summarise>;

    fn handle(&mut self, _: Summarise, _: &mut Self::Context) -> Self::Result {
        let PageKey::Named(name) = &self.key else { return MessageResult(None) };
        let (epoch, host) = self.state.assignment().unzip();
        let summary = Summary { page: name.as_str().to_owned(), host, epoch, members: self.state.len() };
        MessageResult(Some(summary).filter(|s| s.members > 0))
    }
}
