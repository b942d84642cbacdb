//! The deputy: the member that hosts next, named in advance where members need a data channel to the host.
//!
//! Where nothing may be relayed to a member, a change of host costs it a dial, which takes seconds on rough networks. So the
//! server names the next host while the present one lives, and these members keep a data channel to both.

use std::time::Duration;

use crate::page::election::{Candidate, fittest, pick};
use crate::page::member::{Member, Seat};
use crate::protocol::outgoing;
use crate::time::Time;

use super::hosting::Term;
use super::{Env, Output, PageState};

/// Least time before a deputy is judged. A page whose dials take longer gives it the fair time.
const TERM: Duration = Duration::from_secs(10);
/// Most times that this time is doubled. It is doubled after each deputy that was not reached, but for the first: where
/// members reach nobody, changing the deputy helps nobody and costs dials.
const MOST_DOUBLINGS: u32 = 5;
/// Time without a join or leave before a deputy is judged, and the least time between two judgements.
const CALM: Duration = Duration::from_secs(2);

/// The deputy of a page and when it is next judged.
#[derive(Debug, Default)]
pub struct Deputy {
    seat: Option<Seat>,
    /// Number of changes of the deputy so far. Members note the last one they were told of.
    number: u64,
    /// When the present deputy was named.
    since: Time,
    /// Number of deputies in a row that were replaced because they were not reached.
    unreached: u32,
    /// When a member last joined or left.
    moved_at: Time,
    /// When a deputy was last judged.
    judged_at: Time,
    /// Whether anything that matters for the judgement has changed since.
    changed: bool,
    /// Whether there may be members that were told of another deputy.
    untold: bool,
}

impl Deputy {
    /// Notes that a member has joined or left, or has a new socket.
    pub const fn moved(&mut self, now: Time) {
        self.moved_at = now;
        self.changed = true;
    }

    /// Notes that what members say of themselves, or who hosts, has changed.
    pub const fn touch(&mut self) {
        self.changed = true;
    }

    /// Returns the number of the present deputy.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Notes that a member may have been told of a deputy by another actor of this page.
    pub const fn resumed(&mut self) {
        self.untold = true;
    }

    fn name(&mut self, seat: Option<Seat>, now: Time) {
        *self = Self {
            seat,
            number: self.number + 1,
            since: now,
            changed: true,
            untold: true,
            ..*self
        };
    }

    /// Returns when the deputy is next judged, on a page with that `fair` time.
    #[must_use]
    pub fn next_deadline(&self, fair: Duration) -> Option<Time> {
        let term = fair.max(TERM) * (1 << self.unreached.saturating_sub(1).min(MOST_DOUBLINGS));
        let at = self.since.plus(term).max(self.moved_at.plus(CALM)).max(self.judged_at.plus(CALM));
        (self.seat.is_some() && self.changed).then_some(at)
    }
}

impl PageState {
    /// Returns the seat of the deputy.
    pub(super) const fn deputy_seat(&self) -> Option<Seat> {
        self.deputy.seat
    }

    /// Returns whether members of this page are told of a deputy, if there is one.
    pub(super) fn has_deputies(&self) -> bool {
        self.is_named() && self.rules.deputies > 0
    }

    /// Returns whether `member` dials the deputy: a group member to whom nothing may be relayed.
    pub(super) fn dials_deputy(&self, member: &Member) -> bool {
        self.has_deputies() && needs_channel(self.relays(), member)
    }

    /// Returns whether the member on `seat` can follow the host: a group member that may host, and says that it can.
    fn may_be_deputy(&self, seat: Seat) -> bool {
        self.members.get(&seat).is_some_and(|m| m.group > 0 && m.rights.host && self.is_eligible(m))
    }

    /// Returns the deputy if it can take over now: it runs, and was heard from lately.
    pub(super) fn ready_deputy(&self, outside: Env<'_>) -> Option<Seat> {
        let seat = self.deputy.seat.filter(|seat| self.may_be_deputy(*seat))?;
        self.members
            .get(&seat)
            .filter(|m| self.was_heard(outside, m) && runs(outside, m))
            .map(|_| seat)
    }

    /// Names a deputy if there is none, and another one if the present one has to go.
    pub(super) fn review_deputy(&mut self, outside: Env<'_>, out: &mut Vec<Output>) {
        let Some(host) = self.host_seat().filter(|_| self.has_deputies() && self.needs_dialling())
        else {
            return if self.deputy.seat.is_some() {
                self.name_deputy(outside, None, out)
            };
        };
        let seat = self.deputy.seat.filter(|seat| *seat != host && self.may_be_deputy(*seat));
        let Some(seat) = seat else {
            let next = self.pick_deputy(outside, host, None);
            return if next.is_some() || self.deputy.seat.is_some() {
                self.name_deputy(outside, next, out)
            };
        };
        if self.deputy.next_deadline(self.dials.fair()).is_some_and(|at| at <= outside.now) {
            let (is_reached, pending) = self.judge_deputy(outside, host, seat);
            (self.deputy.judged_at, self.deputy.changed) = (outside.now, pending);
            let is_fit = || self.fit_as_deputy(outside, host, None).iter().any(|c| c.who == seat);
            let next = if is_reached && is_fit() {
                None
            } else {
                self.pick_deputy(outside, host, Some(seat))
            };
            if is_reached {
                self.deputy.unreached = 0;
            } else if next.is_some() {
                self.deputy.unreached = self.deputy.unreached.saturating_add(1);
            }
            if next.is_some() {
                self.name_deputy(outside, next, out);
            }
        }
    }

    /// Returns whether at least half of the members that dial the deputy have a data channel to it, or are yet to have had
    /// the fair time to dial it; and whether any of them still has that time.
    fn judge_deputy(&self, outside: Env<'_>, host: Seat, deputy: Seat) -> (bool, bool) {
        let Some(id) = self.members.get(&deputy).map(|m| &m.id) else { return (false, false) };
        let (mut dialling, mut missing, mut pending) = (0, 0, false);
        for (seat, member) in &self.members {
            if *seat == host || *seat == deputy || !member.status.p2p || !self.dials_deputy(member)
            {
                continue;
            }
            dialling += 1;
            if !member.status.has_channel(id) {
                let has_time =
                    outside.now < self.deputy.since.max(member.came).plus(self.dials.fair());
                pending |= has_time;
                missing += usize::from(!has_time);
            }
        }
        (missing * 2 <= dialling, pending)
    }

    /// Returns the members fittest to follow `host`. Of these, members with a data channel to the host come first, since
    /// others may be out of reach of everybody; then members with another network address, since a house that goes offline
    /// takes all its members along.
    fn fit_as_deputy(
        &self,
        outside: Env<'_>,
        host: Seat,
        except: Option<Seat>,
    ) -> Vec<Candidate<Seat>> {
        let others =
            self.members.iter().filter(|(seat, _)| **seat != host && Some(**seat) != except);
        let able = others.filter(|(seat, _)| self.may_be_deputy(**seat));
        let candidate = |(seat, m): (&Seat, &Member)| Candidate {
            present: !self.is_leaving(*seat),
            ..self.candidate(*seat, m, runs(outside, m))
        };
        let mut fit = fittest(able.map(candidate).collect());
        let Some(host) = self.members.get(&host) else { return fit };
        let is_linked = |m: &Member| m.status.has_channel(&host.id);
        let is_elsewhere = |m: &Member| m.address != host.address;
        for merit in [&is_linked as &dyn Fn(&Member) -> bool, &is_elsewhere] {
            let has_merit = |c: &Candidate<Seat>| self.members.get(&c.who).is_some_and(merit);
            if fit.iter().any(has_merit) {
                fit.retain(has_merit);
            }
        }
        fit
    }

    fn pick_deputy(&self, outside: Env<'_>, host: Seat, except: Option<Seat>) -> Option<Seat> {
        // the host may have been picked by the same number in this step
        let random = outside.random.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        pick(&self.fit_as_deputy(outside, host, except), self.rules.policy, random)
    }

    fn name_deputy(&mut self, outside: Env<'_>, seat: Option<Seat>, out: &mut Vec<Output>) {
        self.deputy.name(seat, outside.now);
        self.challenge.suspicions.touch();
        let id = seat.and_then(|seat| self.members.get(&seat)).map(|m| m.id.clone());
        out.push(Output::Deputy { id });
    }

    /// `DEPUTY`, to all who dial it and were last told of another one.
    pub(super) fn tell_of_deputy(&mut self, out: &mut Vec<Output>) {
        if !matches!(self.term, Term::Hosted { .. }) || !std::mem::take(&mut self.deputy.untold) {
            return;
        }
        let number = self.deputy.number;
        let untold = |m: &&Member| m.told_deputy != Some(number) && self.dials_deputy(m);
        let to: Vec<_> = self.members.values().filter(untold).map(|m| m.session).collect();
        if !to.is_empty() {
            let deputy = self.deputy.seat.and_then(|seat| self.members.get(&seat));
            let frame = outgoing::deputy(deputy.map(|m| &m.id));
            out.extend(to.into_iter().map(|to| Output::Send { to, frame: frame.clone() }));
        }
        self.members.values_mut().for_each(|m| m.told_deputy = Some(number));
    }
}

/// Returns whether a group member can be reached by a data channel alone: nothing `relays`, or not to it.
pub(super) const fn needs_channel(relays: bool, member: &Member) -> bool {
    member.group > 0 && !(relays && member.rights.relay)
}

/// Returns whether the page of `member` runs: it was not found stalled, or has sent a text frame since.
pub(super) fn runs(outside: Env<'_>, member: &Member) -> bool {
    member.stalled_at.is_none_or(|spoken| (outside.texts_sent)(member.session) > spoken)
}
