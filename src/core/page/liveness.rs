//! What happens when nothing happens: deadlines, and those who say nothing any more.

use crate::page::member::{Departure, Member, Seat};
use crate::protocol::close::Close;
use crate::protocol::id::SessionId;
use crate::protocol::outgoing;
use crate::time::Time;

use super::hosting::Term;
use super::{Env, Output, PageState, refuse};

impl PageState {
    pub(super) fn alive(&mut self, session: SessionId, out: &mut Vec<Output>) {
        let Some(id) = self.id_of(session) else { return };
        let id = id.clone();
        if let Some(held) = self.held.take(&id) {
            refuse(held.session, Close::IdTaken, out);
        }
    }

    pub(super) fn timer(&mut self, outside: Env<'_>, out: &mut Vec<Output>) {
        let now = outside.now;
        if self.dials.relax(now) {
            self.members.values_mut().for_each(|m| m.out_of_reach = false);
        }
        self.end_grace(outside, out);
        self.end_recovery(outside, out);
        self.settle(outside, out);
        while let Some(id) = self.held.due(now).cloned() {
            // the newcomer is let in by the departure of the one who did not answer
            match self.session_of(&id) {
                Some(silent) => {
                    self.dismiss(outside, silent, Close::Timeout, Departure::Silent, out)
                }
                None => drop(self.held.take(&id)),
            }
        }
        // not before there is a host to be told
        while self.recovery_deadline().is_none()
            && let Some((id, gone)) = self.returning.take_due(now)
        {
            self.say_gone(&id, &gone, out);
        }
        self.tell_of_profiles(outside, out);
        for (src, absent) in self.waiting.expire(now) {
            if let Some(to) = self.session_of(&src) {
                out.push(Output::Send { to, frame: outgoing::expire(absent.as_str(), &src) });
            }
        }
        if self.sweep_at.is_some_and(|at| at <= now) {
            self.sweep(outside, out);
        }
        self.end_probe(outside, out);
    }

    /// Dismisses who was silent for too long. It is the page that does so, not the session: one that is jammed by a
    /// client that stops reading runs no timer of its own.
    pub(super) fn sweep(&mut self, outside: Env<'_>, out: &mut Vec<Output>) {
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
        let next = self
            .members
            .iter()
            .map(|(seat, member)| self.silence_ends(outside, *seat, member))
            .min();
        self.sweep_at = next.map(|at| at.max(Time(outside.now.0 + 1)));
    }

    /// When a member that goes on saying nothing is taken for gone.
    pub(super) fn silence_ends(&self, outside: Env<'_>, seat: Seat, member: &Member) -> Time {
        if self.is_leaving(seat) {
            return Time(u64::MAX);
        }
        let heard = (outside.last_heard)(member.session);
        let ends = heard.plus(self.rules.timeout);
        match self.term {
            // before it was host it was not watched as closely
            Term::Hosted { host, since, .. } if host == seat => {
                ends.min(heard.max(since).plus(self.rules.host_timeout))
            }
            Term::Hosted { .. }
            | Term::Vacant { .. }
            | Term::Open { .. }
            | Term::Recovering { .. } => ends,
        }
    }

    /// Sees to it that a member that says nothing more is noticed in time.
    pub(super) fn watch(&mut self, outside: Env<'_>, seat: Seat) {
        if let Some(at) =
            self.members.get(&seat).map(|member| self.silence_ends(outside, seat, member))
        {
            self.sweep_at = Some(self.sweep_at.map_or(at, |sweep_at| sweep_at.min(at)));
        }
    }
}
