//! A page, acting: what [`PageState`] decides is done here.

use std::collections::{HashMap, HashSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::{Duration, Instant};

use actix::fut::ActorFuture;
use actix::{
    Actor, ActorContext, Addr, AsyncContext, Context, Handler, MessageResult, SpawnHandle,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::directory::PageDirectory;
use super::message::{Dying, Ids, Kick, Summarise, Summary, ToDirectory, ToPage, ToSession};
use super::routing_table::RoutingTable;
use super::writer::{Batch, Outbound, Outlet};
use crate::clock::unix_ms;
use crate::shared::Shared;
use crate::transport::counters::SessionCounters;
use peerstar_core::directory::Incarnation;
use peerstar_core::page::{Announcement, Assignment, Env, Handover, Input, Output, PageState};
use peerstar_core::protocol::cause::Cause;
use peerstar_core::protocol::claim::Claim;
use peerstar_core::protocol::id::{PageKey, PeerId, SessionId};
use peerstar_core::protocol::outgoing::Frame;
use peerstar_core::time::Time;

/// A session for which more bytes than that are on their way is not kept waiting for the rest of what is decided.
const MUCH: usize = 32 * 1024;
/// How many times `limits.queue_bytes` may wait for a host when a crowd comes or goes.
const NEWS: usize = 16;
/// What part of `limits.queue_bytes` peers may fill with what they say to one: 1 / `PEERS`. One that has no room for the
/// page's own words, or the host's, is closed, and no peer is to bring that about.
const PEERS: usize = 2;

/// How long the operator is told to ask again while sessions have not come back to a page whose actor died. Those that
/// ended with it never come.
const MOST_AWAITED: Duration = Duration::from_secs(5);

/// The actor of one page.
pub struct Page {
    key: PageKey,
    incarnation: Incarnation,
    shared: Arc<Shared>,
    directory: Addr<PageDirectory>,
    state: PageState,
    /// How to reach members, and newcomers that wait.
    lines: HashMap<SessionId, Outlet>,
    switchboard: Arc<RoutingTable>,
    /// Sessions of an earlier actor of this page that have not come back, and until when they are waited for.
    awaited: HashSet<SessionId>,
    awaited_until: Time,
    /// What is not delivered yet: what is for sessions, who was named host to all, why and since when, who came, and who said
    /// something.
    bags: Batch,
    named: Option<Claim>,
    elected: Vec<(Cause, Instant)>,
    arrived: Vec<SessionId>,
    spoke: Vec<Arc<SessionCounters>>,
    /// Members that had no room for the word of a new host.
    congested: Vec<SessionId>,
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
        estate: Handover,
        awaited: HashSet<SessionId>,
        shared: Arc<Shared>,
        directory: Addr<PageDirectory>,
    ) -> Self {
        let state =
            PageState::new(key.clone(), Arc::clone(&shared.rules), shared.clock.now(), estate);
        let awaited_until = shared.clock.now().plus(MOST_AWAITED);
        let random = SmallRng::from_rng(&mut rand::rng());
        let switchboard = Arc::new(RoutingTable::new(shared.settings.limits.queue_bytes / PEERS));
        Self {
            key,
            incarnation,
            shared,
            directory,
            state,
            lines: HashMap::new(),
            switchboard,
            awaited,
            awaited_until,
            bags: Batch::default(),
            named: None,
            elected: Vec::new(),
            arrived: Vec::new(),
            spoke: Vec::new(),
            congested: Vec::new(),
            waiting: 0,
            outbox: Vec::new(),
            timer: None,
            random,
        }
    }

    /// One input in, everything that follows from it decided, one timer set.
    fn drive(&mut self, input: Input, ctx: &mut Context<Self>) {
        let begun = Instant::now();
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let now = self.shared.clock.now();
            let heard =
                |session| self.lines.get(&session).map_or(now, |line: &Outlet| line.pulse.heard());
            let spoken =
                |session| self.lines.get(&session).map_or(0, |line: &Outlet| line.pulse.spoken());
            let outside = Env {
                now,
                unix_ms: unix_ms(),
                random: self.random.next_u64(),
                last_heard: &heard,
                texts_sent: &spoken,
            };
            self.state.handle(outside, input, &mut self.outbox);
            let mut outbox = std::mem::take(&mut self.outbox);
            inputs.extend(outbox.drain(..).filter_map(|output| self.perform(output, begun, ctx)));
            inputs.extend(self.congested.drain(..).map(Input::Congested));
            self.outbox = outbox;
        }
        self.count_waiting(self.state.parked());
        self.check();
        self.rearm(ctx);
    }

    /// What was decided is said.
    fn deliver(&mut self) {
        self.bags.send();
        let (switchboard, named, spoke) =
            (Arc::clone(&self.switchboard), self.named.take(), std::mem::take(&mut self.spoke));
        let reached =
            |session| Some((self.state.id_of(session)?.clone(), self.lines.get(&session)?.clone()));
        let arrived: Vec<_> = self.arrived.drain(..).filter_map(reached).collect();
        self.bags.then(move || {
            if let Some(claim) = named {
                switchboard.appoint(claim);
            }
            // what waited for a newcomer is on its way now; what others hand it themselves comes after that
            arrived.into_iter().for_each(|(id, line)| switchboard.connect(id, line));
            // not earlier: what follows may take the shorter way
            spoke.iter().for_each(|pulse| pulse.arrive());
        });
        for (cause, begun) in self.elected.drain(..) {
            self.shared.metrics.elected(cause, begun.elapsed());
        }
    }

    fn count_waiting(&mut self, waiting: usize) {
        let waiting = i64::try_from(waiting).unwrap_or(i64::MAX);
        if waiting != self.waiting {
            self.shared.metrics.waiting.inc_by(waiting - self.waiting);
            self.waiting = waiting;
        }
    }

    /// Does one thing; gives what it leads to.
    fn perform(
        &mut self,
        output: Output,
        begun: Instant,
        ctx: &mut Context<Self>,
    ) -> Option<Input> {
        match output {
            Output::Welcome { to, open, assignment } => {
                let line = self.lines.get(&to)?;
                self.arrived.push(to);
                log::debug!(
                    page = self.key.name(), session = to.0, members = self.state.len();
                    "member joined"
                );
                let is_told = open.is_some();
                if let Some(open) = open {
                    self.bags.put(line, Outbound::Frame(open));
                }
                let (page, switchboard) =
                    (ctx.address().recipient(), Arc::clone(&self.switchboard));
                // A session that resumes is told nothing. Any other is told in `OPEN`, maybe of an earlier host
                // than the routing table has from members that are gone.
                let told = assignment.filter(|_| is_told).map(Assignment::into_claim);
                if told.is_some() {
                    self.named.clone_from(&told);
                }
                self.bags
                    .put(line, Outbound::Notice(ToSession::Joined { page, switchboard, told }));
                // from now on nobody means the session that had its id until now
                if let Some(id) = self.state.id_of(to).cloned() {
                    self.vacate(id);
                }
                None
            }
            Output::AnnounceHost {
                to,
                frame,
                assignment: assignment @ Assignment { hosting: false, .. },
            } => {
                self.named = Some(assignment.into_claim());
                self.tell(to, frame)
            }
            Output::AnnounceHost { to, frame, assignment } => {
                let claim = assignment.into_claim();
                let has_room =
                    |line: &Outlet| line.pulse.has_room(self.shared.settings.limits.queue_bytes);
                let line = self.lines.get(&to)?;
                let congested = (!has_room(line)).then_some(Input::Congested(to));
                if congested.is_none() {
                    self.bags.send_first(line, frame);
                }
                self.bags.put(line, Outbound::Notice(ToSession::Hosts(claim.clone())));
                self.named = Some(claim);
                congested
            }
            Output::AnnounceHostToOthers(announcement) => {
                self.appoint_others(*announcement);
                None
            }
            Output::Send { to, frame } => self.tell(to, frame),
            Output::Forward { to, frame, from } => {
                let sent = self.send(to, frame, self.shared.settings.limits.queue_bytes / PEERS);
                from.filter(|_| !sent).map(|(session, dst)| Input::Undelivered { session, dst })
            }
            Output::RosterChange { to, frame } => {
                let sent = self.send(
                    to,
                    frame,
                    self.shared.settings.limits.queue_bytes.saturating_mul(NEWS),
                );
                (!sent).then_some(Input::Congested(to))
            }
            Output::NotAllowed => {
                self.shared.metrics.not_allowed.inc();
                None
            }
            Output::Ping(to) => {
                self.bags.put(self.lines.get(&to)?, Outbound::Notice(ToSession::Ping));
                None
            }
            Output::Dismiss { session, close } => {
                if let Some(line) = self.lines.remove(&session) {
                    log::debug!(
                        page = self.key.name(), session = session.0, close = close.name();
                        "member dismissed"
                    );
                    self.bags.put(&line, Outbound::Notice(ToSession::Close(close)));
                }
                None
            }
            Output::Left { session, id, departure } => {
                log::debug!(
                    page = self.key.name(),
                    id = id.as_str(),
                    departure = departure.name(),
                    members = self.state.len();
                    "member left"
                );
                self.lines.remove(&session);
                self.vacate(id);
                None
            }
            Output::Elected { assignment, cause } => {
                log::debug!(
                    page = self.key.name(),
                    host = assignment.host.as_str(),
                    epoch = assignment.epoch.0,
                    cause = cause.name();
                    "host elected"
                );
                self.elected.push((cause, begun));
                None
            }
            Output::Deputy { id } => {
                log::debug!(page = self.key.name(), id = id.as_ref().map(PeerId::as_str); "deputy named");
                None
            }
            Output::Idle { joins_seen } => {
                let (key, incarnation, told) =
                    (self.key.clone(), self.incarnation, self.state.announced_epoch());
                self.report(ToDirectory::Idle { key, incarnation, joins_seen, told });
                None
            }
        }
    }

    /// Tells all but the host who hosts. Its frame is on its way already.
    fn appoint_others(&mut self, announcement: Announcement) {
        let Self { state, lines, bags, congested, shared, .. } = self;
        state.announce_to_others(&announcement, |to, frame| {
            if !send(lines, bags, to, frame, shared.settings.limits.queue_bytes) {
                congested.push(to);
            }
        });
        self.named = Some(announcement.assignment.into_claim());
    }

    /// Nobody has `id` any more, as far as others may hand a member something themselves.
    fn vacate(&mut self, id: PeerId) {
        self.switchboard.vacate(&id);
        if self.bags.holds() {
            // one that came may be yet to be connected
            let switchboard = Arc::clone(&self.switchboard);
            self.bags.then(move || switchboard.vacate(&id));
        }
    }

    fn tell(&mut self, to: SessionId, frame: Frame) -> Option<Input> {
        let sent = self.send(to, frame, self.shared.settings.limits.queue_bytes);
        (!sent).then_some(Input::Congested(to))
    }

    fn send(&mut self, to: SessionId, frame: Frame, most: usize) -> bool {
        send(&self.lines, &mut self.bags, to, frame, most)
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
            log::error!(
                page = self.key.name(), invariant = violation.id, rule = violation.what;
                "invariant is broken"
            );
        }
    }

    /// Whether all who were here when an earlier actor of this page died are known again.
    fn knows_all(&self) -> Result<(), Dying> {
        let is_complete = self.awaited.is_empty() || self.shared.clock.now() >= self.awaited_until;
        if is_complete { Ok(()) } else { Err(Dying) }
    }

    fn rearm(&mut self, ctx: &mut Context<Self>) {
        let Some(deadline) = self.state.next_deadline().map(|next| next.at) else { return };
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
            page.deliver();
        });
        self.timer = Some((deadline, timer));
    }
}

/// Whether it had room, if it is still here.
fn send(
    lines: &HashMap<SessionId, Outlet>,
    bags: &mut Batch,
    to: SessionId,
    frame: Frame,
    most: usize,
) -> bool {
    let Some(line) = lines.get(&to) else { return true };
    let has_room = line.pulse.has_room(most);
    if has_room {
        bags.put(line, Outbound::Frame(frame));
        if !line.pulse.has_room(MUCH) {
            bags.send();
        }
    }
    has_room
}

/// Runs after whatever was in the mailbox: what several messages lead to goes out together.
struct Delivering;

impl ActorFuture<Page> for Delivering {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        page: &mut Page,
        _: &mut Context<Page>,
        _: &mut task::Context<'_>,
    ) -> Poll<()> {
        page.deliver();
        Poll::Pending
    }
}

impl Actor for Page {
    type Context = Context<Self>;

    /// A successor may have deadlines before anybody says anything.
    fn started(&mut self, ctx: &mut Self::Context) {
        self.drive(Input::Timer, ctx);
        ctx.spawn(Delivering);
    }

    /// The directory starts a successor, unless it ordered this. Runs while a panic unwinds too: it must not panic.
    fn stopped(&mut self, _: &mut Self::Context) {
        self.count_waiting(0);
        self.deliver();
        let lines = self.lines.drain().map(|(_, line)| line).collect();
        let (key, incarnation, estate) =
            (self.key.clone(), self.incarnation, Box::new(self.state.hand_over()));
        let awaited = std::mem::take(&mut self.awaited);
        self.report(ToDirectory::Stopped { key, incarnation, estate, lines, awaited });
    }
}

impl Handler<ToPage> for Page {
    type Result = ();

    fn handle(&mut self, message: ToPage, ctx: &mut Self::Context) {
        match message {
            ToPage::Join { joiner, line } => {
                self.awaited.remove(&line.session);
                self.lines.insert(line.session, line);
                self.drive(Input::Join(*joiner), ctx);
            }
            ToPage::Input(input) => {
                let gone = if let Input::SocketClosed { session, .. } = input {
                    Some(session)
                } else {
                    None
                };
                self.drive(input, ctx);
                if let Some(session) = gone {
                    self.awaited.remove(&session);
                    self.lines.remove(&session);
                    // one that keeps its seat has no socket to hand anything to
                    if let Some(id) = self.state.id_of(session) {
                        self.switchboard.vacate(id);
                    }
                }
            }
            ToPage::Said { session, input } => {
                let pulse = self.lines.get(&session).map(|line| Arc::clone(&line.pulse));
                self.drive(input, ctx);
                self.spoke.extend(pulse);
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
        MessageResult(self.knows_all().map(|()| self.state.ids().cloned().collect::<Vec<PeerId>>()))
    }
}

impl Handler<Kick> for Page {
    type Result = MessageResult<Kick>;

    fn handle(&mut self, Kick(id): Kick, ctx: &mut Self::Context) -> Self::Result {
        let is_here = self.state.has(&id);
        // a session that this actor is yet to hear of would come in again after the kick
        if !is_here && let Err(dying) = self.knows_all() {
            return MessageResult(Err(dying));
        }
        let is_known = is_here || self.state.may_return(&id);
        self.drive(Input::Kick(id), ctx);
        MessageResult(Ok(is_known))
    }
}

impl Handler<Summarise> for Page {
    type Result = MessageResult<Summarise>;

    fn handle(&mut self, _: Summarise, _: &mut Self::Context) -> Self::Result {
        let PageKey::Named(name) = &self.key else { return MessageResult(Ok(None)) };
        if let Err(dying) = self.knows_all() {
            return MessageResult(Err(dying));
        }
        let (epoch, host) = self.state.assignment().unzip();
        let summary =
            Summary { page: name.as_str().to_owned(), host, epoch, members: self.state.len() };
        MessageResult(Ok(Some(summary).filter(|s| s.members > 0)))
    }
}
