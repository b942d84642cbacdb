//! One page: who is on it and who hosts it. Nobody else decides either.
//!
//! [`PageState::handle`] takes one input and says what is to be done; [`io`] lists both. Then, in the order of a life:
//! who comes ([`join`]), who goes ([`leave`]), who may be back within a moment ([`going_away`]), what they say to each other
//! ([`messages`]), who has fallen silent ([`liveness`]); who hosts ([`hosting`]), and why a host may have to go while it is still
//! here ([`challenge`], [`suspicion`]), who would follow it ([`deputy`]), and how long members may take to dial it
//! ([`dials`]); what must always be true ([`check`]).

pub mod deadline;
pub mod io;

mod join;
mod leave;
mod liveness;
mod messages;

pub mod contacts;
pub mod deadline_map;
pub mod encoded_roster;
pub mod going_away;
pub mod member;
pub mod parked;
pub mod pending_joins;

pub mod challenge;
pub mod deputy;
pub mod dials;
pub mod election;
pub mod hosting;
pub mod suspicion;

pub mod check;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::page::deadline_map::DeadlineMap;
use crate::page::election::Policy;
use crate::page::encoded_roster::Roster;
use crate::page::member::{AbsentMember, Departure, JoinRequest, Member, Seat};
use crate::page::parked::ParkedMessages;
use crate::page::pending_joins::PendingJoins;
use crate::protocol::claim::Claim;
use crate::protocol::close::Close;
use crate::protocol::ice::IceServers;
use crate::protocol::id::{PageKey, PeerId, SessionId};
use crate::protocol::outgoing::Terms;
use crate::time::Time;

use challenge::Challenge;
pub use deadline::{Deadline, DeadlineReason};
use deputy::Deputy;
use dials::Dials;
use hosting::Term;
pub use io::{Announcement, Assignment, Env, Handover, Input, Output};

/// What the settings say about pages.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The most members of a page; `usize::MAX` for no limit.
    pub max_members: usize,
    /// How many members, longest present first, dial the host themselves where there is a relay for the others.
    pub star: usize,
    /// How many deputies a page has where members need a data channel to the host: none or one.
    pub deputies: usize,
    /// How to choose among equals.
    pub policy: Policy,
    /// How long to wait for a host we were told of.
    pub recovery: Duration,
    /// How long a member may be silent.
    pub timeout: Duration,
    /// How long a host may be silent.
    pub host_timeout: Duration,
    /// How recently one must have been heard from to be preferred in an election.
    pub fresh: Duration,
    /// How long one whose socket was lost may take to come back before it is gone for good.
    pub return_after: Duration,
    /// How long messages wait for an absent receiver.
    pub expire: Duration,
    /// How much may wait for one absent receiver, in bytes.
    pub parked_bytes: usize,
    /// How long a suspected host's page has to answer.
    pub probe: Duration,
    /// How long a host may be hidden while somebody visible could host; none: for ever.
    pub hidden: Option<Duration>,
    /// What every `OPEN` on a page says.
    pub terms: Terms,
    /// ICE servers, for `OPEN`.
    pub ice: IceServers,
}

/// Everything known of one page.
#[derive(Debug)]
pub struct PageState {
    key: PageKey,
    rules: Arc<Rules>,
    created: Time,
    members: BTreeMap<Seat, Member>,
    /// Their entries, ready for the next host; nothing without a page.
    roster: Roster,
    by_id: HashMap<PeerId, Seat>,
    by_session: HashMap<SessionId, Seat>,
    /// How many members speak the group protocol, and how many may not relay.
    grouped: usize,
    unrelayed: usize,
    next_seat: u64,
    term: Term,
    /// Where in the outputs of this step all but the host are told who hosts.
    announced_at: Option<usize>,
    /// Whether who hosts is known from somebody who was here before, and not just first to come.
    has_history: bool,
    /// Why the present host may have to go.
    challenge: Challenge,
    /// The member that is to follow the host.
    deputy: Deputy,
    /// How long dials take on this page.
    dials: Dials,
    /// Who came, or changed, while a host that keeps its roster was yet to resume.
    strangers: BTreeSet<Seat>,
    held: PendingJoins,
    /// Whose new profile the host was told of lately, and whether there is another since.
    profiles: DeadlineMap<Seat, bool>,
    /// Members whose browser closed the socket, who keep their seats for a moment.
    leaving: DeadlineMap<Seat, ()>,
    /// Who may come back as the same.
    returning: DeadlineMap<PeerId, AbsentMember>,
    waiting: ParkedMessages,
    /// When the next member may have been silent for too long.
    sweep_at: Option<Time>,
    joins_seen: u64,
    idle_told: bool,
    draining: bool,
}

impl PageState {
    /// A page that nobody has come to yet, whose epochs start above what was told; or the successor of one.
    #[must_use]
    pub fn new(key: PageKey, rules: Arc<Rules>, now: Time, estate: Handover) -> Self {
        let Handover { announced_epoch: told, claim, returning: absent, waiting, dials } = estate;
        let mut returning = DeadlineMap::default();
        for (id, member) in absent {
            returning.insert(id, now.plus(rules.return_after), member);
        }
        let term = match claim {
            Some(expected) => Term::Recovering { expected, until: now.plus(rules.recovery), told },
            None => Term::Vacant { told },
        };
        let waiting = waiting.unwrap_or_else(|| ParkedMessages::new(rules.parked_bytes));
        Self {
            key,
            rules,
            created: now,
            members: BTreeMap::new(),
            roster: Roster::default(),
            by_id: HashMap::new(),
            by_session: HashMap::new(),
            grouped: 0,
            unrelayed: 0,
            next_seat: 0,
            term,
            announced_at: None,
            has_history: false,
            challenge: Challenge::default(),
            deputy: Deputy::default(),
            dials,
            strangers: BTreeSet::new(),
            held: PendingJoins::default(),
            profiles: DeadlineMap::default(),
            leaving: DeadlineMap::default(),
            returning,
            waiting,
            sweep_at: None,
            joins_seen: 0,
            idle_told: false,
            draining: false,
        }
    }

    /// What is left to a successor. Only reads and moves: it is asked of a page that panicked.
    #[must_use]
    pub fn hand_over(&mut self) -> Handover {
        let told = self.announced_epoch();
        let claim = self.assignment().map(|(epoch, host)| Claim { epoch, host });
        let mut returning: Vec<_> = self.returning.take_all().collect();
        for (seat, Member { id, token, contacts, status, .. }) in std::mem::take(&mut self.members)
        {
            let lost = !self.leaving.has(&seat);
            let is_news = self.strangers.contains(&seat)
                || self.profiles.get(&seat).is_some_and(|(_, another)| *another);
            returning.push((
                id,
                AbsentMember {
                    token,
                    contacts,
                    announced: true,
                    lost,
                    profile: status.profile,
                    awaited: lost,
                    is_news,
                },
            ));
        }
        let (waiting, dials) =
            (Some(std::mem::take(&mut self.waiting)), std::mem::take(&mut self.dials));
        Handover { announced_epoch: told, claim, returning, waiting, dials }
    }

    /// Takes one input in; `out` gets what is to be done.
    pub fn handle(&mut self, outside: Env<'_>, input: Input, out: &mut Vec<Output>) {
        let decided_before = out.len();
        self.announced_at = None;
        // who hosts, who would follow, and who else could, changes by no others
        let may_change = !self.draining
            && !matches!(
                input,
                Input::Forward { .. }
                    | Input::Relay { .. }
                    | Input::Alive(_)
                    | Input::Undelivered { .. }
                    | Input::Drain
            );
        match input {
            Input::Join(JoinRequest { session, .. }) if self.draining => {
                refuse(session, Close::Restart, out)
            }
            Input::Join(joiner) => self.join(outside, joiner, out),
            Input::SocketClosed { session, departure } => {
                self.gone(outside, session, departure, out)
            }
            Input::Drain => self.drain(out),
            // everybody goes, and everybody comes back: nothing else matters any more
            Input::Forward { .. }
            | Input::Status { .. }
            | Input::Relay { .. }
            | Input::Suspect { .. }
            | Input::Trust { .. }
            | Input::Resign { .. }
            | Input::Alive(_)
            | Input::Kick(_)
            | Input::LeaveWithoutSocket { .. }
            | Input::Undelivered { .. }
            | Input::Congested(_)
            | Input::Timer
                if self.draining => {}
            Input::Forward { session, kind, dst, frame } => {
                self.forward(outside, session, kind, &dst, frame, out)
            }
            Input::Status { session, update } => self.status(outside, session, update, out),
            Input::Relay { session, dst, frame } => self.relay(session, dst.as_ref(), &frame, out),
            Input::Suspect { session, suspicion } => {
                self.suspect(outside, session, &suspicion, out)
            }
            Input::Trust { session, suspicion } => self.trust(session, &suspicion),
            Input::Resign { session, epoch, to } => {
                self.resign(outside, session, epoch, to.as_ref(), out)
            }
            Input::Alive(session) => self.alive(session, out),
            Input::Kick(id) => self.kick(outside, &id, out),
            Input::LeaveWithoutSocket { id, token } => self.take_leave(outside, &id, &token, out),
            Input::Undelivered { session, dst } => self.undelivered(session, &dst, out),
            Input::Congested(session) => {
                self.dismiss(outside, session, Close::Slow, Departure::Lost, out)
            }
            Input::Timer => self.timer(outside, out),
        }
        self.settle(outside, out);
        if may_change {
            self.review_deputy(outside, out);
            self.weigh_suspicions(outside, out);
            self.relieve_hidden_host(outside, out);
            self.tell_of_deputy(out);
        }
        self.withhold(decided_before, out);
        if !self.idle_told && self.is_idle() {
            self.idle_told = true;
            out.push(Output::Idle { joins_seen: self.joins_seen });
        }
    }

    /// When to come back with [`Input::Timer`], if nothing else happens.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Deadline> {
        if self.draining {
            return None;
        }
        DeadlineReason::ALL
            .into_iter()
            .filter_map(|reason| Some(Deadline { at: self.deadline(reason)?, reason }))
            .min()
    }

    fn deadline(&self, reason: DeadlineReason) -> Option<Time> {
        match reason {
            DeadlineReason::Silence => self.sweep_at.filter(|_| !self.members.is_empty()),
            DeadlineReason::PendingJoin => self.held.next_deadline(),
            DeadlineReason::GoingAway => self.leaving.next_deadline(),
            DeadlineReason::Profile => self.profiles.next_deadline(),
            DeadlineReason::Absence => {
                self.returning.next_deadline().filter(|_| self.recovery_deadline().is_none())
            }
            DeadlineReason::ParkedMessage => self.waiting.next_deadline(),
            DeadlineReason::Recovery => self.recovery_deadline(),
            DeadlineReason::Challenge => self.challenge.next_deadline(self.dials.fair()),
            DeadlineReason::DeputyReview => self.deputy.next_deadline(self.dials.fair()),
            DeadlineReason::DialCalm => self.dials.next_deadline(),
        }
    }

    /// The ids of the members, longest present first.
    pub fn ids(&self) -> impl Iterator<Item = &PeerId> {
        self.members.values().map(|m| &m.id)
    }

    /// The deputy: the member that hosts next, if it can.
    #[must_use]
    pub fn deputy(&self) -> Option<&PeerId> {
        self.members.get(&self.deputy_seat()?).map(|m| &m.id)
    }

    /// Whether a member has `id`.
    #[must_use]
    pub fn has(&self, id: &PeerId) -> bool {
        self.by_id.contains_key(id)
    }

    /// Whether one that had `id` may yet come back.
    #[must_use]
    pub fn may_return(&self, id: &PeerId) -> bool {
        self.returning.has(id)
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether nobody is here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    fn is_idle(&self) -> bool {
        self.members.is_empty()
            && self.held.is_empty()
            && self.returning.is_empty()
            && self.waiting.is_empty()
            && self.recovery_deadline().is_none()
    }

    fn seat_of(&self, session: SessionId) -> Option<Seat> {
        self.by_session.get(&session).copied()
    }

    fn session_of(&self, id: &PeerId) -> Option<SessionId> {
        Some(self.members.get(self.by_id.get(id)?)?.session)
    }

    /// How many messages wait for peers that are not there yet.
    #[must_use]
    pub fn parked(&self) -> usize {
        self.waiting.len()
    }

    /// The id of the member behind a session.
    #[must_use]
    pub fn id_of(&self, session: SessionId) -> Option<&PeerId> {
        Some(&self.members.get(self.by_session.get(&session)?)?.id)
    }
}

/// Sends away one that is no member, or no more.
fn refuse(session: SessionId, close: Close, out: &mut Vec<Output>) {
    out.push(Output::Dismiss { session, close });
}
