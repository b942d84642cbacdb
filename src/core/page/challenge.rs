//! A host that is still here, but may have to go: suspected, hidden, or willing.

use std::collections::BTreeSet;

use super::hosting::above;
use super::{Output, Outside, PageState};
use crate::core::election::Cause;
use crate::core::id::{Epoch, PeerId, SessionId};
use crate::core::inbound::Suspicion;
use crate::core::member::Seat;
use crate::core::time::Time;
use crate::core::wire;

/// What speaks against the present host. Begins anew with each term.
#[derive(Debug, Default)]
pub struct Challenge {
    /// Its page was asked to answer.
    probe: Option<Probe>,
    /// Who said that it does not answer; counted where nothing may be relayed.
    suspecting: BTreeSet<SessionId>,
    hidden: Hidden,
}

#[derive(Debug)]
struct Probe {
    until: Time,
    /// How many text frames it had sent.
    spoken: u64,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Hidden {
    #[default]
    No,
    Until(Time),
    /// It gives way to the first that is visible and can host.
    TooLong,
}

impl Challenge {
    pub(super) fn next_deadline(&self) -> Option<Time> {
        let hidden = if let Hidden::Until(at) = self.hidden { Some(at) } else { None };
        self.probe.as_ref().map(|probe| probe.until).into_iter().chain(hidden).min()
    }
}

impl PageState {
    /// A new term: nothing speaks against the host yet, unless it is hidden from the start.
    pub(super) fn start_term(&mut self, outside: Outside<'_>, host: Seat) {
        self.challenge = Challenge::default();
        self.note_visibility(outside, host);
    }

    pub(super) fn suspect(&mut self, outside: Outside<'_>, session: SessionId, suspicion: &Suspicion, out: &mut Vec<Output>) {
        let (Some(host), Some((epoch, id))) = (self.host_seat(), self.assignment()) else { return };
        // a stock client knows no PROBE: whoever suspects it could depose it
        let grouped = |seat: Seat| self.members.get(&seat).is_some_and(|m| m.group > 0);
        let suspects = self.seat_of(session).is_some_and(|seat| seat != host && grouped(seat) && grouped(host));
        if !suspects || suspicion.epoch != epoch || suspicion.host != id {
            return;
        }
        if !self.relays() {
            self.challenge.suspecting.insert(session);
            self.challenge.suspecting.retain(|session| self.by_session.contains_key(session));
            let many = self.challenge.suspecting.len();
            if many >= 2 && many * 2 > self.members.len() {
                return self.replace_host(outside, None, Cause::Unreachable, out);
            }
        }
        if let Some(to) = self.members.get(&host).map(|host| host.session).filter(|_| self.challenge.probe.is_none()) {
            self.challenge.probe = Some(Probe { until: outside.now.plus(self.rules.probe), spoken: (outside.spoken)(to) });
            out.push(Output::Tell { to, frame: wire::probe(epoch) });
        }
    }

    pub(super) fn end_probe(&mut self, outside: Outside<'_>, out: &mut Vec<Output>) {
        let Some(Probe { spoken, .. }) = self.challenge.probe.take_if(|probe| probe.until <= outside.now) else { return };
        let host = self.host_seat().and_then(|host| self.members.get_mut(&host));
        if let Some(host) = host.filter(|host| (outside.spoken)(host.session) == spoken) {
            host.stalled_at = Some(spoken);
            self.replace_host(outside, None, Cause::Stalled, out);
        }
    }

    pub(super) fn resign(
        &mut self,
        outside: Outside<'_>,
        session: SessionId,
        epoch: Epoch,
        to: Option<&PeerId>,
        out: &mut Vec<Output>,
    ) {
        let current = self.assignment().is_some_and(|(current, _)| current == epoch);
        if current && self.seat_of(session).is_some() && self.seat_of(session) == self.host_seat() {
            self.replace_host(outside, to, Cause::Resigned, out);
        }
    }

    /// Takes note of whether the member on `seat`, if it hosts, is looked at.
    pub(super) fn note_visibility(&mut self, outside: Outside<'_>, seat: Seat) {
        let Some(host) = self.members.get(&seat).filter(|_| self.host_seat() == Some(seat)) else { return };
        match (host.status.visible, self.rules.hidden) {
            (false, Some(patience)) if self.challenge.hidden == Hidden::No => {
                self.challenge.hidden = Hidden::Until(outside.now.plus(patience));
            }
            (false, Some(_)) => {}
            (true, _) | (_, None) => self.challenge.hidden = Hidden::No,
        }
    }

    /// A host that was hidden for long gives way as soon as somebody visible can host.
    pub(super) fn relieve_hidden_host(&mut self, outside: Outside<'_>, out: &mut Vec<Output>) {
        if matches!(self.challenge.hidden, Hidden::Until(at) if at <= outside.now) {
            self.challenge.hidden = Hidden::TooLong;
        }
        if self.challenge.hidden != Hidden::TooLong {
            return;
        }
        let better = self.pick_other_than(self.host_seat(), outside).and_then(|seat| self.members.get(&seat));
        if better.is_some_and(|m| m.status.visible && m.status.eligible) {
            self.replace_host(outside, None, Cause::Resigned, out);
        }
    }

    /// Elects another, `to` if it can host. The old one stays a member; it stays host if there is nobody else.
    fn replace_host(&mut self, outside: Outside<'_>, to: Option<&PeerId>, cause: Cause, out: &mut Vec<Output>) {
        let old = self.host_seat();
        let named = to.and_then(|to| self.by_id.get(to).copied());
        let named = named.filter(|seat| Some(*seat) != old && self.may_host(*seat));
        if let Some(next) = named.or_else(|| self.pick_other_than(old, outside)).filter(|next| self.may_host(*next)) {
            let epoch = above(outside, self.told());
            self.elect(outside, next, epoch, cause, out);
        }
    }
}
