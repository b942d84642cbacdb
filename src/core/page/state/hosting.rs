//! Claims of newcomers, recovery after a restart, and elections.

use std::time::Duration;

use super::PageState;
use crate::page::io::{Assignment, Env, Output};
use crate::page::member::{Departure, JoinRequest, Seat};
use crate::page::roster::Member;
use crate::page::term::{Hosting, Recovery};
use crate::protocol::cause::Cause;
use crate::protocol::claim::{Claim, most_claimed};
use crate::protocol::id::{Epoch, PeerId};

/// Time between two hosts of a page that is far above the clock of epochs.
const REST: Duration = Duration::from_secs(1);

/// Time within which the members of a page that has moved say who they are.
pub(super) const ALL_RESUME_WITHIN: Duration = Duration::from_secs(2);

impl PageState {
    /// Decides whether a member that has just joined changes who hosts.
    pub(super) fn consider_newcomer(&mut self, env: Env<'_>, seat: Seat, out: &mut Vec<Output>) {
        let Some(newcomer) = self.roster.get(seat).filter(|_| self.is_named()) else { return };
        let can_lead_group = newcomer.is_group_member() && newcomer.rights().host;
        if self.term.is_open() {
            return; // a session that resumes while the page rests
        }
        let claim = newcomer.notes.claim.clone();
        match (self.term.hosting(), claim) {
            (Some(hosting), Some(claim)) => self.weigh_claim(env, seat, &claim, hosting, out),
            (Some(_), None) => {}
            (None, Some(claim)) if self.term.is_recovering() => self.term.raise_claim(claim),
            (None, None) if self.term.is_recovering() => {}
            (None, Some(claim)) => self.term.recover(claim, env.now.plus(self.rules.recovery)),
            (None, None) => self.begin_term(env, seat, self.next_epoch(env), Cause::Left),
        }
        if self.term.expected().is_some_and(|claim| self.roster.seat_of(&claim.host).is_some()) {
            self.end_recovery(env, out);
        }
        let is_host_stock = self.host_member().is_some_and(|host| !host.is_group_member());
        if can_lead_group && is_host_stock {
            self.elect(env, seat, self.next_epoch(env), Cause::Upgraded, out);
        }
    }

    /// Returns whether the page names a host if it lets a newcomer in, and rests. The newcomer is to
    /// come back then: it may not be told an older epoch than it knows.
    ///
    /// A session that resumes waits for nothing. There are no more of them than the page had
    /// members.
    pub(super) fn rests_for(&self, env: Env<'_>, request: &JoinRequest) -> bool {
        if !self.term.rests(env.now) || request.resumed.is_some() {
            return false;
        }
        let Some(Hosting { epoch, .. }) = self.term.hosting() else {
            return !self.term.is_recovering();
        };
        let Some(host) = self.host_member() else { return false };
        let upgrades = request.group > 0 && request.rights.host && !host.is_group_member();
        let may_follow = self.term.may_follow_claim(env.now, self.rules.recovery);
        upgrades
            || self.believed(env, request).is_some_and(|claim| {
                let is_known = (claim.epoch, &claim.host) == (epoch, host.id());
                !is_known && (may_follow || claim.epoch >= epoch)
            })
    }

    /// Returns the claim of a request if it can be true.
    ///
    /// What a session claims that resumes, its client was told by this server. What the page knows
    /// of anyway is no reason for doubt either.
    pub(super) fn believed<'a>(&self, env: Env<'_>, request: &'a JoinRequest) -> Option<&'a Claim> {
        request.claim.as_ref().filter(|claim| {
            request.resumed.is_some()
                || claim.epoch <= self.announced_epoch()
                || env.epochs.believes(claim.epoch)
        })
    }

    /// Weighs the claim of a newcomer on a page that has a host. The claim names the host and epoch
    /// that the newcomer was last told.
    fn weigh_claim(
        &mut self,
        env: Env<'_>,
        newcomer: Seat,
        claim: &Claim,
        hosting: Hosting,
        out: &mut Vec<Output>,
    ) {
        let Hosting { host, epoch, .. } = hosting;
        if self.host_member().is_some_and(|m| *m.id() == claim.host) && claim.epoch == epoch {
            return;
        }
        if self.term.may_follow_claim(env.now, self.rules.recovery) {
            // No claim was weighed before: the claimed host follows if it is here, else the member
            // that claims it.
            let claimed = self.roster.seat_of(&claim.host);
            let mut candidates = claimed.into_iter().chain([newcomer]);
            let next = candidates.find(|seat| self.may_host(*seat)).unwrap_or(host);
            self.term.note_claims_weighed();
            let epoch = env.epochs.next(epoch.max(claim.epoch), env.random);
            self.elect(env, next, epoch, Cause::Restarted, out);
        } else if claim.epoch >= epoch {
            let epoch = env.epochs.next(claim.epoch, env.random);
            self.elect(env, host, epoch, Cause::Restarted, out);
        }
    }

    /// Ends a recovery. The expected assignment stands if it can and no member disagrees, else
    /// there is one election.
    pub(super) fn end_recovery(&mut self, env: Env<'_>, out: &mut Vec<Output>) {
        let Some(recovery) = self.term.end_recovery() else { return };
        let Recovery { expected, announced, untold } = recovery;
        let hostless = self.dismiss_hostless(env, out);
        let claims: Vec<_> = self
            .roster
            .iter()
            .filter_map(|(_, m)| Some((m.id(), m.notes.claim.as_ref()?)))
            .collect();
        let is_unanimous = claims.iter().all(|(_, claim)| **claim == expected);
        let can_host = |id: &PeerId| self.roster.seat_of(id).filter(|seat| self.may_host(*seat));
        // A group member always claims what it was told. One without a claim may have the host's id
        // from a ticket, but does not remember the term. It must not stamp in that term.
        let remembers = |seat: &Seat| {
            let member = self.roster.get(*seat);
            member.is_some_and(|m| !m.is_group_member() || m.notes.claim.is_some())
        };
        let stands = is_unanimous && expected.epoch >= announced;
        let expected_host = can_host(&expected.host).filter(|_| stands).filter(remembers);
        let claimed = most_claimed(&claims, |id| can_host(id).is_some()).and_then(can_host);
        if let Some(host) = expected_host {
            self.begin_term(env, host, expected.epoch, Cause::Restarted);
            // a host that resumes knows that it hosts, and is sent no new roster at once
            let resumed = self.roster.get(host).filter(|m| m.notes.knows(expected.epoch));
            if let Some(session) = resumed.map(Member::session) {
                if self.was_alone.is_none() {
                    let at = env.now.plus(ALL_RESUME_WITHIN);
                    self.host_roster = Some((expected.epoch, session, at));
                }
                untold.into_iter().for_each(|seat| self.tell_host_of(seat, out));
            }
        } else if let Some(host) = claimed.or_else(|| self.choose_host(env, None)) {
            // no claim has a higher epoch than the expected one
            let epoch = env.epochs.next(expected.epoch.max(announced), env.random);
            self.elect(env, host, epoch, Cause::Restarted, out);
        }
        self.roster.iter_mut().for_each(|(_, m)| m.notes.claim = None);
        self.release_hostless(env, hostless, out);
    }

    /// Elects if a host has left and the page does not rest, and announces the host to all who do
    /// not know it.
    pub(super) fn settle(&mut self, env: Env<'_>, out: &mut Vec<Output>) {
        let mut hostless = Vec::new();
        let waits = self.term.rests(env.now) && !self.roster.is_empty();
        let cause = if waits { None } else { self.term.take_open() };
        if let Some(cause) = cause {
            hostless = self.dismiss_hostless(env, out);
            if let Some(host) = self.choose_host(env, None) {
                self.elect(env, host, self.next_epoch(env), cause, out);
            }
        }
        if self.term.hosting().is_some_and(|hosting| !hosting.is_announced) {
            self.review_deputy(env, out);
        }
        if let Some(hosting) = self.term.take_unannounced() {
            self.announce(hosting, out);
        }
        self.release_hostless(env, hostless, out);
    }

    fn release_hostless(&mut self, env: Env<'_>, hostless: Vec<Member>, out: &mut Vec<Output>) {
        hostless.into_iter().for_each(|member| self.release(env, member, Departure::Lost, out));
    }

    /// Begins the term of an elected host, and reports the election.
    pub(super) fn elect(
        &mut self,
        env: Env<'_>,
        host: Seat,
        epoch: Epoch,
        cause: Cause,
        out: &mut Vec<Output>,
    ) {
        self.begin_term(env, host, epoch, cause);
        if let Some((epoch, host)) = self.assignment() {
            let assignment = Assignment { epoch, host, hosting: true };
            out.push(Output::Elected { assignment, cause });
        }
    }

    fn begin_term(&mut self, env: Env<'_>, host: Seat, epoch: Epoch, cause: Cause) {
        let rests = env.epochs.is_far_below(epoch);
        self.term.begin(host, epoch, cause, env.now, rests.then(|| env.now.plus(REST)));
        self.watch_silence(env, host);
        self.deputy.touch();
    }

    /// Replaces the host: by `to` if that member can host, else by an election. The old host stays
    /// a member, and stays host if no other member can host, or the page rests.
    pub(super) fn replace_host(
        &mut self,
        env: Env<'_>,
        to: Option<Seat>,
        cause: Cause,
        out: &mut Vec<Output>,
    ) {
        if self.term.rests(env.now) {
            return; // who speaks against the host says so again
        }
        let old = self.term.host();
        let wanted = to.filter(|seat| Some(*seat) != old && self.may_host(*seat));
        let next = wanted.or_else(|| self.choose_host(env, old));
        if let Some(next) = next.filter(|next| self.may_host(*next)) {
            self.elect(env, next, self.next_epoch(env), cause, out);
        }
    }

    /// Announces the host again at the end of the step if the member on `seat` missed it. A member
    /// that was here before the page's actor died may have.
    pub(super) fn announce_if_missed(&mut self, seat: Seat) {
        let Some(hosting) = self.term.hosting() else { return };
        if !self.roster.get(seat).is_some_and(|m| m.notes.knows(hosting.epoch)) {
            self.term.announce_again();
        }
    }

    /// Returns the epoch of the next election.
    pub(super) fn next_epoch(&self, env: Env<'_>) -> Epoch {
        env.epochs.next(self.announced_epoch(), env.random)
    }
}
