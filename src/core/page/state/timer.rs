//! Deadlines, and members that are silent.

use super::PageState;
use crate::page::deadline::{Deadline, DeadlineReason};
use crate::page::io::{Env, Output};
use crate::page::member::{Departure, Seat, Way};
use crate::page::roster::Member;
use crate::protocol::close::Close;
use crate::protocol::id::SessionId;
use crate::protocol::outgoing;
use crate::time::Time;

impl PageState {
    /// Returns when to come back with [`Input::Timer`](crate::page::Input::Timer) if nothing else
    /// happens, and why.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Deadline> {
        if self.is_draining {
            return None;
        }
        let deadline = |reason| Some(Deadline { at: self.deadline_of(reason)?, reason });
        DeadlineReason::ALL.into_iter().filter_map(deadline).min()
    }

    fn deadline_of(&self, reason: DeadlineReason) -> Option<Time> {
        let challenge = self.term.challenge();
        match reason {
            DeadlineReason::DialCalm => self.dials.next_deadline(),
            DeadlineReason::GoingAway => self.going_away.next_deadline(),
            DeadlineReason::Recovery => self.term.recovery_deadline(),
            DeadlineReason::HostRoster => self.host_roster.map(|(_, _, at)| at),
            DeadlineReason::Election => self.term.rests_until().filter(|_| self.term.is_open()),
            DeadlineReason::PendingJoin => self.pending_joins.next_deadline(),
            // not before there is a host to be told
            DeadlineReason::Absence if self.term.is_recovering() => None,
            DeadlineReason::Absence => self.absent.next_deadline(),
            DeadlineReason::Profile => self.profiles.next_deadline(),
            DeadlineReason::ParkedMessage => self.parked.next_deadline(),
            DeadlineReason::Silence => self.silence.next_deadline(),
            DeadlineReason::Truce => self.ways.next_deadline(),
            DeadlineReason::Probe => challenge.probe_deadline(),
            DeadlineReason::Suspicion => {
                self.when_rested(challenge.suspicions().next_counts_at(self.dials.fair()))
            }
            DeadlineReason::Relief => self.when_rested(challenge.relief().next_deadline()),
            DeadlineReason::DeputyReview => self.deputy.next_deadline(self.dials.fair()),
            DeadlineReason::Idle => self.idle_at,
        }
    }

    /// Returns the deadline, but not before the page may name another host.
    fn when_rested(&self, deadline: Option<Time>) -> Option<Time> {
        deadline.map(|at| self.term.rests_until().map_or(at, |until| at.max(until)))
    }

    /// Handles all that is due. What an earlier deadline changes decides whether a later one is
    /// due.
    pub(super) fn timer(&mut self, env: Env<'_>, out: &mut Vec<Output>) {
        for reason in DeadlineReason::ALL {
            if self.deadline_of(reason).is_some_and(|at| at <= env.now) {
                self.handle_deadline(env, reason, out);
            }
        }
    }

    fn handle_deadline(&mut self, env: Env<'_>, reason: DeadlineReason, out: &mut Vec<Output>) {
        match reason {
            DeadlineReason::DialCalm => self.calm_down(env),
            DeadlineReason::GoingAway => self.end_grace(env, out),
            DeadlineReason::Recovery => {
                self.end_recovery(env, out);
                self.settle(env, out);
            }
            DeadlineReason::HostRoster => self.tell_host_roster(out),
            DeadlineReason::PendingJoin => self.admit_waiting(env, out),
            DeadlineReason::Absence => {
                while let Some((id, absent)) = self.absent.take_due(env.now) {
                    self.announce_leave(&id, &absent, out);
                }
            }
            DeadlineReason::Profile => self.send_due_profiles(env, out),
            DeadlineReason::ParkedMessage => self.expire_parked(env, out),
            DeadlineReason::Silence => self.dismiss_silent(env, out),
            DeadlineReason::Truce => self.ways.end_truces(env.now),
            DeadlineReason::Probe => self.end_probe(env, out),
            // looked at after every step that affects hosting, and this is one
            DeadlineReason::Election
            | DeadlineReason::Suspicion
            | DeadlineReason::Relief
            | DeadlineReason::DeputyReview
            | DeadlineReason::Idle => {}
        }
    }

    /// Ends what `unreachable` elections began: longer dials, and members that are elected last.
    fn calm_down(&mut self, env: Env<'_>) {
        if self.dials.relax(env.now) {
            self.roster.iter_mut().for_each(|(_, m)| m.notes.is_out_of_reach = false);
        }
    }

    /// Removes holders of wanted ids that did not answer. Their departure admits the newcomers.
    fn admit_waiting(&mut self, env: Env<'_>, out: &mut Vec<Output>) {
        while let Some(id) = self.pending_joins.due(env.now).cloned() {
            let holder = self.roster.find(&id).map(|(_, m)| (m.session(), m.way()));
            match holder {
                Some((holder, way)) if self.is_judged(env, way) => {
                    self.dismiss(env, holder, Close::Timeout, Departure::Silent, out);
                }
                // a while later it is known whether the holder lives: the newcomer comes back
                Some(_) | None => {
                    let newcomer = self.pending_joins.take(&id);
                    let closed = newcomer.map(|n| Output::dismiss(n.session, Close::Internal));
                    out.extend(closed);
                }
            }
        }
    }

    fn expire_parked(&mut self, env: Env<'_>, out: &mut Vec<Output>) {
        for (src, absent) in self.parked.expire(env.now) {
            if let Some(to) = self.session_of(&src) {
                out.push(Output::Send { to, frame: outgoing::expire(absent.as_str(), &src) });
            }
        }
    }

    /// Handles [`Input::Alive`](crate::page::Input::Alive): the holder of a wanted id lives.
    pub(super) fn ping_answered(&mut self, session: SessionId, out: &mut Vec<Output>) {
        let Some(id) = self.id_of(session).cloned() else { return };
        if let Some(pending) = self.pending_joins.take(&id) {
            out.push(Output::dismiss(pending.session, Close::IdTaken));
        }
    }

    /// Dismisses members that were silent for too long. The page does it, and not the session: the
    /// session of a client that stops reading runs no timer of its own.
    fn dismiss_silent(&mut self, env: Env<'_>, out: &mut Vec<Output>) {
        let host = self.term.host();
        let mut silent: Vec<_> = self
            .roster
            .iter()
            .filter(|(seat, m)| self.silence_ends(env, *seat, m).is_some_and(|at| at <= env.now))
            .map(|(seat, member)| (Some(seat) == host, member.session()))
            .collect();
        // the host last, so that no other member that is gone as well is elected
        silent.sort_unstable();
        for (_, session) in silent {
            self.dismiss(env, session, Close::Timeout, Departure::Silent, out);
        }
        let members = self.roster.iter();
        let next = members.filter_map(|(seat, member)| self.silence_ends(env, seat, member)).min();
        self.silence.swept(env.now, next);
    }

    /// Returns when a member that stays silent counts as gone. `None`: no timer decides that.
    fn silence_ends(&self, env: Env<'_>, seat: Seat, member: &Member) -> Option<Time> {
        if self.going_away.contains(seat) || member.way() != Way::Local {
            return None;
        }
        let heard = (env.last_heard)(member.session());
        let ends = heard.plus(self.rules.timeout);
        Some(match self.term.hosting() {
            Some(hosting) if hosting.host == seat => {
                ends.min(heard.max(hosting.since).plus(self.rules.host_timeout))
            }
            _ => ends,
        })
    }

    /// Sees to it that the silence of a member is noticed in time.
    pub(super) fn watch_silence(&mut self, env: Env<'_>, seat: Seat) {
        let ends = self.roster.get(seat).and_then(|member| self.silence_ends(env, seat, member));
        if let Some(ends) = ends {
            self.silence.watch(ends);
        }
    }
}
