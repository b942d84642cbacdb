//! One page: who is on it and who hosts it. Nobody else decides either.
//!
//! [`PageState::handle`] takes one input and says what is to be done. The rules of membership are here, those of
//! hosting in [`hosting`], why a host may have to go while it is still here in [`challenge`], what must always be true
//! in [`check`].

pub mod challenge;
pub mod check;
pub mod hosting;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::claim::Claim;
use super::close::Close;
use super::contacts::Contacts;
use super::election::{Cause, Policy};
use super::id::{Epoch, PageKey, PeerId, SessionId, Token};
use super::inbound::{Kind, StatusUpdate, Suspicion};
use super::member::{Departure, Held, Joiner, Member, Returning, Seat};
use super::time::Time;
use super::waiting::Waiting;
use super::wire::{self, Frame, Terms};
use challenge::Challenge;
use hosting::Term;

/// What the settings say about pages.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The most members of a page; `usize::MAX` for no limit.
    pub max_members: usize,
    /// How many members, longest present first, dial the host themselves where there is a relay for the others.
    pub star: usize,
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
    /// How long a suspected host's page has to answer.
    pub probe: Duration,
    /// How long a host may be hidden while somebody visible could host; none: for ever.
    pub hidden: Option<Duration>,
    /// What every `OPEN` on a page says.
    pub terms: Terms,
}

/// What the page cannot know by itself, at the moment of an input.
#[derive(Clone, Copy)]
pub struct Outside<'a> {
    /// The time.
    pub now: Time,
    /// The clock, in ms since 1970: epochs start there.
    pub unix_ms: u64,
    /// A fresh, uniform random number.
    pub random: u64,
    /// When a session was last heard from.
    pub heard: &'a dyn Fn(SessionId) -> Time,
    /// How many text frames a session has sent: its page's code has run if there are more of them. Pings are answered
    /// by the browser.
    pub spoken: &'a dyn Fn(SessionId) -> u64,
}

impl std::fmt::Debug for Outside<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outside").field("now", &self.now).finish_non_exhaustive()
    }
}

/// What can happen to a page.
#[derive(Debug)]
pub enum Input {
    /// Somebody asks to be let in.
    Join(Joiner),
    /// A socket is gone.
    Gone {
        /// Whose.
        session: SessionId,
        /// How it went.
        departure: Departure,
    },
    /// A member says something to a peer.
    Forward {
        /// Who speaks.
        session: SessionId,
        /// Which message.
        kind: Kind,
        /// To whom.
        dst: PeerId,
        /// Ready to be sent.
        frame: Frame,
    },
    /// A member speaks of itself.
    Status {
        /// Who.
        session: SessionId,
        /// What it says.
        update: StatusUpdate,
    },
    /// A member sends data over the server.
    Relay {
        /// Who.
        session: SessionId,
        /// To whom; none: from the host to all, from others to the host.
        dst: Option<PeerId>,
        /// Ready to be sent.
        frame: Frame,
    },
    /// A member says that the host does not answer it.
    Suspect {
        /// Who.
        session: SessionId,
        /// Which host.
        suspicion: Suspicion,
    },
    /// A host hands over.
    Resign {
        /// Who.
        session: SessionId,
        /// The term it ends.
        epoch: Epoch,
        /// Who is to follow, if it can.
        to: Option<PeerId>,
    },
    /// A session answered our [`Output::Ping`].
    Alive(SessionId),
    /// More is queued for a session than it may have.
    Congested(SessionId),
    /// A deadline has passed.
    Timer,
    /// The server goes away. From now on nobody is elected, let in or said to be gone.
    Drain,
}

/// What a page wants done, in this order.
#[derive(Debug, Clone)]
pub enum Output {
    /// Let a session in: it is a member from now on.
    Welcome {
        /// Which.
        to: SessionId,
        /// `OPEN`; none for one that was a member already.
        open: Option<Frame>,
        /// Who hosts.
        assignment: Option<Assignment>,
    },
    /// Tell a member who hosts.
    Appoint {
        /// Which.
        to: SessionId,
        /// `HOST`.
        frame: Frame,
        /// The same, for the session itself.
        assignment: Assignment,
    },
    /// Send a frame to a member.
    Tell {
        /// Which.
        to: SessionId,
        /// What.
        frame: Frame,
    },
    /// See whether a session lives: its next frame is to come back as [`Input::Alive`].
    Ping(SessionId),
    /// Close a session, which is no member (any more).
    Dismiss {
        /// Which.
        session: SessionId,
        /// Why.
        close: Close,
    },
    /// A member left. For the log, and to forget its session.
    Left {
        /// Whose.
        session: SessionId,
        /// Its id.
        id: PeerId,
        /// How it went.
        departure: Departure,
    },
    /// A host was elected. For the log.
    Elected {
        /// The assignment.
        assignment: Assignment,
        /// Why.
        cause: Cause,
    },
    /// Nobody is here and nothing waits, after so many joins.
    Idle {
        /// How many joins this page has seen, to tell whether one is on its way.
        joins_seen: u64,
    },
}

/// What a page whose actor died leaves to its successor, besides its sessions, who speak for themselves.
#[derive(Debug, Default)]
pub struct Estate {
    /// The highest epoch anybody was told.
    pub told: Epoch,
    /// Who hosted.
    pub claim: Option<Claim>,
    /// Who was on the page, or away: a member that does not resume is gone.
    returning: VecDeque<Returning>,
    waiting: Waiting,
}

impl Estate {
    /// For a page that had no predecessor: its epochs start above `told`.
    #[must_use]
    pub fn above(told: Epoch) -> Self {
        Self { told, ..Self::default() }
    }
}

/// Who hosts, as one session is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The host's term.
    pub epoch: Epoch,
    /// The host.
    pub host: PeerId,
    /// Whether the one told is the host.
    pub hosting: bool,
}

/// Everything known of one page.
#[derive(Debug)]
pub struct PageState {
    key: PageKey,
    rules: Arc<Rules>,
    created: Time,
    members: BTreeMap<Seat, Member>,
    by_id: HashMap<PeerId, Seat>,
    by_session: HashMap<SessionId, Seat>,
    next_seat: u64,
    term: Term,
    /// Whether who hosts is known from somebody who was here before, and not just first to come.
    has_history: bool,
    /// Why the present host may have to go.
    challenge: Challenge,
    /// Who came while a host that keeps its roster was yet to resume.
    strangers: Vec<Seat>,
    held: VecDeque<Held>,
    returning: VecDeque<Returning>,
    waiting: Waiting,
    /// When the next member may have been silent for too long.
    sweep_at: Option<Time>,
    joins_seen: u64,
    idle_told: bool,
    draining: bool,
}

impl PageState {
    /// A page that nobody has come to yet, whose epochs start above what was told; or the successor of one.
    #[must_use]
    pub fn new(key: PageKey, rules: Arc<Rules>, now: Time, estate: Estate) -> Self {
        let Estate { told, claim, mut returning, waiting } = estate;
        for member in &mut returning {
            member.until = now.plus(rules.return_after);
        }
        let term = match claim {
            Some(expected) => Term::Recovering { expected, until: now.plus(rules.recovery), told },
            None => Term::Vacant { told },
        };
        Self {
            key,
            rules,
            created: now,
            members: BTreeMap::new(),
            by_id: HashMap::new(),
            by_session: HashMap::new(),
            next_seat: 0,
            term,
            has_history: false,
            challenge: Challenge::default(),
            strangers: Vec::new(),
            held: VecDeque::new(),
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
    pub fn leave_estate(&mut self) -> Estate {
        let told = self.told();
        let claim = self.assignment().map(|(epoch, host)| Claim { epoch, host });
        let mut returning = std::mem::take(&mut self.returning);
        for (_, Member { id, token, contacts, .. }) in std::mem::take(&mut self.members) {
            returning.push_back(Returning { id, token, contacts, announced: true, until: Time::default() });
        }
        Estate { told, claim, returning, waiting: std::mem::take(&mut self.waiting) }
    }

    /// Takes one input in; `out` gets what is to be done.
    pub fn handle(&mut self, outside: Outside<'_>, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Join(Joiner { session, .. }) if self.draining => refuse(session, Close::Restart, out),
            Input::Join(joiner) => self.join(outside, joiner, out),
            Input::Gone { session, departure } => self.gone(outside, session, departure, out),
            Input::Drain => self.drain(out),
            // everybody goes, and everybody comes back: nothing else matters any more
            Input::Forward { .. }
            | Input::Status { .. }
            | Input::Relay { .. }
            | Input::Suspect { .. }
            | Input::Resign { .. }
            | Input::Alive(_)
            | Input::Congested(_)
            | Input::Timer
                if self.draining => {}
            Input::Forward { session, kind, dst, frame } => self.forward(outside, session, kind, &dst, frame, out),
            Input::Status { session, update } => self.status(outside, session, update, out),
            Input::Relay { session, dst, frame } => self.relay(session, dst.as_ref(), &frame, out),
            Input::Suspect { session, suspicion } => self.suspect(outside, session, &suspicion, out),
            Input::Resign { session, epoch, to } => self.resign(outside, session, epoch, to.as_ref(), out),
            Input::Alive(session) => self.alive(session, out),
            Input::Congested(session) => self.dismiss(outside, session, Close::Slow, Departure::Lost, out),
            Input::Timer => self.timer(outside, out),
        }
        if !self.draining {
            self.relieve_hidden_host(outside, out);
        }
        self.settle(outside, out);
        if !self.idle_told && self.is_idle() {
            self.idle_told = true;
            out.push(Output::Idle { joins_seen: self.joins_seen });
        }
    }

    /// When to come back with [`Input::Timer`], if nothing else happens.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        if self.draining {
            return None;
        }
        [
            self.sweep_at.filter(|_| !self.members.is_empty()),
            self.held.front().map(|h| h.until),
            self.gone_for_good().map(|r| r.until),
            self.waiting.next_deadline(),
            self.recovery_deadline(),
            self.challenge.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The ids of the members, longest present first.
    pub fn ids(&self) -> impl Iterator<Item = &PeerId> {
        self.members.values().map(|m| &m.id)
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

    fn id_of(&self, session: SessionId) -> Option<&PeerId> {
        Some(&self.members.get(self.by_session.get(&session)?)?.id)
    }

    // === coming ===

    fn join(&mut self, outside: Outside<'_>, joiner: Joiner, out: &mut Vec<Output>) {
        let resumes = joiner.resumed.is_some();
        if !resumes {
            self.joins_seen += 1;
        }
        self.idle_told = false;
        let session = joiner.session;
        if self.by_session.contains_key(&session) || self.held.iter().any(|h| h.joiner.session == session) {
            return; // it asked again, not knowing that we heard it
        }
        let Some((seat, live)) = self.by_id.get(&joiner.id).and_then(|s| Some((*s, self.members.get(s)?))) else {
            return self.admit(outside, joiner, out);
        };
        let (live_session, same_user) = (live.session, Token::same(live.token.as_ref(), joiner.token.as_ref()));
        if !same_user && !resumes {
            return self.hold(outside, joiner, live_session, out);
        }
        if let Some(held) = self.take_held(&joiner.id) {
            refuse(held.joiner.session, Close::IdTaken, out);
        }
        match (same_user, resumes) {
            (true, false) => self.take_over(outside, seat, joiner, out),
            // it was here before the page's actor died; who came meanwhile is its successor
            (true, true) => refuse(session, Close::Replaced, out),
            // or an intruder
            (false, _) => {
                self.dismiss(outside, live_session, Close::IdTaken, Departure::Expelled, out);
                self.admit(outside, joiner, out);
            }
        }
    }

    /// Lets a newcomer wait while we see whether the user of its id lives: after a network drop it often does not.
    fn hold(&mut self, outside: Outside<'_>, joiner: Joiner, live: SessionId, out: &mut Vec<Output>) {
        let mut until = outside.now.plus(Held::WAIT);
        if let Some(at) = self.held.iter().position(|h| h.joiner.id == joiner.id) {
            let first = &self.held[at];
            if !Token::same(first.joiner.token.as_ref(), joiner.token.as_ref()) {
                return refuse(joiner.session, Close::IdTaken, out);
            }
            // the same user, who reloaded once more
            until = first.until;
            refuse(first.joiner.session, Close::Replaced, out);
            self.held.remove(at);
        }
        out.push(Output::Ping(live));
        let at = self.held.partition_point(|h| h.until <= until);
        self.held.insert(at, Held { joiner, until });
    }

    fn take_held(&mut self, id: &PeerId) -> Option<Held> {
        let at = self.held.iter().position(|h| h.joiner.id == *id)?;
        self.held.remove(at)
    }

    /// A newer socket of the same user. It keeps the seat, unless it is a group member that does not know what the
    /// old one knew: a second tab with copied storage must not speak as host.
    fn take_over(&mut self, outside: Outside<'_>, seat: Seat, joiner: Joiner, out: &mut Vec<Output>) {
        let knows = joiner.claim.as_ref().is_some_and(|claim| self.was_told(seat, claim));
        let Some(member) = self.members.get_mut(&seat) else { return };
        let (old, new) = (member.session, joiner.session);
        if joiner.group != member.group || (joiner.group > 0 && !knows) {
            self.dismiss(outside, old, Close::Replaced, Departure::Expelled, out);
            // what it says it was told, it was not
            return self.admit(outside, Joiner { claim: None, ..joiner }, out);
        }
        member.session = new;
        // a status is a session's word: the new one is to say it again, after every OPEN
        let had_profile = std::mem::take(&mut member.status).profile.is_some();
        refuse(old, Close::Replaced, out);
        self.by_session.remove(&old);
        self.by_session.insert(new, seat);
        self.watch(outside, seat);
        self.note_visibility(outside, seat);
        self.welcome(seat, true, out);
        if had_profile {
            self.tell_host_of(seat, out);
        }
    }

    fn admit(&mut self, outside: Outside<'_>, joiner: Joiner, out: &mut Vec<Output>) {
        if self.members.len() >= self.rules.max_members {
            return refuse(joiner.session, Close::PageFull, out);
        }
        let Joiner { session, id, token, group, claim, resumed } = joiner;
        let contacts = self.welcome_back(&id, token.as_ref(), resumed.is_some(), out);
        let seat = Seat(self.next_seat);
        self.next_seat += 1;
        self.by_id.insert(id.clone(), seat);
        self.by_session.insert(session, seat);
        let silent = resumed.is_some();
        let claim = claim.filter(|c| self.is_named() && c.is_credible(outside.unix_ms));
        // what a resumed one claims, we told it
        let told = claim.as_ref().filter(|_| silent).map(|c| (c.epoch, c.epoch));
        let status = resumed.unwrap_or_default();
        self.members
            .insert(seat, Member { session, id: id.clone(), token, group, status, contacts, claim, told, stalled_at: None });
        let host_before = self.host_seat();
        self.consider_newcomer(outside, seat, out);
        self.watch(outside, seat);
        self.welcome(seat, !silent, out);
        self.catch_up(seat);
        self.settle(outside, out);
        // a host that is new itself learns of the newcomer from its roster
        match self.host_seat() {
            None if !silent && self.recovery_deadline().is_some() => self.strangers.push(seat),
            host if !silent && host == host_before => self.tell_host_of(seat, out),
            _ => {}
        }
        for parked in self.waiting.take(&id) {
            if parked.kind.acquaints() {
                self.acquaint(&parked.src, &id);
            }
            out.push(Output::Tell { to: session, frame: parked.frame });
        }
    }

    /// The contacts of one that comes back as the same. Anybody else with its id shows that it is gone for good.
    fn welcome_back(&mut self, id: &PeerId, token: Option<&Token>, resumes: bool, out: &mut Vec<Output>) -> Contacts {
        let known = self.returning.iter().position(|r| r.id == *id);
        let Some(gone) = known.and_then(|at| self.returning.remove(at)) else { return Contacts::default() };
        if resumes || Token::same(gone.token.as_ref(), token) {
            return gone.contacts;
        }
        self.say_gone(&gone, out);
        Contacts::default()
    }

    /// `JOIN`: the roster entry of a member, new or changed, for the host.
    pub(super) fn tell_host_of(&self, seat: Seat, out: &mut Vec<Output>) {
        let host = self.host_seat().filter(|host| *host != seat).and_then(|host| self.members.get(&host));
        if let (Some(host), Some(member)) = (host, self.members.get(&seat)) {
            out.push(Output::Tell { to: host.session, frame: wire::join(&member.entry()) });
        }
    }

    // === going ===

    fn gone(&mut self, outside: Outside<'_>, session: SessionId, departure: Departure, out: &mut Vec<Output>) {
        match self.seat_of(session) {
            Some(seat) => self.depart(outside, seat, departure, out),
            None => self.held.retain(|h| h.joiner.session != session),
        }
    }

    fn dismiss(&mut self, outside: Outside<'_>, session: SessionId, close: Close, departure: Departure, out: &mut Vec<Output>) {
        if let Some(seat) = self.seat_of(session) {
            refuse(session, close, out);
            self.depart(outside, seat, departure, out);
        }
    }

    fn depart(&mut self, outside: Outside<'_>, seat: Seat, departure: Departure, out: &mut Vec<Output>) {
        let Some(member) = self.members.remove(&seat) else { return };
        let Member { session, id, token, contacts, .. } = member;
        self.by_id.remove(&id);
        self.by_session.remove(&session);
        out.push(Output::Left { session, id: id.clone(), departure });
        self.vacate(seat, if departure == Departure::Silent { Cause::Timeout } else { Cause::Left });
        // the new host first: everybody waits for it
        self.settle(outside, out);
        let announced = departure != Departure::Disconnected || self.is_named();
        let gone = Returning { id: id.clone(), token, contacts, announced, until: outside.now.plus(self.rules.return_after) };
        // a host that is yet to resume has to hear of it too
        let unheard = self.recovery_deadline().is_some();
        if (departure.may_return(!self.is_named()) || unheard) && !self.draining {
            self.returning.push_back(gone);
        } else {
            self.say_gone(&gone, out);
        }
        if let Some(heir) = self.take_held(&id) {
            self.admit(outside, heir.joiner, out);
        }
    }

    /// Who is the next not to come back, once there is a host to be told.
    fn gone_for_good(&self) -> Option<&Returning> {
        self.returning.front().filter(|_| self.recovery_deadline().is_none())
    }

    /// Tells those it connected with, and the host, that it will not come back.
    fn say_gone(&self, gone: &Returning, out: &mut Vec<Output>) {
        if self.draining || !gone.announced {
            return;
        }
        let frame = wire::leave(&gone.id);
        let host = self.host_seat().and_then(|seat| self.members.get(&seat)).map(|host| host.session);
        let contacts = gone.contacts.iter().filter_map(|id| self.session_of(id)).filter(|s| Some(*s) != host);
        out.extend(contacts.chain(host).map(|to| Output::Tell { to, frame: frame.clone() }));
    }

    fn drain(&mut self, out: &mut Vec<Output>) {
        self.draining = true;
        let host = self.host_seat();
        let hosting = host.and_then(|seat| self.members.get(&seat));
        let others = self.members.iter().filter(|(seat, _)| Some(**seat) != host).map(|(_, m)| m);
        let members = hosting.into_iter().chain(others).map(|m| m.session);
        for session in members.chain(self.held.iter().map(|h| h.joiner.session)) {
            refuse(session, Close::Restart, out);
        }
        self.held.clear();
        self.returning.clear();
    }

    // === speaking ===

    fn forward(
        &mut self,
        outside: Outside<'_>,
        session: SessionId,
        kind: Kind,
        dst: &PeerId,
        frame: Frame,
        out: &mut Vec<Output>,
    ) {
        let Some(src) = self.id_of(session).cloned() else { return };
        if let Some(to) = self.session_of(dst) {
            if kind.acquaints() {
                self.acquaint(&src, dst);
            }
            out.push(Output::Tell { to, frame });
        } else if kind.waits() && self.waiting.park(outside.now, self.rules.expire, &src, dst, kind, &frame).is_err() {
            out.push(Output::Tell { to: session, frame: wire::expire(dst.as_str(), &src) });
        }
    }

    fn acquaint(&mut self, one: &PeerId, other: &PeerId) {
        for (who, whom) in [(one, other), (other, one)] {
            if let Some(member) = self.by_id.get(who).and_then(|seat| self.members.get_mut(seat)) {
                member.contacts.meet(whom);
            }
        }
    }

    /// Data goes between group members only. What comes from a host that is host no more goes to its successor, who
    /// knows it by its epoch.
    fn relay(&self, session: SessionId, dst: Option<&PeerId>, frame: &Frame, out: &mut Vec<Output>) {
        let Some((seat, sender)) = self.seat_of(session).and_then(|seat| Some((seat, self.members.get(&seat)?))) else { return };
        if self.rules.terms.relay.is_none() || sender.group == 0 {
            return;
        }
        let mut tell = |member: &Member| {
            if member.group > 0 {
                out.push(Output::Tell { to: member.session, frame: frame.clone() });
            }
        };
        let host = self.host_seat();
        match dst {
            Some(dst) => self.by_id.get(dst).and_then(|seat| self.members.get(seat)).into_iter().for_each(&mut tell),
            None if host == Some(seat) => {
                self.members.iter().filter(|(s, m)| **s != seat && m.status.relay).for_each(|(_, m)| tell(m));
            }
            None => host.and_then(|host| self.members.get(&host)).into_iter().for_each(&mut tell),
        }
    }

    fn status(&mut self, outside: Outside<'_>, session: SessionId, update: StatusUpdate, out: &mut Vec<Output>) {
        let Some(seat) = self.seat_of(session) else { return };
        let new_profile = self.members.get_mut(&seat).is_some_and(|m| m.status.update(update));
        self.note_visibility(outside, seat);
        if new_profile {
            self.tell_host_of(seat, out);
        }
    }

    // === time ===

    fn alive(&mut self, session: SessionId, out: &mut Vec<Output>) {
        let Some(id) = self.id_of(session) else { return };
        let id = id.clone();
        if let Some(held) = self.take_held(&id) {
            refuse(held.joiner.session, Close::IdTaken, out);
        }
    }

    fn timer(&mut self, outside: Outside<'_>, out: &mut Vec<Output>) {
        let now = outside.now;
        self.end_recovery(outside, out);
        self.settle(outside, out);
        while let Some(held) = self.held.front().filter(|h| h.until <= now) {
            // the newcomer is let in by the departure of the one who did not answer
            match self.session_of(&held.joiner.id) {
                Some(silent) => self.dismiss(outside, silent, Close::Timeout, Departure::Silent, out),
                None => drop(self.held.pop_front()),
            }
        }
        while self.gone_for_good().is_some_and(|r| r.until <= now)
            && let Some(gone) = self.returning.pop_front()
        {
            self.say_gone(&gone, out);
        }
        for (src, absent) in self.waiting.expire(now) {
            if let Some(to) = self.session_of(&src) {
                out.push(Output::Tell { to, frame: wire::expire(absent.as_str(), &src) });
            }
        }
        if self.sweep_at.is_some_and(|at| at <= now) {
            self.sweep(outside, out);
        }
        self.end_probe(outside, out);
    }

    /// Dismisses who was silent for too long. It is the page that does so, not the session: one that is jammed by a
    /// client that stops reading runs no timer of its own.
    fn sweep(&mut self, outside: Outside<'_>, out: &mut Vec<Output>) {
        let mut silent = Vec::new();
        for (seat, member) in &self.members {
            if self.silence_ends(outside, *seat, member) <= outside.now {
                silent.push((Some(*seat) == self.host_seat(), member.session));
            }
        }
        // the host last, so that none of the others that are gone as well is elected
        silent.sort_unstable();
        for (_, session) in silent {
            self.dismiss(outside, session, Close::Timeout, Departure::Silent, out);
        }
        let next = self.members.iter().map(|(seat, member)| self.silence_ends(outside, *seat, member)).min();
        self.sweep_at = next.map(|at| at.max(Time(outside.now.0 + 1)));
    }

    /// When a member that goes on saying nothing is taken for gone.
    fn silence_ends(&self, outside: Outside<'_>, seat: Seat, member: &Member) -> Time {
        let heard = (outside.heard)(member.session);
        let ends = heard.plus(self.rules.timeout);
        match self.term {
            // before it was host it was not watched as closely
            Term::Hosted { host, since, .. } if host == seat => ends.min(heard.max(since).plus(self.rules.host_timeout)),
            Term::Hosted { .. } | Term::Vacant { .. } | Term::Open { .. } | Term::Recovering { .. } => ends,
        }
    }

    /// Sees to it that a member that says nothing more is noticed in time.
    fn watch(&mut self, outside: Outside<'_>, seat: Seat) {
        if let Some(at) = self.members.get(&seat).map(|member| self.silence_ends(outside, seat, member)) {
            self.sweep_at = Some(self.sweep_at.map_or(at, |sweep_at| sweep_at.min(at)));
        }
    }
}

fn refuse(session: SessionId, close: Close, out: &mut Vec<Output>) {
    out.push(Output::Dismiss { session, close });
}
