//! Which member is deputy, and that members which dial it know it.

use super::PageState;
use super::successor::runs;
use crate::page::deputy::Judgement;
use crate::page::election::{Candidate, fittest, pick};
use crate::page::io::{Env, Output};
use crate::page::member::Seat;
use crate::page::roster::Member;
use crate::protocol::outgoing;

impl PageState {
    /// Returns whether members of this page are told of a deputy, if there is one.
    pub(super) fn has_deputies(&self) -> bool {
        self.is_named() && self.rules.deputies > 0
    }

    /// Returns whether `member` dials the deputy: a group member to which nothing may be relayed.
    pub(super) fn dials_deputy(&self, member: &Member) -> bool {
        self.has_deputies() && member.needs_channel(self.relays())
    }

    /// Returns whether the member on `seat` can follow the host: a group member that may host, and
    /// says that it can.
    fn may_be_deputy(&self, seat: Seat) -> bool {
        self.roster
            .get(seat)
            .is_some_and(|m| m.is_group_member() && m.rights().host && self.is_eligible(m))
    }

    /// Returns the deputy if it can take over now: its page runs, and it was heard from recently.
    pub(super) fn ready_deputy(&self, env: Env<'_>) -> Option<Seat> {
        let seat = self.deputy.seat().filter(|seat| self.may_be_deputy(*seat))?;
        self.roster.get(seat).filter(|m| self.was_heard(env, m) && runs(env, m)).map(|_| seat)
    }

    /// Names a deputy if there is none, and another one if the present one has to go.
    pub(super) fn review_deputy(&mut self, env: Env<'_>, out: &mut Vec<Output>) {
        let host = self.term.host().filter(|_| self.has_deputies() && self.needs_dialling());
        let Some(host) = host else {
            if self.deputy.seat().is_some() {
                self.name_deputy(env, None, out);
            }
            return;
        };
        let seat = self.deputy.seat().filter(|seat| *seat != host && self.may_be_deputy(*seat));
        let Some(seat) = seat else {
            let next = self.pick_deputy(env, host, None);
            if next.is_some() || self.deputy.seat().is_some() {
                self.name_deputy(env, next, out);
            }
            return;
        };
        if self.deputy.next_deadline(self.dials.fair()).is_some_and(|at| at <= env.now) {
            if !self.roster.get(seat).is_some_and(|m| self.is_judged(env, m.way())) {
                return self.deputy.postpone(env.now);
            }
            let judgement = self.judge_deputy(env, host, seat);
            let is_fit = || self.fit_as_deputy(env, host, None).iter().any(|c| c.member == seat);
            let next = if judgement.is_reached && is_fit() {
                None
            } else {
                self.pick_deputy(env, host, Some(seat))
            };
            self.deputy.judged(judgement, next.is_some(), env.now);
            if next.is_some() {
                self.name_deputy(env, next, out);
            }
        }
    }

    /// Judges whether the members that dial the deputy have a data channel to it. A member that has
    /// not had the fair time to dial it counts as one that has.
    fn judge_deputy(&self, env: Env<'_>, host: Seat, deputy: Seat) -> Judgement {
        let Some(id) = self.roster.get(deputy).map(Member::id) else {
            return Judgement { is_reached: false, is_pending: false };
        };
        let (mut dialling, mut missing, mut is_pending) = (0, 0, false);
        for (seat, member) in self.roster.iter() {
            let dials = member.status().p2p && self.dials_deputy(member);
            if seat == host || seat == deputy || !dials {
                continue;
            }
            dialling += 1;
            if !member.status().has_channel(id) {
                let began = self.deputy.since().max(member.joined_at());
                let has_time = env.now < began.plus(self.dials.fair());
                is_pending |= has_time;
                missing += usize::from(!has_time);
            }
        }
        Judgement { is_reached: missing * 2 <= dialling, is_pending }
    }

    /// Returns the members fittest to follow `host`.
    ///
    /// Members with a data channel to the host come first, since others may be out of reach of all.
    /// Next come members with another network address, since a house that goes offline takes all
    /// its members along.
    fn fit_as_deputy(
        &self,
        env: Env<'_>,
        host: Seat,
        except: Option<Seat>,
    ) -> Vec<Candidate<Seat>> {
        let others = self.roster.iter().filter(|(seat, _)| *seat != host && Some(*seat) != except);
        let able = others.filter(|(seat, _)| self.may_be_deputy(*seat));
        let candidate = |(seat, m): (Seat, &Member)| Candidate {
            present: self.is_in_touch(seat),
            fresh: runs(env, m),
            ..self.candidate(seat, m)
        };
        let mut fit = fittest(able.map(candidate).collect());
        let Some(host) = self.roster.get(host) else { return fit };
        let has_link = |m: &Member| m.status().has_channel(host.id());
        let is_elsewhere = |m: &Member| m.address() != host.address();
        for merit in [&has_link as &dyn Fn(&Member) -> bool, &is_elsewhere] {
            let has_merit = |c: &Candidate<Seat>| self.roster.get(c.member).is_some_and(merit);
            if fit.iter().any(has_merit) {
                fit.retain(has_merit);
            }
        }
        fit
    }

    fn pick_deputy(&self, env: Env<'_>, host: Seat, except: Option<Seat>) -> Option<Seat> {
        // another number than for the host, which may have been picked in this step
        let random = env.random.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        pick(&self.fit_as_deputy(env, host, except), self.rules.policy, random)
    }

    fn name_deputy(&mut self, env: Env<'_>, seat: Option<Seat>, out: &mut Vec<Output>) {
        self.deputy.name(seat, env.now);
        self.term.challenge_mut().suspicions_mut().touch();
        out.push(Output::Deputy { id: self.deputy().cloned() });
    }

    /// Sends `DEPUTY` to all members that dial the deputy and were last told of another one.
    pub(super) fn announce_deputy(&mut self, out: &mut Vec<Output>) {
        if self.term.host().is_none() || !self.deputy.take_unannounced() {
            return;
        }
        let number = self.deputy.number();
        let is_outdated =
            |m: &Member| m.notes.announced_deputy != Some(number) && self.dials_deputy(m);
        let members = self.roster.iter().map(|(_, member)| member);
        let receivers: Vec<_> = members.filter(|m| is_outdated(m)).map(Member::session).collect();
        if !receivers.is_empty() {
            let frame = outgoing::deputy(self.deputy());
            out.extend(receivers.into_iter().map(|to| Output::Send { to, frame: frame.clone() }));
        }
        self.roster.iter_mut().for_each(|(_, m)| m.notes.announced_deputy = Some(number));
    }
}
