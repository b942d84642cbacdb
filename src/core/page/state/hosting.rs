//! Claims of newcomers, recovery after a restart, and elections.

use super::PageState;
use crate::page::io::{Assignment, Env, Output};
use crate::page::member::{Departure, Seat};
use crate::page::roster::Member;
use crate::page::term::{Hosting, Recovery};
use crate::protocol::cause::Cause;
use crate::protocol::claim::{self, Claim, most_claimed};
use crate::protocol::id::{Epoch, PeerId};

impl PageState {
    /// Decides whether a member that has just joined changes who hosts.
    pub(super) fn consider_newcomer(&mut self, env: Env<'_>, seat: Seat, out: &mut Vec<Output>) {
        let Some(newcomer) = self.roster.get(seat).filter(|_| self.is_named()) else { return };
        let can_lead_group = newcomer.is_group_member() && newcomer.rights().host;
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
            let epoch = above(env, epoch.max(claim.epoch));
            self.elect(env, next, epoch, Cause::Restarted, out);
        } else if claim.epoch >= epoch {
            self.elect(env, host, above(env, claim.epoch), Cause::Restarted, out);
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
            // a host that resumes knows that it hosts, and is sent no new roster
            if self.roster.get(host).is_some_and(|m| m.notes.knows(expected.epoch)) {
                untold.into_iter().for_each(|seat| self.tell_host_of(seat, out));
            }
        } else if let Some(host) = claimed.or_else(|| self.choose_host(env, None)) {
            // no claim has a higher epoch than the expected one
            let epoch = above(env, expected.epoch.max(announced));
            self.elect(env, host, epoch, Cause::Restarted, out);
        }
        self.roster.iter_mut().for_each(|(_, m)| m.notes.claim = None);
        self.release_hostless(env, hostless, out);
    }

    /// Elects if a host has left, and announces the host to all who do not know it.
    pub(super) fn settle(&mut self, env: Env<'_>, out: &mut Vec<Output>) {
        let mut hostless = Vec::new();
        if let Some(cause) = self.term.take_open() {
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
        self.term.begin(host, epoch, cause, env.now);
        self.watch_silence(env, host);
        self.deputy.touch();
    }

    /// Replaces the host: by `to` if that member can host, else by an election. The old host stays
    /// a member, and stays host if no other member can host.
    pub(super) fn replace_host(
        &mut self,
        env: Env<'_>,
        to: Option<Seat>,
        cause: Cause,
        out: &mut Vec<Output>,
    ) {
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
        above(env, self.announced_epoch())
    }
}

/// Returns the epoch that follows `announced`.
fn above(env: Env<'_>, announced: Epoch) -> Epoch {
    claim::above(env.unix_ms, announced, env.random)
}
