//! A host that is still here, but may have to go: suspected, hidden, or willing.

use std::time::Duration;

use super::hosting::above;
use super::suspicion::Suspicions;
use super::{Env, Output, PageState};
use crate::page::deadline_map::DeadlineMap;
use crate::page::election::{Candidate, pick};
use crate::page::member::{Member, Seat};
use crate::protocol::cause::Cause;
use crate::protocol::id::{Epoch, PeerId, SessionId};
use crate::protocol::incoming::Suspicion;
use crate::protocol::outgoing;
use crate::time::Time;

/// What speaks against the present host. Begins anew with each term.
#[derive(Debug, Default)]
pub struct Challenge {
    /// Its page was asked to answer.
    probe: Option<Probe>,
    /// Members that hear nothing of it, and have no other way to it: nothing may be relayed between the two.
    pub(super) suspicions: Suspicions,
    /// Who is fitter than it for being visible, while it is hidden, and when each has been for long enough to follow it.
    relief: DeadlineMap<Seat, ()>,
}

#[derive(Debug)]
struct Probe {
    until: Time,
    /// How many text frames it had sent.
    spoken: u64,
}

impl Challenge {
    pub(super) fn next_deadline(&self, fair: Duration) -> Option<Time> {
        let probe = self.probe.as_ref().map(|probe| probe.until);
        [probe, self.relief.next_deadline(), self.suspicions.ripens_at(fair)]
            .into_iter()
            .flatten()
            .min()
    }
}

impl PageState {
    pub(super) fn suspect(
        &mut self,
        outside: Env<'_>,
        session: SessionId,
        suspicion: &Suspicion,
        out: &mut Vec<Output>,
    ) {
        let (Some(host), Some((epoch, id))) = (self.host_seat(), self.assignment()) else { return };
        // a stock client knows no PROBE: whoever suspects it could depose it
        let grouped = |seat: Seat| self.members.get(&seat).filter(|m| m.group > 0);
        let Some(seat) = self.seat_of(session).filter(|seat| *seat != host) else { return };
        let Some(suspecting) = grouped(seat) else { return };
        let Some(suspected) =
            grouped(host).filter(|_| suspicion.epoch == epoch && suspicion.host == id)
        else {
            return;
        };
        // one that opens no data channels reaches nobody
        if !self.may_relay_between(suspecting, suspected) && suspecting.status.p2p {
            self.challenge.suspicions.begin(seat, outside.now);
        }
        if let Some(to) = self
            .members
            .get(&host)
            .map(|host| host.session)
            .filter(|_| self.challenge.probe.is_none())
        {
            self.challenge.probe = Some(Probe {
                until: outside.now.plus(self.rules.probe),
                spoken: (outside.texts_sent)(to),
            });
            out.push(Output::Send { to, frame: outgoing::probe(epoch) });
        }
    }

    /// A member hears the host again.
    pub(super) fn trust(&mut self, session: SessionId, suspicion: &Suspicion) {
        let is_current = self
            .assignment()
            .is_some_and(|(epoch, id)| suspicion.epoch == epoch && suspicion.host == id);
        if let Some(seat) = self.seat_of(session).filter(|_| is_current) {
            self.challenge.suspicions.end(seat);
        }
    }

    /// Replaces a host that more than half of the members, and at least two, cannot reach. Where there are deputies: by the
    /// deputy, and only if more members reach that one.
    pub(super) fn weigh_suspicions(&mut self, outside: Env<'_>, out: &mut Vec<Output>) {
        let Some(host) = self.host_seat() else { return };
        let Some(many) = self.challenge.suspicions.weigh(outside.now, self.dials.fair()) else {
            return;
        };
        if many < 2 || many * 2 <= self.members.len() {
            return;
        }
        let next = if self.rules.deputies == 0 {
            self.pick_other_than(Some(host), outside).filter(|next| self.may_host(*next))
        } else {
            self.deputy_seat().filter(|deputy| self.reach(*deputy) > self.reach(host))
        };
        if let Some(next) = next {
            self.dials.strain(outside.now);
            self.members.get_mut(&host).into_iter().for_each(|host| host.out_of_reach = true);
            self.elect(
                outside,
                next,
                above(outside, self.announced_epoch()),
                Cause::Unreachable,
                out,
            );
            self.settle(outside, out);
        }
    }

    /// Returns how many group members reach the member on `seat`: over the relay, or by a data channel that they do not
    /// suspect.
    fn reach(&self, seat: Seat) -> usize {
        let Some(to) = self.members.get(&seat) else { return 0 };
        let is_host = self.host_seat() == Some(seat);
        let suspects = |other: Seat| is_host && self.challenge.suspicions.counts(other);
        let linked = |other: Seat, m: &Member| m.status.has_channel(&to.id) && !suspects(other);
        let others = self.members.iter().filter(|(other, m)| **other != seat && m.group > 0);
        others.filter(|(other, m)| self.may_relay_between(m, to) || linked(**other, m)).count()
    }

    /// Returns whether data of one of the two may be relayed to the other.
    fn may_relay_between(&self, one: &Member, other: &Member) -> bool {
        self.relays() && one.rights.relay && other.rights.relay
    }

    pub(super) fn end_probe(&mut self, outside: Env<'_>, out: &mut Vec<Output>) {
        let Some(Probe { spoken, .. }) =
            self.challenge.probe.take_if(|probe| probe.until <= outside.now)
        else {
            return;
        };
        let host = self.host_seat().and_then(|host| self.members.get_mut(&host));
        if let Some(host) = host.filter(|host| (outside.texts_sent)(host.session) == spoken) {
            host.stalled_at = Some(spoken);
            self.replace_host(outside, None, Cause::Stalled, out);
        }
    }

    pub(super) fn resign(
        &mut self,
        outside: Env<'_>,
        session: SessionId,
        epoch: Epoch,
        to: Option<&PeerId>,
        out: &mut Vec<Output>,
    ) {
        let current = self.assignment().is_some_and(|(current, _)| current == epoch);
        if current && self.seat_of(session).is_some() && self.seat_of(session) == self.host_seat() {
            let to = to.and_then(|to| self.by_id.get(to).copied());
            self.replace_host(outside, to, Cause::Resigned, out);
        }
    }

    /// A host that is hidden gives way to one that has been fitter for a while: that one has its state by then.
    pub(super) fn relieve_hidden_host(&mut self, outside: Env<'_>, out: &mut Vec<Output>) {
        let Some(patience) = self.rules.hidden else { return };
        let hidden = self
            .host_seat()
            .filter(|seat| self.members.get(seat).is_some_and(|host| !host.status.visible));
        let mut fitter =
            hidden.map(|host| self.fitter_than_hidden(outside, host)).unwrap_or_default();
        let before = std::mem::take(&mut self.challenge.relief);
        for Candidate { who, fresh, .. } in &fitter {
            let until = before.get(who).map(|(until, ())| until);
            // who may be gone when its time comes begins anew
            let until = until.filter(|until| *fresh || outside.now < *until);
            self.challenge.relief.insert(
                *who,
                until.unwrap_or_else(|| outside.now.plus(patience)),
                (),
            );
        }
        if self.challenge.relief.due(outside.now).is_some() {
            fitter.retain(|c| {
                self.challenge.relief.get(&c.who).is_some_and(|(until, ())| until <= outside.now)
            });
            let deputy =
                self.deputy_seat().filter(|deputy| fitter.iter().any(|c| c.who == *deputy));
            let next = deputy.or_else(|| pick(&fitter, self.rules.policy, outside.random));
            self.replace_host(outside, next, Cause::Resigned, out);
            self.settle(outside, out);
        }
    }

    /// Elects another, `to` if it can host. The old one stays a member; it stays host if there is nobody else.
    fn replace_host(
        &mut self,
        outside: Env<'_>,
        to: Option<Seat>,
        cause: Cause,
        out: &mut Vec<Output>,
    ) {
        let old = self.host_seat();
        let named = to.filter(|seat| Some(*seat) != old && self.may_host(*seat));
        if let Some(next) =
            named.or_else(|| self.pick_other_than(old, outside)).filter(|next| self.may_host(*next))
        {
            let epoch = above(outside, self.announced_epoch());
            self.elect(outside, next, epoch, cause, out);
        }
    }
}
