//! The actor of a page: does what [`PageState`] decides.

use std::collections::{HashMap, HashSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::{Duration, Instant};

use actix::fut::ActorFuture;
use actix::{
    Actor, ActorContext, AsyncContext, Context, Handler, MessageResult, Recipient, SpawnHandle,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::message::{
    Batch, Dying, Ids, Kick, Outbound, Outlet, PageAddress, RoutingTable, Summarise, Summary,
    ToDirectory, ToPage, ToSession,
};
use super::outbound::{Judged, NoRoom};
use super::outlet::Link;
use crate::shared::Shared;
use crate::transport::counters::SessionCounters;
use peerstar_core::directory::Incarnation;
use peerstar_core::page::member::Departure;
use peerstar_core::page::{Announcement, Assignment, Env, Handover, Input, Output, PageState};
use peerstar_core::protocol::cause::Cause;
use peerstar_core::protocol::claim::Claim;
use peerstar_core::protocol::id::{Epoch, PageKey, PeerId, SessionId};
use peerstar_core::protocol::outgoing::Frame;
use peerstar_core::time::Time;

/// Bytes queued for one session from which on the page sends what it has so far, before it decides
/// the rest.
const SEND_EARLY_BYTES: usize = 32 * 1024;

/// Interval at which a page that may not decide looks whether it may again.
const HELD_RETRY: Duration = Duration::from_millis(20);
/// Number of messages that wait meanwhile from which on data of the relay is dropped.
const MOST_HELD: usize = 1024;
/// Longest time for which the operator is told to ask again while sessions have not resumed after
/// the page's actor died. Sessions that ended at the same moment never resume.
const MAX_AWAITED: Duration = Duration::from_secs(5);

/// The actor of one page.
pub struct Page {
    key: PageKey,
    incarnation: Incarnation,
    shared: Arc<Shared>,
    directory: Recipient<ToDirectory>,
    state: PageState,
    /// Outlets of members and of pending joins.
    outlets: HashMap<SessionId, Outlet>,
    routing: Arc<RoutingTable>,
    /// Sessions of an earlier incarnation that have not resumed.
    awaited: HashSet<SessionId>,
    /// When the page stops waiting for those.
    awaited_until: Time,
    /// Items that are not sent yet.
    batch: Batch,
    /// The host that the items of `batch` announce, to be published when they are sent.
    announced: Option<Claim>,
    /// The highest epoch that the page has noted on the clock of epochs.
    noted: Epoch,
    /// Elections whose announcements are in `batch`: why, and since when.
    elected: Vec<(Cause, Instant)>,
    /// Members that are added to the routing table when `batch` is sent.
    joined: Vec<SessionId>,
    /// Sessions whose message was handled, one entry a message.
    handled: Vec<Arc<SessionCounters>>,
    /// Members that had no room for the announcement of a new host.
    congested: Vec<SessionId>,
    /// Number of parked messages, as the metrics know it.
    parked: i64,
    /// Empty between inputs; kept for its memory.
    outbox: Vec<Output>,
    timer: Option<(Time, SpawnHandle)>,
    random: SmallRng,
    /// Links to the nodes of members.
    links: Vec<Arc<dyn Link<ToSession>>>,
    /// The host that the directory was told of, if this is a node of a cluster.
    reported: Option<Claim>,
    /// Messages that wait until the page may decide.
    held: VecDeque<ToPage>,
}

impl Page {
    /// Returns a page without members: a new one, or the successor of one whose actor died.
    #[must_use]
    pub fn new(
        key: PageKey,
        incarnation: Incarnation,
        handover: Handover,
        awaited: HashSet<SessionId>,
        shared: Arc<Shared>,
        directory: Recipient<ToDirectory>,
    ) -> Self {
        let state =
            PageState::new(key.clone(), Arc::clone(&shared.rules), shared.clock.now(), handover);
        let awaited_until = shared.clock.now().plus(MAX_AWAITED);
        let random = SmallRng::from_rng(&mut rand::rng());
        let routing =
            Arc::new(RoutingTable::new(NoRoom::Drop.room(shared.settings.limits.queue_bytes)));
        Self {
            key,
            incarnation,
            shared,
            directory,
            state,
            outlets: HashMap::new(),
            routing,
            awaited,
            awaited_until,
            batch: Batch::default(),
            announced: None,
            noted: Epoch::default(),
            elected: Vec::new(),
            joined: Vec::new(),
            handled: Vec::new(),
            congested: Vec::new(),
            parked: 0,
            outbox: Vec::new(),
            timer: None,
            random,
            links: Vec::new(),
            reported: None,
            held: VecDeque::new(),
        }
    }

    /// Hands one input to the state, performs all outputs and what they lead to, and arms the
    /// timer.
    fn drive(&mut self, input: Input, ctx: &mut Context<Self>) {
        let begun = Instant::now();
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let now = self.shared.clock.now();
            let counters = |session| self.outlets.get(&session).map(|outlet| &outlet.counters);
            let heard = |session| counters(session).map_or(now, |counters| counters.heard());
            let texts = |session| counters(session).map_or(0, |counters| counters.texts());
            let env = Env {
                now,
                epochs: self.shared.epochs.read(now),
                random: self.random.next_u64(),
                last_heard: &heard,
                texts_sent: &texts,
            };
            self.state.handle(env, input, &mut self.outbox);
            self.note_epoch();
            let mut outbox = std::mem::take(&mut self.outbox);
            inputs.extend(outbox.drain(..).filter_map(|output| self.perform(output, begun, ctx)));
            inputs.extend(self.congested.drain(..).map(Input::Congested));
            self.outbox = outbox;
        }
        self.count_parked(self.state.parked());
        self.check();
        self.rearm(ctx);
    }

    /// Notes on the clock of epochs what the page has named or believed.
    fn note_epoch(&mut self) {
        let epoch = self.state.announced_epoch();
        if epoch > self.noted {
            self.noted = epoch;
            self.shared.epochs.note(epoch);
        }
    }

    /// Sends what was decided, and publishes what it changes.
    fn deliver(&mut self) {
        self.batch.send();
        let (routing, announced) = (Arc::clone(&self.routing), self.announced.take());
        let handled = std::mem::take(&mut self.handled);
        let reached = |session| {
            Some((self.state.id_of(session)?.clone(), self.outlets.get(&session)?.clone()))
        };
        let joined: Vec<_> = self.joined.drain(..).filter_map(reached).collect();
        let links = if announced.is_some() { self.links.clone() } else { Vec::new() };
        if let Some(claim) = announced.as_ref().filter(|_| self.shared.is_node()) {
            self.report_host(claim);
        }
        self.batch.then(move || {
            if let Some(claim) = announced {
                links.iter().for_each(|link| link.publish_host(Some(&claim)));
                routing.set_host(claim);
            }
            // The parked messages for a new member are sent; what others hand it past the page
            // comes after them.
            joined.into_iter().for_each(|(id, outlet)| routing.connect(id, outlet));
            // Last: a session without messages in flight may go past the page.
            handled.iter().for_each(|counters| counters.remove_in_flight());
        });
        for (cause, begun) in self.elected.drain(..) {
            self.shared.metrics.elected(cause, begun.elapsed());
        }
    }

    fn count_parked(&mut self, parked: usize) {
        let parked = i64::try_from(parked).unwrap_or(i64::MAX);
        if parked != self.parked {
            self.shared.metrics.waiting.inc_by(parked - self.parked);
            self.parked = parked;
        }
    }

    /// Performs one output. Returns the input that it leads to, if any.
    fn perform(
        &mut self,
        output: Output,
        begun: Instant,
        ctx: &mut Context<Self>,
    ) -> Option<Input> {
        match output {
            Output::Welcome { to, open, assignment } => {
                let outlet = self.outlets.get(&to)?;
                self.joined.push(to);
                log::debug!(
                    page = self.key.name(), session = to.0, members = self.state.len();
                    "member joined"
                );
                let is_told = open.is_some();
                // over a link the client is told in one word that it is a member
                let open = match open {
                    Some(open) if outlet.is_linked() => Some(Box::new(open)),
                    Some(open) => {
                        self.batch.put(outlet, Outbound::Frame(open));
                        None
                    }
                    None => None,
                };
                let page = PageAddress::Here(ctx.address().recipient());
                let routing = Arc::clone(&self.routing);
                // A session that resumes is told nothing. Any other is told in `OPEN`, maybe of an
                // earlier host than the routing table has from members that are gone.
                let claim = assignment.filter(|_| is_told).map(Assignment::into_claim);
                if self.state.is_recovering() {
                    // Members that join may be told of different hosts: the highest claim so far.
                    self.announced = None;
                    self.routing.clear_host();
                    self.links.iter().for_each(|link| link.publish_host(None));
                } else if claim.is_some() {
                    self.announced.clone_from(&claim);
                }
                self.batch.put(
                    outlet,
                    Outbound::Notice(ToSession::Joined { page, routing, claim, open }),
                );
                // The id may have belonged to another session until now.
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
                let claim = assignment.into_claim();
                self.announced = Some(claim.clone());
                self.send_telling(to, frame, NoRoom::Close, Some(&claim))
            }
            Output::AnnounceHost { to, frame, assignment } => {
                let claim = assignment.into_claim();
                let has_room = |outlet: &Outlet| {
                    outlet.counters.has_room(self.shared.settings.limits.queue_bytes)
                };
                let outlet = self.outlets.get(&to)?;
                let congested = (!has_room(outlet)).then_some(Input::Congested(to));
                if congested.is_none() {
                    let notice = ToSession::Hosts(claim.clone());
                    self.batch.send_urgent(outlet, frame, Some(notice));
                }
                self.announced = Some(claim);
                congested
            }
            Output::AnnounceHostToOthers(announcement) => {
                self.announce_to_others(*announcement);
                None
            }
            Output::Send { to, frame } => self.send(to, frame, NoRoom::Close),
            Output::Relay { to, frame } => self.send(to, frame, NoRoom::DropAndClose),
            Output::Probe { to, frame } => {
                if let Some(link) = self.outlets.get(&to).and_then(Outlet::link) {
                    self.batch.send();
                    link.probe(to, frame);
                }
                None
            }
            Output::Forward { to, frame, from } => {
                let no_room = from
                    .map_or(NoRoom::Drop, |(sender, receiver)| NoRoom::Expire { sender, receiver });
                self.send(to, frame, no_room)
            }
            Output::RosterChange { to, frame } => self.send(to, frame, NoRoom::CloseLater),
            Output::NotAllowed => {
                self.shared.metrics.not_allowed.inc();
                None
            }
            Output::Ping(to) => {
                self.batch.put(self.outlets.get(&to)?, Outbound::Notice(ToSession::Ping));
                None
            }
            Output::Dismiss { session, close } => {
                if let Some(outlet) = self.outlets.remove(&session) {
                    log::debug!(
                        page = self.key.name(), session = session.0, close = close.name();
                        "member dismissed"
                    );
                    self.batch.put(&outlet, Outbound::Notice(ToSession::Close(close)));
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
                self.outlets.remove(&session);
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
                let (key, incarnation, announced) =
                    (self.key.clone(), self.incarnation, self.state.announced_epoch());
                self.report(ToDirectory::Idle { key, incarnation, joins_seen, announced });
                None
            }
        }
    }

    /// Announces the host to all other members. The host's own frame is sent already.
    fn announce_to_others(&mut self, announcement: Announcement) {
        let Self { state, outlets, batch, congested, shared, .. } = self;
        let queue_bytes = shared.settings.limits.queue_bytes;
        let claim = announcement.assignment.clone().into_claim();
        state.announce_to_others(&announcement, |to, frame| {
            let words = (NoRoom::Close, Some(&claim));
            if let Err(_no_room) = send(outlets, batch, to, frame, words, queue_bytes) {
                congested.push(to);
            }
        });
        self.announced = Some(claim);
    }

    /// Takes `id` off the routing table.
    fn vacate(&mut self, id: PeerId) {
        self.routing.vacate(&id);
        if self.batch.holds_back() {
            // a member that joined may not be connected yet
            let routing = Arc::clone(&self.routing);
            self.batch.then(move || routing.vacate(&id));
        }
    }

    /// Sends a frame. Returns the input that it leads to if the session has no room for it.
    fn send(&mut self, to: SessionId, frame: Frame, no_room: NoRoom) -> Option<Input> {
        self.send_telling(to, frame, no_room, None)
    }

    /// Sends a frame like [`send`](Self::send). `tells` is the host that the frame announces.
    fn send_telling(
        &mut self,
        to: SessionId,
        frame: Frame,
        no_room: NoRoom,
        tells: Option<&Claim>,
    ) -> Option<Input> {
        let queue_bytes = self.shared.settings.limits.queue_bytes;
        let sent = send(&self.outlets, &mut self.batch, to, frame, (no_room, tells), queue_bytes);
        sent.err().and_then(|no_room| no_room.verdict(to))
    }

    #[expect(clippy::disallowed_methods, reason = "the directory does little, and never waits")]
    fn report(&self, message: ToDirectory) {
        self.directory.do_send(message);
    }

    /// Tells the directory of a node who hosts: the registry keeps it for the case that this node
    /// dies.
    fn report_host(&mut self, claim: &Claim) {
        if self.reported.as_ref() != Some(claim) {
            self.reported = Some(claim.clone());
            let session = self.state.session_of(&claim.host);
            let outlet = session.and_then(|session| self.outlets.get(&session));
            let is_local = outlet.is_some_and(|outlet| outlet.link().is_none());
            let (key, claim) = (self.key.clone(), claim.clone());
            self.report(ToDirectory::Announced { key, claim, is_local });
        }
    }

    /// Returns whether a message has to wait until the page may decide. Behind a message that waits,
    /// all wait.
    fn must_wait(&self, message: &ToPage) -> bool {
        let may_wait = matches!(
            message,
            ToPage::Join { .. }
                | ToPage::Input(_)
                | ToPage::FromClient { .. }
                | ToPage::SayMembers(_)
                | ToPage::CompareMembers(_)
                | ToPage::Missed(..)
        );
        may_wait && (!self.held.is_empty() || !self.may_decide())
    }

    fn may_decide(&self) -> bool {
        self.shared.deciding.at(|| self.shared.clock.now())
    }

    fn hold(&mut self, message: ToPage, ctx: &mut Context<Self>) {
        if self.held.is_empty() {
            ctx.run_later(HELD_RETRY, Self::release);
        }
        let is_relay = matches!(message, ToPage::FromClient { input: Input::Relay { .. }, .. });
        if !is_relay || self.held.len() < MOST_HELD {
            self.held.push_back(message);
        }
    }

    /// Handles what has waited, if the page may decide again.
    fn release(&mut self, ctx: &mut Context<Self>) {
        while let Some(message) = self.held.pop_front() {
            if !self.may_decide() {
                self.held.push_front(message);
                ctx.run_later(HELD_RETRY, Self::release);
                break;
            }
            self.handle_now(message, ctx);
        }
        self.deliver();
    }

    /// Returns the members at the far end of a link.
    fn members_over(&self, link: &Arc<dyn Link<ToSession>>) -> Vec<SessionId> {
        let is_there = |outlet: &Outlet| outlet.link().is_some_and(|way| Arc::ptr_eq(way, link));
        let sessions = self.outlets.values().filter(|outlet| is_there(outlet));
        let sessions = sessions.map(|outlet| outlet.session);
        sessions.filter(|session| self.state.id_of(*session).is_some()).collect()
    }

    /// Says to another node which of its sessions are members, behind all that they are sent.
    fn say_members(&mut self, link: &Arc<dyn Link<ToSession>>) {
        self.deliver();
        let members = self.members_over(link);
        let host = self.state.assignment().filter(|_| !self.state.is_recovering());
        let host = host.map(|(epoch, host)| Claim { epoch, host });
        let link = Arc::clone(link);
        self.batch.then(move || link.say_members(members, host));
    }

    fn check(&self) {
        // All invariants are checked where that is cheap, and the cheap ones always.
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

    /// Returns an error while sessions of an earlier incarnation may not have resumed.
    fn knows_all(&self) -> Result<(), Dying> {
        let is_complete = self.awaited.is_empty() || self.shared.clock.now() >= self.awaited_until;
        if is_complete { Ok(()) } else { Err(Dying) }
    }

    fn rearm(&mut self, ctx: &mut Context<Self>) {
        let Some(deadline) = self.state.next_deadline().map(|next| next.at) else { return };
        // A timer that is too early does no harm, and cancelling one costs a search.
        if self.timer.is_some_and(|(at, _)| at <= deadline) {
            return;
        }
        if let Some((_, later)) = self.timer.take() {
            ctx.cancel_future(later);
        }
        let delay = deadline.since(self.shared.clock.now());
        let timer = ctx.run_later(delay, Self::handle_timer);
        self.timer = Some((deadline, timer));
    }

    fn handle_timer(&mut self, ctx: &mut Context<Self>) {
        self.timer = None;
        if self.may_decide() {
            self.drive(Input::Timer, ctx);
            self.deliver();
        } else {
            let timer = ctx.run_later(HELD_RETRY, Self::handle_timer);
            self.timer = Some((Time(0), timer));
        }
    }

    fn handle_now(&mut self, message: ToPage, ctx: &mut Context<Self>) {
        match message {
            ToPage::Join { request, outlet } => {
                self.awaited.remove(&outlet.session);
                if let Some(link) = outlet.link()
                    && !self.links.iter().any(|known| Arc::ptr_eq(known, link))
                {
                    let is_used = |known: &Arc<dyn Link<ToSession>>| {
                        let mut ways = self.outlets.values().filter_map(Outlet::link);
                        ways.any(|way| Arc::ptr_eq(way, known))
                    };
                    // a node that has gone leaves a link behind
                    self.links.retain(is_used);
                    self.links.push(Arc::clone(link));
                }
                self.outlets.insert(outlet.session, outlet);
                self.drive(Input::Join(*request), ctx);
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
                    self.outlets.remove(&session);
                    // a member that keeps its seat has no socket any more
                    if let Some(id) = self.state.id_of(session) {
                        self.routing.vacate(id);
                    }
                }
            }
            ToPage::FromClient { session, input } => {
                let counters =
                    self.outlets.get(&session).map(|outlet| Arc::clone(&outlet.counters));
                self.drive(input, ctx);
                self.handled.extend(counters);
            }
            ToPage::Retire => ctx.stop(),
            ToPage::DrainHere => {
                self.held.clear();
                // the others go on with the page's next life
                self.outlets.retain(|_, outlet| !outlet.is_linked());
                self.drive(Input::Drain, ctx);
                ctx.stop();
            }
            ToPage::Yield { was_alone } => {
                self.held.clear();
                if was_alone {
                    self.drive(Input::Alone(true), ctx);
                }
                ctx.stop();
            }
            ToPage::SayMembers(link) => self.say_members(&link),
            ToPage::CompareMembers(link) => {
                self.deliver();
                let members = self.members_over(&link);
                self.batch.then(move || link.compare_members(members));
            }
            ToPage::Missed(link, sessions) => {
                for session in sessions {
                    let departure = Departure::Lost;
                    self.drive(Input::SocketClosed { session, departure }, ctx);
                }
                self.say_members(&link);
            }
            #[cfg(feature = "faults")]
            ToPage::Fail => panic!("asked to"),
        }
    }
}

/// Sends a frame. A session that is gone has room for it, and so has one on another node, as far as
/// this node knows.
///
/// # Errors
/// Returns what happens if the session has no room for it.
fn send(
    outlets: &HashMap<SessionId, Outlet>,
    batch: &mut Batch,
    to: SessionId,
    frame: Frame,
    (no_room, tells): (NoRoom, Option<&Claim>),
    queue_bytes: usize,
) -> Result<(), NoRoom> {
    let Some(outlet) = outlets.get(&to) else { return Ok(()) };
    if outlet.is_linked() {
        batch.put(
            outlet,
            Outbound::Judged(Box::new(Judged { frame, no_room, tells: tells.cloned() })),
        );
        return Ok(());
    }
    if !outlet.counters.has_room(no_room.room(queue_bytes)) {
        return Err(no_room);
    }
    batch.put(outlet, Outbound::Frame(frame));
    if !outlet.counters.has_room(SEND_EARLY_BYTES) {
        batch.send();
    }
    Ok(())
}

/// Delivers after all messages of the mailbox were handled: what several of them lead to is sent
/// together.
struct DeliverLoop;

impl ActorFuture<Page> for DeliverLoop {
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

    /// Arms the timer: a successor may have deadlines before its first message.
    fn started(&mut self, ctx: &mut Self::Context) {
        self.drive(Input::Timer, ctx);
        ctx.spawn(DeliverLoop);
    }

    /// Reports to the directory, which starts a successor unless it ordered the stop. Must not
    /// panic: it also runs while a panic unwinds.
    fn stopped(&mut self, _: &mut Self::Context) {
        self.count_parked(0);
        self.deliver();
        let outlets = self.outlets.drain().map(|(_, outlet)| outlet).collect();
        let (key, incarnation, handover) =
            (self.key.clone(), self.incarnation, Box::new(self.state.hand_over()));
        let awaited = std::mem::take(&mut self.awaited);
        self.report(ToDirectory::Stopped { key, incarnation, handover, outlets, awaited });
    }
}

impl Handler<ToPage> for Page {
    type Result = ();

    fn handle(&mut self, message: ToPage, ctx: &mut Self::Context) {
        if self.must_wait(&message) {
            self.hold(message, ctx);
        } else {
            self.handle_now(message, ctx);
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
        // a session that has not resumed yet would join again after the kick
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
