//! The conductor of a page: takes inputs, asks the parts, connects them.
//!
//! - [`join`], [`leave`], [`going_away`]: members and newcomers.
//! - [`messages`]: signalling, status and relay.
//! - [`timer`]: deadlines, and members that are silent.
//! - [`hosting`]: claims, recovery and elections; [`successor`]: the choice of a member.
//! - [`announce`]: `OPEN` and `HOST`.
//! - [`challenge`], [`deputy`]: a host that has to go while it is still here, and the member that
//!   follows.
//! - [`ways`]: members on other nodes.
//! - [`check`]: what must always be true.

mod announce;
mod challenge;
mod check;
mod deputy;
mod going_away;
mod hosting;
mod join;
mod leave;
mod messages;
mod successor;
mod timer;
mod ways;

use std::sync::Arc;

pub use check::InvariantViolation;

use crate::page::absent::{AbsentMember, AbsentMembers};
use crate::page::deputy::Deputy;
use crate::page::dials::Dials;
use crate::page::going_away::GoingAway;
use crate::page::handover::Handover;
use crate::page::io::{Env, Input, Output};
use crate::page::member::{Departure, JoinRequest};
use crate::page::parked::ParkedMessages;
use crate::page::pending_joins::PendingJoins;
use crate::page::profiles::ProfileThrottle;
use crate::page::roster::{Member, Roster};
use crate::page::rules::Rules;
use crate::page::silence::SilenceWatch;
use crate::page::term::Term;
use crate::page::ways::Ways;
use crate::protocol::claim::Claim;
use crate::protocol::close::Close;
use crate::protocol::id::{Epoch, PageKey, PageName, PeerId, SessionId};
use crate::time::Time;

/// One page: its members, and who hosts them.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use peerstar_core::epoch_clock::EpochClock;
/// use peerstar_core::page::election::Policy;
/// use peerstar_core::page::member::{JoinRequest, Rights, Way};
/// use peerstar_core::page::{Env, Handover, Input, Output, PageState, Rules};
/// use peerstar_core::protocol::ice::IceServers;
/// use peerstar_core::protocol::id::{Capabilities, PageKey, PageName, PeerId, SessionId};
/// use peerstar_core::protocol::outgoing::Terms;
/// use peerstar_core::time::Time;
///
/// # let second = Duration::from_secs(1);
/// # let terms = Terms {
/// #     relay: None, resume_ms: 30_000, ping_ms: 5000, expire_ms: 5000, return_ms: 3000,
/// #     profile_bytes: 1024, recovery_ms: 5000,
/// # };
/// let rules = Rules {
///     max_members: 100,
///     policy: Policy::Random,
///     // …
/// #     star: 100, deputies: 1, recovery: 5 * second, timeout: 15 * second, host_timeout: 6 * second,
/// #     fresh: 7 * second, return_after: 3 * second, expire: 5 * second, parked_bytes: 1 << 20,
/// #     probe: 2 * second, hidden: None, terms, ice: IceServers::new(Vec::new(), None),
/// };
/// let key = PageKey::Named(PageName::parse("kitchen")?);
/// let mut page = PageState::new(key, Arc::new(rules), Time(0), Handover::default());
///
/// let request = JoinRequest {
///     session: SessionId(1),
///     id: PeerId::parse("ann")?,
///     token: None,
///     group: 2,
///     can: Capabilities::default(),
///     rights: Rights::ALL,
///     address: None,
///     way: Way::Local,
///     claim: None,
///     resumed: None,
/// };
/// let now = Time(0);
/// let (last_heard, texts_sent) = (|_| now, |_| 0);
/// let epochs = EpochClock::start(1_700_000_000_000).read(now, 1_700_000_000_000);
/// let env = Env { now, epochs, random: 7, last_heard: &last_heard, texts_sent: &texts_sent };
/// let mut outputs = Vec::new();
/// page.handle(env, Input::Join(request), &mut outputs);
///
/// // the first member hosts, and is told so in its OPEN
/// assert!(matches!(&outputs[..], [Output::Welcome { assignment: Some(a), .. }] if a.hosting));
/// // from now on the page looks for members that fall silent
/// assert!(page.next_deadline().is_some());
/// # Ok::<(), peerstar_core::protocol::id::BadName>(())
/// ```
#[derive(Debug)]
pub struct PageState {
    key: PageKey,
    rules: Arc<Rules>,
    roster: Roster,
    term: Term,
    deputy: Deputy,
    dials: Dials,
    pending_joins: PendingJoins,
    parked: ParkedMessages,
    profiles: ProfileThrottle,
    going_away: GoingAway,
    absent: AbsentMembers,
    ways: Ways,
    silence: SilenceWatch,
    /// Index of the [`Output::AnnounceHostToOthers`] among the outputs of this step.
    announcement_at: Option<usize>,
    joins_seen: u64,
    /// Whether [`Output::Idle`] was put out since the last join.
    is_idle_reported: bool,
    /// When the clock of epochs is past the epoch of a page that is empty.
    idle_at: Option<Time>,
    is_draining: bool,
    /// Whether the page is on its own, as group members were told.
    is_alone: bool,
    /// Whether sessions that resume were told so. `None` if they come from a page on another node,
    /// and nobody here knows.
    was_alone: Option<bool>,
    /// The epoch and session of a host that came from a page on another node, and when it is told
    /// who is here.
    host_roster: Option<(Epoch, SessionId, Time)>,
}

impl PageState {
    /// Creates a page without members from what its predecessor left, if there was one.
    #[must_use]
    pub fn new(key: PageKey, rules: Arc<Rules>, now: Time, handover: Handover) -> Self {
        let Handover { announced_epoch, claim, is_alone, absent: handed_over, parked, dials } =
            handover;
        let mut absent = AbsentMembers::default();
        for (id, member) in handed_over {
            absent.insert(id, now, rules.return_after, member);
        }
        let mut term = Term::vacant(now, announced_epoch);
        if let Some(expected) = claim {
            term.recover(expected, now.plus(rules.recovery));
        }
        let roster = match key {
            PageKey::Named(_) => Roster::with_encoding(),
            PageKey::Pageless => Roster::default(),
        };
        Self {
            key,
            parked: parked.unwrap_or_else(|| ParkedMessages::new(rules.parked_bytes)),
            rules,
            roster,
            term,
            deputy: Deputy::default(),
            dials,
            pending_joins: PendingJoins::default(),
            profiles: ProfileThrottle::default(),
            going_away: GoingAway::default(),
            absent,
            ways: Ways::default(),
            silence: SilenceWatch::default(),
            announcement_at: None,
            joins_seen: 0,
            is_idle_reported: false,
            idle_at: None,
            is_draining: false,
            is_alone: is_alone.unwrap_or_default(),
            was_alone: is_alone,
            host_roster: None,
        }
    }

    /// Moves out what a successor is made from. Only reads and moves, because the actor of the page
    /// may have panicked.
    #[must_use]
    pub fn hand_over(&mut self) -> Handover {
        let announced_epoch = self.announced_epoch();
        let claim = self.assignment().map(|(epoch, host)| Claim { epoch, host });
        let awaits_roster = self.will_tell_host_roster();
        let mut absent: Vec<_> = self.absent.take_all().collect();
        for (seat, member) in self.roster.take_all() {
            let is_lost = !self.going_away.contains(seat);
            let is_news =
                awaits_roster || self.term.is_untold(seat) || self.profiles.is_pending(seat);
            let (id, token, contacts, profile) = member.into_parts();
            let member = AbsentMember {
                token,
                contacts,
                is_announced: true,
                is_lost,
                profile,
                is_awaited: is_lost,
                is_known: true,
                is_news,
            };
            absent.push((id, member));
        }
        let (parked, dials) =
            (Some(std::mem::take(&mut self.parked)), std::mem::take(&mut self.dials));
        let is_alone = Some(self.is_alone);
        Handover { announced_epoch, claim, is_alone, absent, parked, dials }
    }

    /// Handles one input. Appends to `out` what is to be done.
    pub fn handle(&mut self, env: Env<'_>, input: Input, out: &mut Vec<Output>) {
        let step_begin = out.len();
        self.announcement_at = None;
        let affects_hosting = !self.is_draining && affects_hosting(&input);
        if self.is_draining {
            self.dispatch_draining(env, input, out);
        } else {
            self.dispatch(env, input, out);
        }
        self.settle(env, out);
        if affects_hosting {
            self.review_deputy(env, out);
            self.weigh_suspicions(env, out);
            self.relieve_hidden_host(env, out);
            self.announce_deputy(out);
        }
        // a node whose members are gone may never come back
        self.ways.retain(|node| self.roster.is_on(node));
        self.withhold(step_begin, out);
        self.report_idle(env, out);
    }

    /// Says that the page may be forgotten: it is empty, and another page of its name begins with a
    /// higher epoch.
    fn report_idle(&mut self, env: Env<'_>, out: &mut Vec<Output>) {
        self.idle_at = None;
        if self.is_idle_reported || !self.is_idle() {
            return;
        }
        let wait = env.epochs.until_past(self.announced_epoch());
        if wait.is_zero() || self.is_draining {
            self.is_idle_reported = true;
            out.push(Output::Idle { joins_seen: self.joins_seen });
        } else {
            self.idle_at = Some(env.now.plus(wait));
        }
    }

    fn dispatch(&mut self, env: Env<'_>, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Join(request) => self.join(env, request, out),
            Input::SocketClosed { session, departure } => {
                self.socket_closed(env, session, departure, out)
            }
            Input::Drain => self.drain(out),
            Input::Forward { session, kind, dst, frame } => {
                self.forward(env, session, kind, &dst, frame, out)
            }
            Input::Status { session, update } => self.update_status(env, session, update, out),
            Input::Relay { session, dst, frame } => self.relay(session, dst.as_ref(), &frame, out),
            Input::Suspect { session, suspicion } => self.suspect(env, session, &suspicion, out),
            Input::Trust { session, suspicion } => self.trust(session, &suspicion),
            Input::Resign { session, epoch, to } => {
                self.resign(env, session, epoch, to.as_ref(), out)
            }
            Input::HostHeartbeat { session, epoch } => self.confirm_hosting(session, epoch, out),
            Input::Alive(session) => self.ping_answered(session, out),
            Input::Kick(id) => self.kick(env, &id, out),
            Input::LeaveWithoutSocket { id, token } => {
                self.leave_without_socket(env, &id, &token, out)
            }
            Input::Met { session, peers } => self.met(env, session, peers),
            Input::Undelivered { session, dst } => self.expire_undelivered(session, &dst, out),
            Input::Congested(session) => {
                self.dismiss(env, session, Close::Slow, Departure::Lost, out)
            }
            Input::Silent(session) => self.dismiss_reported(env, session, out),
            Input::Ran { session, ran } => self.note_ran(env, session, ran, out),
            Input::WayDown(node) => self.way_down(env, node, out),
            Input::WayUp(node) => self.way_up(node, out),
            Input::Alone(is_alone) => self.set_alone(is_alone, out),
            Input::Timer => self.timer(env, out),
        }
    }

    /// Handles an input while the server shuts down. Every client goes and comes back: nothing else
    /// matters any more.
    fn dispatch_draining(&mut self, env: Env<'_>, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Join(JoinRequest { session, .. }) => {
                out.push(Output::dismiss(session, Close::Restart));
            }
            Input::SocketClosed { session, departure } => {
                self.socket_closed(env, session, departure, out)
            }
            Input::Drain => self.drain(out),
            Input::Forward { .. }
            | Input::Status { .. }
            | Input::Relay { .. }
            | Input::Suspect { .. }
            | Input::Trust { .. }
            | Input::HostHeartbeat { .. }
            | Input::Resign { .. }
            | Input::Alive(_)
            | Input::Alone(_)
            | Input::Silent(_)
            | Input::Ran { .. }
            | Input::WayDown(_)
            | Input::WayUp(_)
            | Input::Kick(_)
            | Input::LeaveWithoutSocket { .. }
            | Input::Met { .. }
            | Input::Undelivered { .. }
            | Input::Congested(_)
            | Input::Timer => {}
        }
    }

    /// Returns who hosts, or for whom the page waits.
    #[must_use]
    pub fn assignment(&self) -> Option<(Epoch, PeerId)> {
        if let Some(expected) = self.term.expected() {
            return Some((expected.epoch, expected.host.clone()));
        }
        let hosting = self.term.hosting()?;
        Some((hosting.epoch, self.roster.get(hosting.host)?.id().clone()))
    }

    /// Returns whether the page waits for a host that members claim.
    #[must_use]
    pub const fn is_recovering(&self) -> bool {
        self.term.is_recovering()
    }

    /// Returns the highest epoch that any client may know of.
    #[must_use]
    pub fn announced_epoch(&self) -> Epoch {
        self.term.announced_epoch()
    }

    /// Returns the ids of the members, longest present first.
    pub fn ids(&self) -> impl Iterator<Item = &PeerId> {
        self.roster.iter().map(|(_, member)| member.id())
    }

    /// Returns the id of the deputy.
    #[must_use]
    pub fn deputy(&self) -> Option<&PeerId> {
        self.deputy_member().map(Member::id)
    }

    /// Returns whether a member has `id`.
    #[must_use]
    pub fn has(&self, id: &PeerId) -> bool {
        self.roster.seat_of(id).is_some()
    }

    /// Returns whether an absent member with that id may come back.
    #[must_use]
    pub fn may_return(&self, id: &PeerId) -> bool {
        self.absent.contains(id)
    }

    /// Returns the number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.roster.len()
    }

    /// Returns whether the page has no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roster.is_empty()
    }

    /// Returns the number of parked messages.
    #[must_use]
    pub fn parked(&self) -> usize {
        self.parked.len()
    }

    /// Returns the id of the member with that session.
    #[must_use]
    pub fn id_of(&self, session: SessionId) -> Option<&PeerId> {
        self.roster.find_session(session).map(|(_, member)| member.id())
    }

    /// Returns whether the page is empty and keeps nothing.
    fn is_idle(&self) -> bool {
        self.roster.is_empty()
            && self.pending_joins.is_empty()
            && self.absent.is_empty()
            && self.parked.is_empty()
            && !self.term.is_recovering()
    }

    /// Returns the session of the member with that id.
    #[must_use]
    pub fn session_of(&self, id: &PeerId) -> Option<SessionId> {
        self.roster.find(id).map(|(_, member)| member.session())
    }

    /// Returns the name of the page. Clients without a page have no host.
    const fn name(&self) -> Option<&PageName> {
        match &self.key {
            PageKey::Named(name) => Some(name),
            PageKey::Pageless => None,
        }
    }

    const fn is_named(&self) -> bool {
        self.name().is_some()
    }

    /// Returns the member that hosts.
    fn host_member(&self) -> Option<&Member> {
        self.roster.get(self.term.host()?)
    }

    /// Returns the member that is deputy.
    fn deputy_member(&self) -> Option<&Member> {
        self.roster.get(self.deputy.seat()?)
    }

    /// Returns whether anything may be relayed on this page.
    fn relays(&self) -> bool {
        self.is_named() && self.rules.terms.relay.is_some()
    }
}

/// Returns whether an input can change who hosts, who follows, or who could.
const fn affects_hosting(input: &Input) -> bool {
    !matches!(
        input,
        Input::Forward { .. }
            | Input::Relay { .. }
            | Input::HostHeartbeat { .. }
            | Input::Alive(_)
            | Input::Alone(_)
            | Input::Met { .. }
            | Input::Undelivered { .. }
            | Input::Drain
    )
}
