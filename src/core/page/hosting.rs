//! Who hosts the page, and that everybody is told.

use crate::page::election::{Candidate, Policy, draw, fittest, pick};
use crate::page::member::{Departure, Member, Seat};
use crate::protocol::cause::Cause;
use crate::protocol::claim::{self, Claim, most_claimed};
use crate::protocol::id::{Epoch, PageKey, PageName, PeerId, SessionId};
use crate::protocol::outgoing::{self, Frame, RosterEntry};
use crate::time::Time;

use super::challenge::Challenge;
use super::deputy::{needs_channel, runs};
use super::{Announcement, Assignment, Env, Output, PageState};

/// From how many members on an election looks at a few before it looks at all. That is what the next host waits for.
const MANY: usize = 64;

/// Where a page stands with its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term {
    /// Nobody hosts: nobody is here (or the server drains).
    Vacant {
        /// The highest epoch anybody was told.
        told: Epoch,
    },
    /// The host has just left and the next is to be elected, in this same step.
    Open {
        /// The highest epoch anybody was told.
        told: Epoch,
        /// Why it is open.
        cause: Cause,
    },
    /// Somebody hosts.
    Hosted {
        /// Who.
        host: Seat,
        /// Its term.
        epoch: Epoch,
        /// How it came to host.
        cause: Cause,
        /// Since when: before that it was not watched as closely.
        since: Time,
        /// Whether all members were told.
        announced: bool,
    },
    /// A host that we were told of has yet to come back.
    Recovering {
        /// What we were told: the claim with the highest epoch.
        expected: Claim,
        /// How long we wait.
        until: Time,
        /// The highest epoch anybody was told before.
        told: Epoch,
    },
}

impl PageState {
    pub(super) const fn is_named(&self) -> bool {
        matches!(self.key, PageKey::Named(_))
    }

    pub(super) const fn host_seat(&self) -> Option<Seat> {
        match self.term {
            Term::Hosted { host, .. } => Some(host),
            Term::Vacant { .. } | Term::Open { .. } | Term::Recovering { .. } => None,
        }
    }

    /// Who hosts, or is to come back and host.
    #[must_use]
    pub fn assignment(&self) -> Option<(Epoch, PeerId)> {
        match &self.term {
            Term::Hosted { host, epoch, .. } => Some((*epoch, self.members.get(host)?.id.clone())),
            Term::Recovering { expected, .. } => Some((expected.epoch, expected.host.clone())),
            Term::Vacant { .. } | Term::Open { .. } => None,
        }
    }

    pub(super) const fn recovery_deadline(&self) -> Option<Time> {
        match self.term {
            Term::Recovering { until, .. } => Some(until),
            Term::Vacant { .. } | Term::Open { .. } | Term::Hosted { .. } => None,
        }
    }

    /// The highest epoch that anybody may know of.
    #[must_use]
    pub fn announced_epoch(&self) -> Epoch {
        match &self.term {
            Term::Vacant { told } | Term::Open { told, .. } => *told,
            Term::Hosted { epoch, .. } => *epoch,
            Term::Recovering { expected, told, .. } => expected.epoch.max(*told),
        }
    }

    /// Whether the member on `seat` was told what `claim` says.
    pub(super) fn was_told(&self, seat: Seat, claim: &Claim) -> bool {
        let told = self.members.get(&seat).and_then(|m| m.told);
        let (Some((epoch, host)), Some((first, _))) = (self.assignment(), told) else {
            return false;
        };
        (first..=epoch).contains(&claim.epoch) && (claim.epoch < epoch || claim.host == host)
    }

    // === changes ===

    /// What a newcomer, already a member, means for who hosts.
    pub(super) fn consider_newcomer(
        &mut self,
        outside: Env<'_>,
        seat: Seat,
        out: &mut Vec<Output>,
    ) {
        if !self.is_named() {
            return;
        }
        let Some(newcomer) = self.members.get(&seat) else { return };
        let (leads, claim) = (newcomer.group > 0 && newcomer.rights.host, newcomer.claim.clone());
        match (&mut self.term, claim) {
            (Term::Vacant { told } | Term::Open { told, .. }, None) => {
                let epoch = above(outside, *told);
                self.install(outside, seat, epoch, Cause::Left);
            }
            (Term::Vacant { told } | Term::Open { told, .. }, Some(expected)) => {
                let until = outside.now.plus(self.rules.recovery);
                self.term = Term::Recovering { expected, until, told: *told };
            }
            (Term::Recovering { expected, .. }, Some(claim)) if claim.epoch > expected.epoch => {
                *expected = claim
            }
            (Term::Recovering { .. }, _) | (Term::Hosted { .. }, None) => {}
            (&mut Term::Hosted { host, epoch, .. }, Some(claim)) => {
                self.weigh(outside, seat, &claim, host, epoch, out)
            }
        }
        if let Term::Recovering { expected, .. } = &self.term
            && self.by_id.contains_key(&expected.host)
        {
            self.recover(outside, out);
        }
        if let Term::Hosted { host, epoch, .. } = self.term
            && leads
            && self.members.get(&host).is_some_and(|h| h.group == 0)
        {
            self.elect(outside, seat, above(outside, epoch), Cause::Upgraded, out);
        }
    }

    /// A newcomer on a hosted page says who hosted when it was last here.
    fn weigh(
        &mut self,
        outside: Env<'_>,
        newcomer: Seat,
        claim: &Claim,
        host: Seat,
        epoch: Epoch,
        out: &mut Vec<Output>,
    ) {
        if self.members.get(&host).is_some_and(|h| h.id == claim.host) && claim.epoch == epoch {
            return;
        }
        if !self.has_history && outside.now < self.created.plus(self.rules.recovery) {
            // history outranks none: the claimed host if it is here, else whoever remembers it
            let claimed = self.by_id.get(&claim.host).copied();
            let next = claimed
                .into_iter()
                .chain([newcomer])
                .find(|seat| self.may_host(*seat))
                .unwrap_or(host);
            self.has_history = true;
            self.elect(
                outside,
                next,
                above(outside, epoch.max(claim.epoch)),
                Cause::Restarted,
                out,
            );
        } else if claim.epoch >= epoch {
            self.elect(outside, host, above(outside, claim.epoch), Cause::Restarted, out);
        }
    }

    /// Ends the recovery: what we were told stands if it can and nobody says otherwise, else one election.
    fn recover(&mut self, outside: Env<'_>, out: &mut Vec<Output>) {
        let Term::Recovering { expected, told, .. } = &self.term else { return };
        let (expected, told) = (expected.clone(), *told);
        self.term = Term::Vacant { told: expected.epoch.max(told) };
        let stranded = self.strand(outside, out);
        let claims: Vec<_> =
            self.members.values().filter_map(|m| Some((&m.id, m.claim.as_ref()?))).collect();
        let unanimous = claims.iter().all(|(_, claim)| **claim == expected);
        let seat_of = |id: &PeerId| self.by_id.get(id).copied().filter(|seat| self.may_host(*seat));
        // a group member always claims what it was told: one that does not has the id, as a ticket may name it, and no
        // memory of the term, in which nobody else may speak
        let remembers = |seat: &Seat| {
            self.members.get(seat).is_some_and(|host| host.group == 0 || host.claim.is_some())
        };
        let expected_host = seat_of(&expected.host)
            .filter(|_| unanimous && expected.epoch >= told)
            .filter(remembers);
        let claimed = most_claimed(&claims, |id| seat_of(id).is_some()).and_then(seat_of);
        self.has_history = true;
        let strangers = std::mem::take(&mut self.strangers);
        if let Some(host) = expected_host {
            self.install(outside, host, expected.epoch, Cause::Restarted);
            // one that resumes, and knows that it hosts, is given no new roster
            if self
                .members
                .get(&host)
                .and_then(|m| m.told)
                .is_some_and(|(_, last)| last == expected.epoch)
            {
                strangers.into_iter().for_each(|stranger| self.tell_host_of(stranger, out));
            }
        } else if let Some(host) = claimed.or_else(|| self.pick_host(outside)) {
            // `expected` is the highest claim there was
            self.elect(
                outside,
                host,
                above(outside, expected.epoch.max(told)),
                Cause::Restarted,
                out,
            );
        }
        self.members.values_mut().for_each(|m| m.claim = None);
        self.see_all_off(outside, stranded, out);
    }

    pub(super) fn end_recovery(&mut self, outside: Env<'_>, out: &mut Vec<Output>) {
        if self.recovery_deadline().is_some_and(|until| until <= outside.now) {
            self.recover(outside, out);
        }
    }

    /// A seat is empty; if it was the host's, somebody is to follow.
    pub(super) fn vacate(&mut self, seat: Seat, cause: Cause) {
        if self.host_seat() == Some(seat) {
            let told = self.announced_epoch();
            self.term =
                if self.draining { Term::Vacant { told } } else { Term::Open { told, cause } };
        }
    }

    /// Elects if a host has left, and tells all who do not know who hosts.
    pub(super) fn settle(&mut self, outside: Env<'_>, out: &mut Vec<Output>) {
        let mut stranded = Vec::new();
        if let Term::Open { told, cause } = self.term {
            self.term = Term::Vacant { told };
            stranded = self.strand(outside, out);
            if let Some(host) = self.pick_host(outside) {
                self.elect(outside, host, above(outside, told), cause, out);
            }
        }
        if matches!(self.term, Term::Hosted { announced: false, .. }) {
            self.review_deputy(outside, out);
        }
        if let Term::Hosted { host, epoch, cause, ref mut announced, .. } = self.term
            && !std::mem::replace(announced, true)
        {
            self.announce(host, epoch, cause, out);
        }
        self.see_all_off(outside, stranded, out);
    }

    fn see_all_off(&mut self, outside: Env<'_>, stranded: Vec<Member>, out: &mut Vec<Output>) {
        stranded.into_iter().for_each(|member| self.see_off(outside, member, Departure::Lost, out));
    }

    fn pick_host(&self, outside: Env<'_>) -> Option<Seat> {
        self.pick_other_than(None, outside)
    }

    /// Whoever is to host, but not `seat`: the deputy if it is ready, unless it is less fit for another reason than being
    /// hidden. Members dial the deputy in advance, so being visible counts for less.
    pub(super) fn pick_other_than(&self, seat: Option<Seat>, outside: Env<'_>) -> Option<Seat> {
        let candidate = |(other, m): (Seat, &Member)| {
            let runs_for_it = Some(other) != seat && m.rights.host;
            let is_fresh = || self.was_heard(outside, m) && runs(outside, m);
            let present = !self.is_leaving(other);
            runs_for_it.then(|| Candidate { present, ..self.candidate(other, m, is_fresh()) })
        };
        let members = || self.members.iter().map(|(seat, m)| (*seat, m));
        let deputy = self.ready_deputy(outside);
        // one that lacks nothing is among the fittest: it saves looking at all
        let best = |member: (Seat, &Member)| {
            candidate(member).filter(|c| self.lacks_nothing(c)).map(|c| c.who)
        };
        let found = match self.rules.policy {
            _ if self.members.len() < MANY || deputy.is_some() => None,
            Policy::Oldest => members().take(MANY).find_map(best),
            Policy::Random => draw(self.members.len(), outside.random, |n| {
                let seat = self.roster.nth(n)?;
                best((seat, self.members.get(&seat)?))
            }),
        };
        found.or_else(|| {
            let candidates: Vec<_> = members().filter_map(candidate).collect();
            let deputy =
                deputy.and_then(|deputy| candidates.iter().find(|c| c.who == deputy).copied());
            let fit = fittest(candidates);
            let is_fit = |deputy: &Candidate<_>| {
                let merits =
                    |c: &Candidate<_>| (c.group, c.present, c.eligible, c.reached, c.relay);
                fit.first().is_some_and(|best| merits(best) == merits(deputy))
            };
            deputy
                .filter(is_fit)
                .map(|c| c.who)
                .or_else(|| pick(&fit, self.rules.policy, outside.random))
        })
    }

    /// Returns whether no other member can be fitter than a candidate.
    fn lacks_nothing(&self, candidate: &Candidate<Seat>) -> bool {
        let Candidate { who: _, group, present, eligible, reached, relay, visible, fresh } =
            *candidate;
        let (group, relay) =
            (group || self.grouped == 0, relay || self.unrelayed == self.members.len());
        group && present && eligible && reached && relay && visible && fresh
    }

    /// Returns `member` as a candidate in an election.
    pub(super) fn candidate(&self, seat: Seat, member: &Member, fresh: bool) -> Candidate<Seat> {
        Candidate { eligible: self.is_eligible(member), ..member.candidate(seat, fresh) }
    }

    /// Returns whether `member` says that it can host. Where the host has to be dialled, one that opens no data channels
    /// cannot.
    pub(super) fn is_eligible(&self, member: &Member) -> bool {
        member.status.eligible && (member.status.p2p || !self.needs_dialling())
    }

    /// Returns whether there are members that cannot do without a data channel to the host.
    pub(super) fn needs_dialling(&self) -> bool {
        !self.relays() || self.unrelayed > 0
    }

    /// Returns whether `member` was heard from within `rules.fresh`.
    pub(super) fn was_heard(&self, outside: Env<'_>, member: &Member) -> bool {
        outside.now.since((outside.last_heard)(member.session)) <= self.rules.fresh
    }

    /// Who would be preferred to a host that is hidden, for being visible, and which of them are fresh. One that did not
    /// answer when it hosted is not.
    pub(super) fn fitter_than_hidden(&self, outside: Env<'_>, host: Seat) -> Vec<Candidate<Seat>> {
        let is_able = |seat: Seat, m: &Member| {
            seat == host
                || (m.stalled_at.is_none() && self.may_host(seat) && !self.is_leaving(seat))
        };
        let able = self.members.iter().filter(|(seat, m)| is_able(**seat, m));
        // one that may be about to go is as fit as the others until its time has come
        let mut fit = fittest(able.map(|(seat, m)| self.candidate(*seat, m, true)).collect());
        fit.retain(|c| c.visible && c.eligible);
        for c in &mut fit {
            c.fresh = self.members.get(&c.who).is_some_and(|m| self.was_heard(outside, m));
        }
        fit
    }

    /// While a group member is here only group members may host; and never one without the right.
    pub(super) fn may_host(&self, seat: Seat) -> bool {
        let member = self.members.get(&seat).filter(|m| m.rights.host);
        member.is_some_and(|m| m.group > 0 || self.grouped == 0)
    }

    pub(super) fn elect(
        &mut self,
        outside: Env<'_>,
        host: Seat,
        epoch: Epoch,
        cause: Cause,
        out: &mut Vec<Output>,
    ) {
        self.install(outside, host, epoch, cause);
        if let Some((epoch, host)) = self.assignment() {
            out.push(Output::Elected {
                assignment: Assignment { epoch, host, hosting: true },
                cause,
            });
        }
    }

    fn install(&mut self, outside: Env<'_>, host: Seat, epoch: Epoch, cause: Cause) {
        self.term = Term::Hosted { host, epoch, cause, since: outside.now, announced: false };
        self.watch(outside, host);
        self.challenge = Challenge::default();
        self.deputy.touch();
    }

    /// A member that was here before the page's actor died may have missed what happened meanwhile.
    pub(super) fn catch_up(&mut self, seat: Seat) {
        let last = self.members.get(&seat).and_then(|m| m.told).map(|(_, last)| last);
        if let Term::Hosted { epoch, ref mut announced, .. } = self.term {
            *announced &= last == Some(epoch);
        }
    }

    // === words ===

    /// Tells the host, which gets the roster, and then all others. No member other than the host costs anything here: the
    /// others are gone through by [`PageState::announce_to_others`] when the host's frame is on its way.
    fn announce(&mut self, host: Seat, epoch: Epoch, cause: Cause, out: &mut Vec<Output>) {
        let (Some(page), Some((_, host_id))) = (self.name().cloned(), self.assignment()) else {
            return;
        };
        self.spell_out(out);
        let members = self.members.len();
        let (fair_ms, number) = (self.dials.fair_ms(), self.deputy.number());
        let deputy =
            self.deputy_seat().and_then(|seat| self.members.get(&seat)).map(|m| m.id.clone());
        let encode = |p2p, may_relay: bool, dials_deputy: bool, roster| {
            let relay = (!may_relay).then_some(false);
            let deputy = deputy.as_ref().filter(|_| dials_deputy);
            outgoing::host(&outgoing::Host {
                page: &page,
                host: &host_id,
                epoch,
                cause,
                members,
                p2p,
                fair_ms,
                deputy,
                relay,
                roster,
            })
        };
        let assignment = Assignment { epoch, host: host_id.clone(), hosting: false };
        let frames = [false, true].map(|dials_deputy| {
            [(false, true), (true, true), (true, false)]
                .map(|(p2p, may_relay)| encode(p2p, may_relay, dials_deputy, None))
        });
        let first = self
            .members
            .get(&host)
            .filter(|m| !m.knows(epoch))
            .map(|m| (m.session, m.rights.relay, self.dials_deputy(m)));
        if let Some((to, may_relay, dials_deputy)) = first {
            let frame = encode(
                !may_relay || self.has_place(host),
                may_relay,
                dials_deputy,
                Some(&self.roster),
            );
            out.push(Output::AnnounceHost {
                to,
                frame,
                assignment: Assignment { hosting: true, ..assignment.clone() },
            });
            self.members.get_mut(&host).into_iter().for_each(|m| m.tell(epoch, number));
            self.note_roster();
        }
        let places = self.places();
        self.announced_at = Some(out.len());
        out.push(Output::AnnounceHostToOthers(Box::new(Announcement {
            assignment,
            frames,
            places,
            deputy: number,
        })));
        if self.needs_dialling() {
            // pages with a deputy are small, and who was told of which deputy is to be known in this step
            self.spell_out(out);
        }
    }

    /// Puts one output for each member in place of an [`Output::AnnounceHostToOthers`] of this step. Needed before another election, and
    /// before a member goes: they were told who hosts at that time.
    pub(super) fn spell_out(&mut self, out: &mut Vec<Output>) {
        let Some(at) = self.announced_at.take() else { return };
        let Some(Output::AnnounceHostToOthers(announcement)) = out.get(at).cloned() else { return };
        let mut others = Vec::new();
        self.announce_to_others(&announcement, |to, frame| {
            others.push(Output::AnnounceHost {
                to,
                frame,
                assignment: announcement.assignment.clone(),
            });
        });
        out.splice(at..=at, others);
    }

    /// Gives `each` the frame for every member that knows neither what `announcement` says nor of a later election.
    pub fn announce_to_others(
        &mut self,
        announcement: &Announcement,
        mut each: impl FnMut(SessionId, Frame),
    ) {
        let (epoch, mut places) = (announcement.assignment.epoch, announcement.places);
        let (has_deputies, relays) = (self.has_deputies(), self.relays());
        for (seat, member) in &mut self.members {
            let may_relay = member.rights.relay;
            let p2p = !may_relay || places > 0;
            places = places.saturating_sub(usize::from(may_relay));
            if member.told.is_none_or(|(_, last)| last < epoch) {
                member.tell(epoch, announcement.deputy);
                if self.leaving.has(seat) {
                    continue; // it has no socket
                }
                let dials_deputy = has_deputies && needs_channel(relays, member);
                let frames = &announcement.frames[usize::from(dials_deputy)];
                each(member.session, frames[usize::from(p2p) + usize::from(!may_relay)].clone());
            }
        }
    }

    /// Tells one that it is a member and who hosts; `aloud` with `OPEN`.
    pub(super) fn welcome(
        &mut self,
        outside: Env<'_>,
        seat: Seat,
        aloud: bool,
        out: &mut Vec<Output>,
    ) {
        let Some(member) = self.members.get(&seat) else { return };
        let (to, may_relay) = (member.session, member.rights.relay);
        let (Some(page), Some((epoch, host))) = (self.name(), self.assignment()) else {
            let open = aloud.then(outgoing::open);
            return out.push(Output::Welcome { to, open, assignment: None });
        };
        let hosting = self.host_seat() == Some(seat);
        let deputy = self
            .deputy_seat()
            .filter(|_| self.dials_deputy(member))
            .and_then(|seat| self.members.get(&seat));
        let open = aloud.then(|| {
            outgoing::open_page(&outgoing::Open {
                page,
                host: &host,
                epoch,
                members: self.members.len(),
                roster: hosting.then(|| self.entries()),
                p2p: !may_relay || self.has_place(seat),
                fair_ms: self.dials.fair_ms(),
                deputy: deputy.map(|m| &m.id),
                recovering: self.recovery_deadline().is_some(),
                up_ms: outside.now.0,
                terms: if may_relay { self.rules.terms } else { self.rules.terms.without_relay() },
                ice: &self.rules.ice.for_client(&member.id, outside.unix_ms),
            })
        });
        if aloud && let Some(member) = self.members.get_mut(&seat) {
            member.tell(epoch, self.deputy.number());
        }
        if aloud && hosting {
            self.note_roster();
        }
        out.push(Output::Welcome {
            to,
            open,
            assignment: Some(Assignment { epoch, host, hosting }),
        });
    }

    /// The host was given a roster: whoever is not in it, and comes back, is news to it.
    fn note_roster(&mut self) {
        self.returning.values_mut().for_each(|gone| gone.is_news = true);
    }

    /// Whether anything may be relayed on this page.
    pub(super) fn relays(&self) -> bool {
        self.is_named() && self.rules.terms.relay.is_some()
    }

    /// How many members may dial the host, besides those who cannot but dial it: those longest present.
    fn places(&self) -> usize {
        let host = self.host_seat().and_then(|host| self.members.get(&host));
        if !self.relays() || host.is_some_and(|host| !host.rights.relay) {
            return usize::MAX; // there is no other way
        }
        self.rules.star.saturating_sub(self.unrelayed)
    }

    /// Counted only as far as it matters, so that joining a large page costs what joining a small one does.
    fn has_place(&self, seat: Seat) -> bool {
        let places = self.places();
        let mut before =
            self.members.iter().take_while(|(s, _)| **s < seat).filter(|(_, m)| m.rights.relay);
        places == usize::MAX || before.by_ref().take(places).count() < places
    }

    /// Keeps a member's entry in the roster up to date. To be called when it joins and when its profile changes.
    pub(super) fn enrol(&mut self, seat: Seat) {
        if let Some(member) = self.members.get(&seat).filter(|_| self.is_named()) {
            self.roster.put(seat, &outgoing::roster_entry(&member.entry()));
        }
    }

    pub(super) fn entries(&self) -> Vec<RosterEntry<'_>> {
        self.members.values().map(Member::entry).collect()
    }

    const fn name(&self) -> Option<&PageName> {
        match &self.key {
            PageKey::Named(name) => Some(name),
            PageKey::Pageless => None,
        }
    }
}

/// Returns the epoch that follows `told`.
pub(super) fn above(outside: Env<'_>, told: Epoch) -> Epoch {
    claim::above(outside.unix_ms, told, outside.random)
}
